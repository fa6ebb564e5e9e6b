// SPDX-License-Identifier: Apache-2.0
// Top-K by scores in float32. Selection is fused with scoring: a score meets its query's limit
// while it is in a register, and only what reaches the limit is stored. (Without a byte-compress
// instruction a block's scores take the way through the L1 cache: a branch for each vector, of
// which half have a score that reaches the limit, costs more.)
//
// The first limit of a query comes from a sample of its own scores, a few blocks spread over the
// rows. Rows that reach it are appended to the query's list. A list that grows long is cut to its K
// best, which raises the limit. A limit that was too high for K rows costs another pass for that
// query alone. Short histories are scored whole, then selected from.

// clang-format off
#if defined(ETA_SIMD_FLOAT_TOPK_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_FLOAT_TOPK_INL_H_
#undef ETA_SIMD_FLOAT_TOPK_INL_H_
#else
#define ETA_SIMD_FLOAT_TOPK_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"
#include "simd/internal/common.h"
#include "simd/internal/float_list-inl.h"
#include "simd/internal/float_select-inl.h"
#include "simd/views.h"

#ifndef ETA_SIMD_FLOAT_TOPK_TYPES_
#define ETA_SIMD_FLOAT_TOPK_TYPES_
namespace eta::simd {

// Queries scored together: a history beyond the L2 cache is read once for all of them. A multiple
// of the 6 queries that the float and the VNNI kernels score at once, and of the 4 of the int8
// kernel without VNNI.
inline constexpr size_t kFloatTopKTile = 24;

// How a call goes through n rows.
struct FloatTopKPlan {
  // Blocks of a sample: 16 of the best 64 of 1,024 rows are expected in it.
  static constexpr size_t kSampleBlocks = 4;
  static constexpr size_t kSampleRows = kSampleBlocks * kBlockRows;
  // Rows between two looks at the length of the lists.
  static constexpr size_t kChunkRows = 1024;

  constexpr FloatTopKPlan(size_t n, size_t k)
      : keep(std::min(k, n)),
        stored_rows(std::min(n, std::max(2 * kSampleRows, 4 * keep))),
        fused(n > stored_rows),
        cut_above(4 * keep),
        list_rows(std::min(n, cut_above + kChunkRows)) {}

  size_t keep;
  size_t stored_rows;  // up to so many rows are scored whole: a limit would save little
  bool fused;
  size_t cut_above;  // a list longer than this is cut: it then loses 3K rows or more
  size_t list_rows;  // the longest list
};

// The scratch of a call, sized so that fewer rows or a smaller k take no more.
struct FloatTopKScratch {
  FloatTopKScratch(size_t n, const FloatTopKPlan& plan, void* scratch)
      : stored(scratch), fused(scratch) {
    scores = stored.Take<float>(kFloatTopKTile * PaddedRows(plan.stored_rows));
    fused_scores = fused.Take<float>(PaddedRows(n));
    samples = fused.Take<float>(kFloatTopKTile * FloatTopKPlan::kSampleRows);
    block = fused.Take<float>(kFloatTopKTile * kBlockRows);
    for (ScoreList& list : lists) list = fused.TakeList(plan.list_rows);
  }

  ScratchPieces stored, fused;
  float* scores;        // of all rows and a tile of queries, where they are stored
  float* fused_scores;  // of all rows and one query, else
  float* samples;       // of a tile
  float* block;         // scores of a block with a tile of queries
  ScoreList lists[kFloatTopKTile];
};

// Scratch of FloatTopK for n rows.
inline size_t FloatTopKScratchBytes(size_t n, size_t k) {
  if (n > kMaxRankedRows) return kNoScratch;
  const FloatTopKPlan plan(n, k);
  FloatTopKScratch scratch(n, plan, nullptr);
  FloatSelectScratch(plan.stored_rows, kFloatGroup, scratch.stored);
  FloatSelectScratch(n, 1, scratch.fused);
  return std::max(scratch.stored.bytes(), scratch.fused.bytes());
}

}  // namespace eta::simd
#endif  // ETA_SIMD_FLOAT_TOPK_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// What a scorer hands its scores to: Take(q, row, v) gets those of a vector of rows of a block,
// from `row` on, with query q of the tile.

// Stores them: those of query q at scores + q * stride.
struct StoreScores {
  float* scores;
  size_t stride;

  StoreScores from(size_t q) const { return {scores + q * stride, stride}; }
  HWY_INLINE void Take(size_t q, size_t row, ScoreVector v) const {
    hn::StoreU(v, ScoreTag(), scores + q * stride + row);
  }
#if ETA_SIMD_HAS_BYTE_COMPRESS
  HWY_INLINE void Take(size_t q, __m512 v0, __m512 v1, __m512 v2, __m512 v3) const {
    float* to = scores + q * stride;
    _mm512_storeu_ps(to, v0);
    _mm512_storeu_ps(to + 16, v1);
    _mm512_storeu_ps(to + 32, v2);
    _mm512_storeu_ps(to + 48, v3);
  }
#endif
};

#if ETA_SIMD_HAS_BYTE_COMPRESS

// Appends those that reach the limit of query q's list. `first` is the position of the block.
struct ListScores {
  ScoreList* lists;
  int32_t first;

  ListScores from(size_t q) const { return {lists + q, first}; }
  HWY_INLINE void Take(size_t q, size_t row, ScoreVector v) const {
    AppendReached(v, first + static_cast<int32_t>(row), lists[q]);
  }
  HWY_INLINE void Take(size_t q, __m512 v0, __m512 v1, __m512 v2, __m512 v3) const {
    AppendReached(v0, v1, v2, v3, ~uint64_t{0}, first, lists[q]);
  }
};

#endif

// Calls f(i, sets) for groups [i, i + sets.value) of `count` sets that are worked on in step: of
// kFloatGroup, the rest one by one.
template <class F>
HWY_INLINE void InGroups(size_t count, F f) {
  size_t i = 0;
  for (; i + kFloatGroup <= count; i += kFloatGroup) {
    f(i, std::integral_constant<size_t, kFloatGroup>());
  }
  for (; i < count; ++i) f(i, std::integral_constant<size_t, 1>());
}

// Scorer computes the scores of the rows with a tile of queries:
//   size_t tile() const;                         // the most queries of a tile
//   void Begin(size_t first, size_t count);      // the next tile
//   void Score(size_t block, Sink sink) const;   // a block of rows with all queries of the tile
template <class Scorer>
class FloatTopK {
 public:
  // n, k and num_queries are at least 1; `scratch` is of FloatTopKScratchBytes(n, k) bytes.
  FloatTopK(size_t n, size_t num_queries, const TopKOptions& options, void* scratch,
            const TopKResult<float>& result, Scorer& scorer)
      : n_(n),
        num_queries_(num_queries),
        options_(options),
        result_(result),
        scorer_(scorer),
        plan_(n, options.k),
        scratch_(n, plan_, scratch) {}

  void Run() {
    const size_t most = HWY_MIN(kFloatTopKTile, scorer_.tile());
    for (size_t q = 0; q < num_queries_; q += most) {
      const size_t tile = HWY_MIN(most, num_queries_ - q);
      scorer_.Begin(q, tile);
      if (plan_.fused) {
        RunFused(q, tile);
      } else {
        RunStored(q, tile);
      }
    }
  }

 private:
  // Scores of a sample in a group whose maximum is taken. Groups of 2 let the search for a limit
  // take longer than the shorter lists save: 1.01 of the time in all (L 1,024, dim 64, AVX3_DL).
  static constexpr size_t kSampleGroup = 4;

  float* out_scores(size_t q) const {
    return result_.values == nullptr ? nullptr : result_.values + q * options_.k;
  }
  int32_t* out_positions(size_t q) const { return result_.positions + q * options_.k; }

  void StoreAll(float* scores, size_t stride) const {
    for (size_t block = 0; block < NumBlocks(n_); ++block) {
      scorer_.Score(block, StoreScores{scores + block * kBlockRows, stride});
    }
  }

  void RunStored(size_t first_query, size_t tile) {
    const size_t stride = PaddedRows(n_);
    StoreAll(scratch_.scores, stride);
    ScratchPieces pieces = scratch_.stored;
    FloatSelector selector(n_, options_, {n_, kFloatGroup, pieces});
    InGroups(tile, [&](size_t i, auto sets_tag) HWY_ATTR {
      constexpr size_t kSets = decltype(sets_tag)::value;
      ScoreSet sets[kSets];
      for (size_t s = 0; s < kSets; ++s) {
        sets[s] = {scratch_.scores + (i + s) * stride, nullptr, out_positions(first_query + i + s),
                   out_scores(first_query + i + s)};
      }
      selector.template Select<kSets>(sets);
    });
  }

  // Sample s is this block. The last one, which may be partly filled, is never a sample.
  size_t SampleBlock(size_t s) const {
    return s * (n_ / kBlockRows) / FloatTopKPlan::kSampleBlocks;
  }

  // How many of a sample's maxima (SetLimits) should reach the first limit. The K best are expected
  // in a sample by their share of the rows; a margin for the scatter of that number, which is a
  // Poisson number, gives the rank that the limit should have there. Scores of that rank, spread
  // evenly, lie in fewer groups, for some share one. A limit too high costs another pass: so for
  // 0.4 % of queries on generated histories at L 1,024 and 0.1 % at 16,384; with 1.5 deviations it
  // is 2.4 and 0.4 %. Lists get 2.3 K long, against 2.6 K where the rank itself is taken.
  size_t SampleMaxima() const {
    constexpr float kDeviations = 2.5f, kLeastMargin = 2.0f;
    constexpr float kRows = FloatTopKPlan::kSampleRows;
    const float expected = static_cast<float>(plan_.keep) * kRows / static_cast<float>(n_);
    const float rank = expected + kDeviations * std::sqrt(expected) + kLeastMargin;
    float none_reaches = 1.0f;  // of a group
    for (size_t i = 0; i < kSampleGroup; ++i) none_reaches *= 1.0f - rank / kRows;
    return static_cast<size_t>(kRows / kSampleGroup * (1.0f - none_reaches));
  }

  // Scores the sample and sets the first limits of a tile.
  void SampleLimits(size_t tile) {
    constexpr size_t kRows = FloatTopKPlan::kSampleRows;
    for (size_t s = 0; s < FloatTopKPlan::kSampleBlocks; ++s) {
      scorer_.Score(SampleBlock(s), StoreScores{scratch_.samples + s * kBlockRows, kRows});
    }
    const size_t maxima = SampleMaxima();
    InGroups(tile, [&](size_t i, auto sets_tag) HWY_ATTR {
      constexpr size_t kSets = decltype(sets_tag)::value;
      const float* scores[kSets];
      ScoreList* lists[kSets];
      for (size_t s = 0; s < kSets; ++s) {
        scores[s] = scratch_.samples + (i + s) * kRows;
        lists[s] = scratch_.lists + i + s;
      }
      SetLimits(scores, kRows, kSampleGroup, maxima, lists);
    });
  }

  // Appends what reaches the limits among the stored scores of a block's first `rows` rows.
  void ListStored(const float* scores, size_t stride, size_t rows, size_t block, size_t tile) {
    for (size_t q = 0; q < tile; ++q) {
      AppendReachedOfBlock(scores + q * stride, rows, static_cast<int32_t>(block * kBlockRows),
                           scratch_.lists[q]);
    }
  }

  // Scores the first `rows` rows of a block and appends what reaches the limits.
  HWY_INLINE void ScoreBlock(size_t block, size_t rows, size_t tile) {
#if ETA_SIMD_HAS_BYTE_COMPRESS
    if (HWY_LIKELY(rows == kBlockRows)) {
      scorer_.Score(block, ListScores{scratch_.lists, static_cast<int32_t>(block * kBlockRows)});
      return;
    }
#endif
    scorer_.Score(block, StoreScores{scratch_.block, kBlockRows});
    ListStored(scratch_.block, kBlockRows, rows, block, tile);
  }

  // A list that is too long is cut, which raises its limit.
  HWY_NOINLINE void CutLongLists(size_t tile, const ScoreListWork& work) {
    for (size_t q = 0; q < tile; ++q) {
      ScoreList* const list[1] = {scratch_.lists + q};
      if (HWY_LIKELY(list[0]->count <= plan_.cut_above)) continue;
      if (list[0]->limit == kLowestScore) RaiseLimit(*list[0]);
      CutToBest(list, plan_.keep, options_.ties, true, work);
      RaiseLimit(*list[0]);
    }
  }

  void RunFused(size_t first_query, size_t tile) {
    ScratchPieces pieces = scratch_.fused;
    const FloatSelectScratch select(n_, 1, pieces);
    SampleLimits(tile);
    const size_t whole = n_ / kBlockRows, rest = n_ % kBlockRows;
    size_t sample = 0;
    for (size_t block = 0; block < whole; ++block) {
      if (sample < FloatTopKPlan::kSampleBlocks && block == SampleBlock(sample)) {
        ListStored(scratch_.samples + sample * kBlockRows, FloatTopKPlan::kSampleRows, kBlockRows,
                   block, tile);
        ++sample;
      } else {
        ScoreBlock(block, kBlockRows, tile);
      }
      if (plan_.list_rows < n_ && (block + 1) % (FloatTopKPlan::kChunkRows / kBlockRows) == 0) {
        CutLongLists(tile, select.work);
      }
    }
    if (rest != 0) ScoreBlock(whole, rest, tile);
    Finish(first_query, tile, select);
  }

  // Writes the result rows of a tile from its lists.
  void Finish(size_t first_query, size_t tile, const FloatSelectScratch& select) {
    ScoreList* lists[kFloatTopKTile];
    size_t queries[kFloatTopKTile], short_of[kFloatTopKTile];
    size_t count = 0, num_short = 0;
    for (size_t q = 0; q < tile; ++q) {
      // A NaN ranks as -infinity, and a list has none.
      const ScoreList& list = scratch_.lists[q];
      if (HWY_UNLIKELY(list.count < plan_.keep || list.limit == kLowestScore)) {
        short_of[num_short++] = first_query + q;
        continue;
      }
      queries[count] = first_query + q;
      lists[count++] = scratch_.lists + q;
    }
    const bool needs_scores = NeedsScores(options_, result_.values);
    InGroups(count, [&](size_t i, auto sets_tag) HWY_ATTR {
      constexpr size_t kSets = decltype(sets_tag)::value;
      ScoreList* group[kSets];
      for (size_t s = 0; s < kSets; ++s) group[s] = lists[i + s];
      CutToBest(group, plan_.keep, options_.ties, needs_scores, select.work);
      for (size_t s = 0; s < kSets; ++s) {
        WriteList(*group[s], options_, select.work.keys, out_positions(queries[i + s]),
                  out_scores(queries[i + s]));
      }
    });
    for (size_t i = 0; i < num_short; ++i) SelectAgain(short_of[i], select);
  }

  // One query whose limit was too high, or that has NaN among its scores: all are stored.
  HWY_NOINLINE void SelectAgain(size_t q, const FloatSelectScratch& select) {
    scorer_.Begin(q, 1);
    StoreAll(scratch_.fused_scores, 0);
    const ScoreSet set = {scratch_.fused_scores, nullptr, out_positions(q), out_scores(q)};
    FloatSelector(n_, options_, select).Select<1>(&set);
  }

  const size_t n_;
  const size_t num_queries_;
  const TopKOptions options_;
  const TopKResult<float> result_;
  Scorer& scorer_;
  const FloatTopKPlan plan_;
  FloatTopKScratch scratch_;
};

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
