// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/rerank.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/aligned.h"
#include "core/base/check.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/i8_items.h"
#include "simd/code_blocks.h"
#include "simd/hamming.h"
#include "simd/rerank.h"
#include "simd/rerank_i8.h"
#include "simd/target.h"

namespace eta {
namespace {

// Candidates go through both steps in chunks whose shortlists and scores stay in the L2 cache
// (2 x 64 KiB), but at least a few at a time share a pass over the codes of the history.
constexpr size_t kChunkEntries = 16384;
constexpr size_t kMinChunk = 4;
constexpr size_t kMaxChunk = 64;

// Grows and stays.
template <class T>
T* Room(AlignedVector<T>& memory, size_t size) {
  if (memory.size() < size) memory.resize(size);
  return memory.data();
}

class RerankScratch : public Scratch {
 public:
  AlignedVector<uint8_t> codes;       // of a chunk of candidates
  AlignedVector<int32_t> shortlists;  // positions
  AlignedVector<int32_t> ids;         // of one shortlist
  AlignedVector<float> scores;
  AlignedVector<uint8_t> bytes;
};

class RerankHistory : public PreparedHistory {
 public:
  RerankHistory(const CodeTable& table, std::span<const int32_t> items)
      : PreparedHistory(items.size()), blocks(table, items), ids(items.begin(), items.end()) {}
  size_t bytes() const override { return blocks.bytes() + ids.size() * sizeof(int32_t); }

  const CodeBlocks blocks;
  const std::vector<int32_t> ids;
};

// What both have in common: all but how a shortlist is scored.
class RerankRetriever : public Retriever {
 public:
  RerankRetriever(std::string name, const ItemTable& items, const Hyperplanes& hyperplanes,
                  size_t factor, int threads)
      : Retriever(items.size()),
        name_(std::move(name)),
        factor_(factor),
        table_(items, hyperplanes, threads) {}

  std::string name() const override { return name_; }
  std::string target() const override { return simd::TargetName(simd::ActiveTarget()); }
  size_t bits() const override { return table_.bits(); }
  size_t table_bytes() const override { return table_.bytes() + row_bytes(); }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<RerankScratch>(); }

 protected:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    return std::make_unique<RerankHistory>(table_, history);
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const RerankHistory&>(history);
    auto& memory = dynamic_cast<RerankScratch&>(scratch);
    const size_t n = prepared.length();
    const size_t shortlist = k > n / factor_ ? n : factor_ * k;  // min(factor * k, n)
    const size_t chunk = std::clamp(kChunkEntries / shortlist, kMinChunk, kMaxChunk);
    for (size_t b = 0; b < candidates.size(); b += chunk) {
      const size_t count = std::min(chunk, candidates.size() - b);
      RetrieveChunk(prepared, candidates.subspan(b, count), shortlist, k, memory,
                    out.positions.data() + b * k);
    }
    std::ranges::fill(out.counts, static_cast<int32_t>(std::min(k, n)));
  }

  virtual size_t row_bytes() const = 0;  // of the table that Score reads
  // The inner products of a candidate with `count` items.
  virtual void Score(size_t candidate, const int32_t* ids, size_t count, float* scores) const = 0;

 private:
  void RetrieveChunk(const RerankHistory& history, std::span<const int32_t> candidates,
                     size_t shortlist, size_t k, RerankScratch& memory, int32_t* out) const {
    const size_t n = history.length();
    const size_t code_bytes = table_.code_bytes();
    uint8_t* codes = Room(memory.codes, candidates.size() * code_bytes);
    for (size_t b = 0; b < candidates.size(); ++b) {
      std::ranges::copy(table_.row(static_cast<size_t>(candidates[b])), codes + b * code_bytes);
    }
    int32_t* positions = Room(memory.shortlists, candidates.size() * shortlist);
    uint8_t* bytes =
        Room(memory.bytes, std::max(simd::HammingTopKScratchBytes(n, code_bytes, shortlist),
                                    simd::RerankTopKScratchBytes(shortlist)));
    simd::HammingTopK(history.blocks.data(), n, code_bytes, codes, candidates.size(), code_bytes,
                      shortlist, simd::TieOrder::kNewestFirst, simd::ResultOrder::kAny, bytes,
                      {positions, nullptr});

    const size_t score_stride = simd::PaddedRows(shortlist);
    float* scores = Room(memory.scores, candidates.size() * score_stride);
    int32_t* ids = Room(memory.ids, shortlist);
    for (size_t b = 0; b < candidates.size(); ++b) {
      const int32_t* list = positions + b * shortlist;
      for (size_t i = 0; i < shortlist; ++i) ids[i] = history.ids[static_cast<size_t>(list[i])];
      Score(static_cast<size_t>(candidates[b]), ids, shortlist, scores + b * score_stride);
    }
    simd::RerankTopK({positions, shortlist, scores, score_stride, shortlist, candidates.size()},
                     {k}, bytes, {out});
  }

  std::string name_;
  size_t factor_;
  CodeTable table_;
};

class FloatRerankRetriever final : public RerankRetriever {
 public:
  FloatRerankRetriever(std::string name, const ItemTable& items, const Hyperplanes& hyperplanes,
                       size_t factor, int threads)
      : RerankRetriever(std::move(name), items, hyperplanes, factor, threads), items_(items) {}

 private:
  size_t row_bytes() const override { return items_.embeddings.values.size() * sizeof(float); }
  void Score(size_t candidate, const int32_t* ids, size_t count, float* scores) const override {
    simd::DotRows(simd::DenseRows(items_.embeddings.values.data(), items_.size(), items_.dim()),
                  {ids, count}, items_.embeddings.row(candidate), scores);
  }

  const ItemTable& items_;
};

class I8RerankRetriever final : public RerankRetriever {
 public:
  I8RerankRetriever(std::string name, const ItemTable& items, const Hyperplanes& hyperplanes,
                    size_t factor, int threads)
      : RerankRetriever(std::move(name), items, hyperplanes, factor, threads), items_(items) {}

 private:
  size_t row_bytes() const override { return items_.bytes(); }
  void Score(size_t candidate, const int32_t* ids, size_t count, float* scores) const override {
    simd::DotI8Rows(items_.view(), {ids, count}, {items_.row(candidate), items_.scales[candidate]},
                    scores);
  }

  const I8Items items_;
};

void RequireFactor(size_t factor) {
  Require(factor >= 1 && factor <= kMaxRerankFactor, "rerank factor must be from 1 to ",
          kMaxRerankFactor, ", not ", factor);
}

}  // namespace

std::unique_ptr<Retriever> MakeEtaRerankRetriever(std::string name, const ItemTable& items,
                                                  const Hyperplanes& hyperplanes, size_t factor,
                                                  int threads) {
  RequireFactor(factor);
  return std::make_unique<FloatRerankRetriever>(std::move(name), items, hyperplanes, factor,
                                                threads);
}

std::unique_ptr<Retriever> MakeEtaRerankI8Retriever(std::string name, const ItemTable& items,
                                                    const Hyperplanes& hyperplanes, size_t factor,
                                                    int threads) {
  RequireFactor(factor);
  return std::make_unique<I8RerankRetriever>(std::move(name), items, hyperplanes, factor, threads);
}

}  // namespace eta
