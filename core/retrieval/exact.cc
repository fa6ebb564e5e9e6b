// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/exact.h"

#include <algorithm>
#include <optional>
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
      : RefillableRetriever(std::move(name), items.size()), items_(items) {
    ValidateItemTable(items);
  }
  // Over items of its own.
  ExactRetriever(std::string name, ItemTable&& items)
      : RefillableRetriever(std::move(name), items.size()), own_(std::move(items)), items_(*own_) {}

  size_t table_bytes() const override { return items_.embedding_bytes(); }
  size_t item_table_bytes() const override { return own_ ? 0 : table_bytes(); }
  size_t query_bytes() const override { return items_.dim() * sizeof(float); }

  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<FloatHistory>(capacity, items_.dim());
  }

 private:
  void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const override {
    simd::GatherFloatBlocks(items_.embeddings.view(), {items.data(), items.size()},
                            dynamic_cast<FloatHistory&>(history).blocks.data());
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const FloatHistory&>(history);
    auto& buffers = dynamic_cast<KernelScratch&>(scratch);
    const size_t n = prepared.length();
    const auto queries = GatherQueries(items_.queries().view(), candidates, buffers.queries);
    const simd::ScratchView work = ScratchFor(buffers.kernel, simd::DotTopKScratchBytes(n, k));
    const size_t count = simd::DotTopK({prepared.blocks.data(), n, items_.dim()}, queries, {k},
                                       work, {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

  std::optional<ItemTable> own_;
  const ItemTable& items_;
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeExactRetriever(std::string name, const ItemTable& items) {
  return std::make_unique<ExactRetriever>(std::move(name), items);
}

std::unique_ptr<RefillableRetriever> MakeCosineRetriever(std::string name, const ItemTable& items) {
  ValidateItemTable(items);
  ItemTable unit = {.embeddings = items.embeddings,
                    .categories = {},
                    .candidate_embeddings = items.candidate_embeddings};
  NormalizeRows(unit.embeddings);
  if (unit.candidate_embeddings) NormalizeRows(*unit.candidate_embeddings);
  return std::make_unique<ExactRetriever>(std::move(name), std::move(unit));
}

}  // namespace eta
