// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/scan_i8.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/check.h"
#include "core/retrieval/i8_items.h"
#include "core/retrieval/internal/item_ids.h"
#include "simd/dot_i8.h"

namespace eta {
namespace {

struct I8History final : RefillableHistory {
  I8History(size_t capacity, size_t dim)
      : RefillableHistory(capacity),
        dim(dim),
        blocks(simd::I8BlocksBytes(capacity, dim)),
        scales(simd::PaddedRows(capacity)) {}
  size_t bytes() const override {
    return simd::I8BlocksBytes(length(), dim) + simd::PaddedRows(length()) * sizeof(float);
  }

  size_t dim;
  AlignedVector<uint8_t> blocks;
  AlignedVector<float> scales;
};

class ScanI8Retriever : public RefillableRetriever {
 public:
  ScanI8Retriever(std::string name, const ItemTable& items)
      : RefillableRetriever(std::move(name), items.size()),
        own_(items),
        own_candidates_(I8Items::OfCandidates(items)),
        queries_(own_candidates_ ? own_candidates_->view() : own_->view()),
        keys_(own_->view()) {}

  ScanI8Retriever(std::string name, const Matrix<int8_t>& queries, const Matrix<int8_t>& keys)
      : RefillableRetriever(std::move(name), keys.rows),
        ones_(std::max(queries.rows, keys.rows), 1.0f),
        queries_{queries.values.data(), ones_.data(), queries.rows, queries.cols, queries.cols},
        keys_{keys.values.data(), ones_.data(), keys.rows, keys.cols, keys.cols} {
    Require(queries.rows == keys.rows && queries.cols == keys.cols, "int8 scan: queries are ",
            queries.rows, " x ", queries.cols, ", keys ", keys.rows, " x ", keys.cols);
    RequireI8Dim(keys.cols);
  }

  size_t table_bytes() const override {
    if (own_) return own_->bytes() + (own_candidates_ ? own_candidates_->bytes() : 0);
    const size_t tables = queries_.values == keys_.values ? 1 : 2;
    return tables * keys_.count * keys_.width + keys_.count * sizeof(float);
  }

  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<I8History>(capacity, keys_.width);
  }

  size_t query_bytes() const override { return keys_.width; }

 protected:
  size_t dim() const { return keys_.width; }

  // Writes the rows of a list of items, simd::I8BlocksBytes(items.size(), dim()) bytes, and their
  // scales, simd::PaddedRows(items.size()) of them.
  void Gather(std::span<const int32_t> items, uint8_t* blocks, float* scales) const {
    simd::GatherI8Blocks(keys_, {items.data(), items.size()}, blocks, scales);
  }

  void TopK(const simd::I8BlocksView& rows, std::span<const int32_t> candidates, size_t k,
            KernelScratch& buffers, RetrievedView out) const {
    const auto values =
        GatherQueries(simd::DenseRows(queries_.values, queries_.count, queries_.width), candidates,
                      buffers.queries);
    auto* scales = buffers.scales.Get<float>(candidates.size());
    for (size_t i = 0; i < candidates.size(); ++i) {
      scales[i] = queries_.scales[static_cast<size_t>(candidates[i])];
    }
    const simd::ScratchView work =
        ScratchFor(buffers.kernel, simd::DotI8TopKScratchBytes(rows.n, k));
    const size_t count = simd::DotI8TopK(rows, {values.data, scales, values.count, values.stride},
                                         {k}, work, {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

 private:
  void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const override {
    auto& prepared = dynamic_cast<I8History&>(history);
    Gather(items, prepared.blocks.data(), prepared.scales.data());
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const I8History&>(history);
    TopK({prepared.blocks.data(), prepared.scales.data(), prepared.length(), dim()}, candidates, k,
         dynamic_cast<KernelScratch&>(scratch), out);
  }

  std::optional<I8Items> own_;             // set where this retriever quantised the table itself
  std::optional<I8Items> own_candidates_;  // set where candidates have embeddings of their own
  AlignedVector<float> ones_;              // scales of 1, where it did not quantise
  simd::I8RowsView queries_, keys_;
};

class ScanI8GatherRetriever final : public ScanI8Retriever {
 public:
  using ScanI8Retriever::ScanI8Retriever;

  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<ItemIds>(capacity);
  }

 private:
  void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const override {
    std::ranges::copy(items, dynamic_cast<ItemIds&>(history).ids.begin());
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const ItemIds&>(history);
    auto& buffers = dynamic_cast<KernelScratch&>(scratch);
    const size_t n = prepared.length();
    auto* blocks = buffers.blocks.Get<uint8_t>(simd::I8BlocksBytes(n, dim()));
    auto* scales = buffers.block_scales.Get<float>(simd::PaddedRows(n));
    Gather(prepared.in_use(), blocks, scales);
    TopK({blocks, scales, n, dim()}, candidates, k, buffers, out);
  }
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeScanI8Retriever(std::string name, const ItemTable& items) {
  return std::make_unique<ScanI8Retriever>(std::move(name), items);
}

std::unique_ptr<RefillableRetriever> MakeScanI8GatherRetriever(std::string name,
                                                               const ItemTable& items) {
  return std::make_unique<ScanI8GatherRetriever>(std::move(name), items);
}

std::unique_ptr<RefillableRetriever> MakeScanI8Retriever(std::string name,
                                                         const Matrix<int8_t>& queries,
                                                         const Matrix<int8_t>& keys) {
  return std::make_unique<ScanI8Retriever>(std::move(name), queries, keys);
}

}  // namespace eta
