// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/exact.h"

#include <algorithm>
#include <utility>

#include "simd/dot.h"

namespace eta {
namespace {

struct FloatHistory final : RefillableHistory {
  FloatHistory(size_t capacity, size_t dim)
      : RefillableHistory(capacity), dim(dim), blocks(simd::FloatBlocksSize(capacity, dim)) {}
  size_t bytes() const override { return simd::FloatBlocksSize(length(), dim) * sizeof(float); }

  size_t dim;
  AlignedVector<float> blocks;
};

class ExactRetriever final : public RefillableRetriever {
 public:
  ExactRetriever(std::string name, const ItemTable& items)
      : RefillableRetriever(std::move(name), items.size()), rows_(items.embeddings) {
    ValidateItemTable(items);
  }
  // Over rows of its own.
  ExactRetriever(std::string name, Matrix<float> rows)
      : RefillableRetriever(std::move(name), rows.rows), own_(std::move(rows)), rows_(own_) {}

  size_t table_bytes() const override { return rows_.values.size() * sizeof(float); }
  size_t item_table_bytes() const override { return own_.values.empty() ? table_bytes() : 0; }
  size_t query_bytes() const override { return rows_.cols * sizeof(float); }

  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<FloatHistory>(capacity, rows_.cols);
  }

 private:
  void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const override {
    simd::GatherFloatBlocks(rows_.view(), {items.data(), items.size()},
                            dynamic_cast<FloatHistory&>(history).blocks.data());
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const FloatHistory&>(history);
    auto& buffers = dynamic_cast<KernelScratch&>(scratch);
    const size_t n = prepared.length();
    const auto queries = GatherQueries(rows_.view(), candidates, buffers.queries);
    void* work = buffers.kernel.Get<uint8_t>(simd::DotTopKScratchBytes(n, k));
    const size_t count = simd::DotTopK({prepared.blocks.data(), n, rows_.cols}, queries, {k}, work,
                                       {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

  Matrix<float> own_;  // empty where the rows are the item table's
  const Matrix<float>& rows_;
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeExactRetriever(std::string name, const ItemTable& items) {
  return std::make_unique<ExactRetriever>(std::move(name), items);
}

std::unique_ptr<RefillableRetriever> MakeCosineRetriever(std::string name, const ItemTable& items) {
  ValidateItemTable(items);
  Matrix<float> rows = items.embeddings;
  NormalizeRows(rows);
  return std::make_unique<ExactRetriever>(std::move(name), std::move(rows));
}

}  // namespace eta
