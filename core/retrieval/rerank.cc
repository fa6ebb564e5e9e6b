// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/rerank.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/aligned.h"
#include "core/base/check.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/i8_items.h"
#include "simd/rerank.h"
#include "simd/rerank_i8.h"

namespace eta {
namespace {

// Candidates go through both steps in chunks whose shortlists and scores stay in the L2 cache
// (2 x 64 KiB), but at least a few at a time share a pass over the codes of the history.
constexpr size_t kChunkEntries = 16384;
constexpr size_t kMinChunk = 4;
constexpr size_t kMaxChunk = 64;

struct RerankHistory final : RefillableHistory {
  RerankHistory(size_t capacity, std::unique_ptr<RefillableHistory> first)
      : RefillableHistory(capacity), first(std::move(first)), ids(capacity) {}
  // `first` may hold the ids, too.
  size_t bytes() const override { return first->bytes() + length() * sizeof(int32_t); }
  bool has_item_ids() const override { return true; }

  std::unique_ptr<RefillableHistory> first;
  std::span<const int32_t> ids_in_use() const { return {ids.data(), length()}; }

  AlignedVector<int32_t> ids;
};

// The method of the shortlists has scratch of its own, because it may be one that reranks as well.
struct RerankScratch final : KernelScratch {
  explicit RerankScratch(std::unique_ptr<Scratch> first) : first(std::move(first)) {}

  std::unique_ptr<Scratch> first;
  // Rows and scales of a history, copied for one request, and how many; 0 where they are not.
  ScratchBuffer rows, row_scales;
  size_t near_rows = 0;
};

// Shared by both forms, which differ in how they score a shortlist.
class RerankRetriever : public RefillableRetriever {
 public:
  RerankRetriever(std::string name, const ItemTable& items,
                  std::unique_ptr<RefillableRetriever> first, size_t factor)
      : RefillableRetriever(std::move(name), items.size()),
        first_(std::move(first)),
        factor_(factor) {
    set_encoder_bytes(first_->encoder_bytes());
  }

  size_t bits() const override { return first_->bits(); }
  size_t table_bytes() const override { return first_->table_bytes() + row_bytes(); }

  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<RerankHistory>(capacity, first_->NewHistory(capacity));
  }
  std::unique_ptr<Scratch> NewScratch() const override {
    return std::make_unique<RerankScratch>(first_->NewScratch());
  }

 protected:
  void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const override {
    auto& prepared = dynamic_cast<RerankHistory&>(history);
    first_->Refill(*prepared.first, items);
    std::ranges::copy(items, prepared.ids.begin());
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const RerankHistory&>(history);
    auto& buffers = dynamic_cast<RerankScratch&>(scratch);
    const size_t n = prepared.length();
    const size_t shortlist = k > n / factor_ ? n : factor_ * k;  // min(factor * k, n)
    const size_t chunk = std::clamp(kChunkEntries / shortlist, kMinChunk, kMaxChunk);
    PrepareRows(prepared.ids_in_use(), candidates.size() * shortlist, buffers);
    for (size_t b = 0; b < candidates.size(); b += chunk) {
      const size_t count = std::min(chunk, candidates.size() - b);
      RetrieveChunk(prepared, candidates.subspan(b, count), {.k = k, .shortlist = shortlist},
                    buffers,
                    {out.positions.subspan(b * k, count * k), out.counts.subspan(b, count)});
    }
    std::ranges::fill(out.counts, static_cast<int32_t>(std::min(k, n)));
  }

  virtual size_t row_bytes() const = 0;  // of the table that Score reads
  // Begins a request, in which `scores` scores with rows of these items are wanted in all.
  virtual void PrepareRows(std::span<const int32_t> ids, size_t scores,
                           RerankScratch& buffers) const = 0;
  // The inner products of a candidate with items ids[positions[i]], i < count; PrepareRows has seen
  // the ids.
  virtual void Score(size_t candidate, const int32_t* ids, simd::IdsView positions,
                     RerankScratch& buffers, float* scores) const = 0;

  // ids[positions[i]] of all positions.
  static simd::IdsView IdsOf(const int32_t* ids, simd::IdsView positions, RerankScratch& buffers) {
    auto* out = buffers.ids.Get<int32_t>(positions.count);
    for (size_t i = 0; i < positions.count; ++i) out[i] = ids[positions.data[i]];
    return {out, positions.count};
  }

 private:
  struct Sizes {
    size_t k;
    size_t shortlist;
  };

  void RetrieveChunk(const RerankHistory& history, std::span<const int32_t> candidates, Sizes sizes,
                     RerankScratch& buffers, RetrievedView out) const {
    const auto [k, shortlist] = sizes;
    // Enough for a chunk of any shorter shortlist too, so that scratch made for the largest
    // request never grows.
    const size_t entries = std::max(kChunkEntries, kMinChunk * shortlist);
    auto* positions = buffers.shortlists.Get<int32_t>(entries);
    auto* scores = buffers.scores.Get<float>(entries + kMaxChunk * simd::kBlockRows);
    buffers.ids.Get<int32_t>(shortlist);
    if (auto* of_first = dynamic_cast<KernelScratch*>(buffers.first.get())) {
      of_first->queries.Get<uint8_t>(kMaxChunk * first_->query_bytes());
      of_first->scales.Get<float>(kMaxChunk);
    }
    RetrieveWith(*first_, *history.first, candidates, shortlist, *buffers.first,
                 {{positions, candidates.size() * shortlist}, out.counts});
    for (const int32_t count : out.counts) {
      Require(static_cast<size_t>(count) == shortlist, name(), ": ", first_->name(), " returned ",
              count, " positions for a shortlist of ", shortlist);
    }

    const size_t score_stride = simd::PaddedRows(shortlist);
    for (size_t b = 0; b < candidates.size(); ++b) {
      Score(static_cast<size_t>(candidates[b]), history.ids.data(),
            {positions + b * shortlist, shortlist}, buffers, scores + b * score_stride);
    }
    const simd::ScratchView work =
        ScratchFor(buffers.kernel, simd::RerankTopKScratchBytes(shortlist));
    simd::RerankTopK({positions, shortlist, scores, score_stride, shortlist, candidates.size()},
                     {k}, work, {out.positions.data()});
  }

  std::unique_ptr<RefillableRetriever> first_;
  size_t factor_;
};

class FloatRerankRetriever final : public RerankRetriever {
 public:
  FloatRerankRetriever(std::string name, const ItemTable& items,
                       std::unique_ptr<RefillableRetriever> first, size_t factor)
      : RerankRetriever(std::move(name), items, std::move(first), factor), items_(items) {}

 private:
  size_t row_bytes() const override { return items_.embedding_bytes(); }
  size_t item_table_bytes() const override { return row_bytes(); }
  void PrepareRows(std::span<const int32_t>, size_t, RerankScratch&) const override {}
  void Score(size_t candidate, const int32_t* ids, simd::IdsView positions, RerankScratch& buffers,
             float* scores) const override {
    simd::DotRows(items_.embeddings.view(), IdsOf(ids, positions, buffers),
                  items_.queries().row(candidate), scores);
  }

  const ItemTable& items_;
};

class I8RerankRetriever final : public RerankRetriever {
 public:
  I8RerankRetriever(std::string name, const ItemTable& items,
                    std::unique_ptr<RefillableRetriever> first, size_t factor)
      : RerankRetriever(std::move(name), items, std::move(first), factor),
        items_(items),
        candidates_(I8Items::OfCandidates(items)) {}

 private:
  size_t row_bytes() const override {
    return items_.bytes() + (candidates_ ? candidates_->bytes() : 0);
  }

  // Copies the rows of a history that are read at least twice each, so that they lie together in
  // the L2 cache, and their scales in the L1 cache, for all candidates.
  void PrepareRows(std::span<const int32_t> ids, size_t scores,
                   RerankScratch& buffers) const override {
    const simd::I8RowsView table = items_.view();
    auto* rows = buffers.rows.Get<int8_t>(ids.size() * table.width);
    auto* scales = buffers.row_scales.Get<float>(ids.size());
    buffers.near_rows = scores >= 2 * ids.size() ? ids.size() : 0;
    if (buffers.near_rows == 0) return;
    for (const int32_t id : ids) {
      const auto item = static_cast<size_t>(id);
      rows = std::copy_n(table.row(item), table.width, rows);
      *scales++ = table.scales[item];
    }
  }

  void Score(size_t candidate, const int32_t* ids, simd::IdsView positions, RerankScratch& buffers,
             float* scores) const override {
    const I8Items& queries = candidates_ ? *candidates_ : items_;
    const simd::I8Query query = {queries.row(candidate), queries.scales[candidate]};
    const simd::I8RowsView table = items_.view();
    if (buffers.near_rows == 0) {
      simd::DotI8Rows(table, IdsOf(ids, positions, buffers), query, scores);
      return;
    }
    const simd::I8RowsView near = {buffers.rows.Get<int8_t>(0), buffers.row_scales.Get<float>(0),
                                   buffers.near_rows, table.width, table.width};
    simd::DotI8Rows(near, positions, query, scores);
  }

  const I8Items items_;
  const std::optional<I8Items> candidates_;  // where they have embeddings of their own
};

template <class Reranker>
std::unique_ptr<RefillableRetriever> Make(std::string name, const ItemTable& items,
                                          std::unique_ptr<RefillableRetriever> first,
                                          size_t factor) {
  Require(factor >= 1 && factor <= kMaxRerankFactor, "rerank factor must be from 1 to ",
          kMaxRerankFactor, ", not ", factor);
  Require(first != nullptr, "rerank: no retriever of the shortlist");
  return std::make_unique<Reranker>(std::move(name), items, std::move(first), factor);
}

}  // namespace

std::unique_ptr<RefillableRetriever> MakeRerankRetriever(std::string name, const ItemTable& items,
                                                         std::unique_ptr<RefillableRetriever> first,
                                                         size_t factor) {
  return Make<FloatRerankRetriever>(std::move(name), items, std::move(first), factor);
}

std::unique_ptr<RefillableRetriever> MakeRerankI8Retriever(
    std::string name, const ItemTable& items, std::unique_ptr<RefillableRetriever> first,
    size_t factor) {
  return Make<I8RerankRetriever>(std::move(name), items, std::move(first), factor);
}

std::unique_ptr<RefillableRetriever> MakeEtaRerankRetriever(std::string name,
                                                            const ItemTable& items,
                                                            const Hyperplanes& hyperplanes,
                                                            size_t factor, int threads) {
  auto first = MakeEtaRetriever(name, items, hyperplanes, threads);
  return MakeRerankRetriever(std::move(name), items, std::move(first), factor);
}

std::unique_ptr<RefillableRetriever> MakeEtaRerankI8Retriever(std::string name,
                                                              const ItemTable& items,
                                                              const Hyperplanes& hyperplanes,
                                                              size_t factor, int threads) {
  auto first = MakeEtaRetriever(name, items, hyperplanes, threads);
  return MakeRerankI8Retriever(std::move(name), items, std::move(first), factor);
}

}  // namespace eta
