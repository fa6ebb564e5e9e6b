// SPDX-License-Identifier: Apache-2.0
// Cuts lists of scores (float_list-inl.h) to their K best and sorts these; and exact top-K of
// scores that are stored: a limit that at least K of them reach, a list of those, the list cut.
//
// Coarse ranks are compared first: bytes, or 16 bits, that grow as scores fall, in even steps over
// the range of a list. So a vector holds four times as many of them, and the search for the K-th
// takes 8 steps for any scores. Among the scores that share the K-th coarse rank, two or three, the
// K-th is found by comparing floats. Equal scores, infinities and outliers make this group larger;
// they cost time, never exactness.

// clang-format off
#if defined(ETA_SIMD_FLOAT_SELECT_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_FLOAT_SELECT_INL_H_
#undef ETA_SIMD_FLOAT_SELECT_INL_H_
#else
#define ETA_SIMD_FLOAT_SELECT_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>

#include "hwy/highway.h"
#include "simd/internal/compress-inl.h"
#include "simd/internal/float_list-inl.h"
#include "simd/internal/int_select-inl.h"
#include "simd/views.h"

#ifndef ETA_SIMD_FLOAT_SELECT_TYPES_
#define ETA_SIMD_FLOAT_SELECT_TYPES_
namespace eta::simd {

// A score and a position as one integer, larger is better: equal scores compare by position. NaN
// counts as -infinity.
inline uint64_t ScoreKey(float score, uint32_t position, TieOrder ties) {
  if (!(score == score)) score = -std::numeric_limits<float>::infinity();
  score += 0.0f;  // -0 becomes 0
  uint32_t bits;
  std::memcpy(&bits, &score, sizeof(bits));
  bits ^= (bits >> 31) != 0 ? 0xFFFFFFFFu : 0x80000000u;
  const uint32_t tie = ties == TieOrder::kNewestFirst ? position : ~position;
  return (static_cast<uint64_t>(bits) << 32) | tie;
}

inline int32_t PositionOfKey(uint64_t key, TieOrder ties) {
  const auto tie = static_cast<uint32_t>(key);
  return static_cast<int32_t>(ties == TieOrder::kNewestFirst ? tie : ~tie);
}

// A set of scores to select from, and where its result row goes.
struct ScoreSet {
  const float* scores;
  const int32_t* positions;  // of the scores, ascending; null for 0, 1, ...
  int32_t* out_positions;
  float* out_scores;  // null when not wanted
};

// What a FloatSelector of n scores for `sets` sets at a time works with.
struct FloatSelectScratch {
  FloatSelectScratch(size_t n, size_t sets, ScratchPieces& pieces) {
    for (size_t s = 0; s < sets; ++s) lists[s] = pieces.TakeList(n);
    work = pieces.TakeWork(n);
  }

  ScoreList lists[kFloatGroup];
  ScoreListWork work;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_FLOAT_SELECT_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

// The K-th best score of a list, and how many equal ones there are and belong to the K best.
struct KthScore {
  float score;
  size_t equal, wanted;
};

// The score at rank `wanted` of `count` scores, from 1 to count. The scores and a vector behind
// them are overwritten.
HWY_INLINE KthScore FindKthScore(float* scores, size_t count, size_t wanted) {
  const ScoreTag d;
  const size_t N = hn::Lanes(d);
  const auto none = hn::Set(d, kLowestScore);
  hn::StoreU(none, d, scores + count);
  // The best score is taken away with all equal ones, until it is the one: at once for half of the
  // cuts on generated histories, where all are equal. Many different scores are sorted instead.
  constexpr int kMaxSteps = 8;
  size_t left = count;
  for (int step = 0; step < kMaxSteps; ++step) {
    auto best = none;
    for (size_t i = 0; i < count; i += N) best = hn::Max(best, hn::LoadU(d, scores + i));
    best = hn::MaxOfLanes(d, best);
    size_t equal = 0;
    for (size_t i = 0; i < count; i += N) {
      const auto v = hn::LoadU(d, scores + i);
      const auto is_best = hn::Eq(v, best);
      equal += hn::CountTrue(d, is_best);
      hn::StoreU(hn::IfThenElse(is_best, none, v), d, scores + i);
    }
    equal = HWY_MIN(equal, left);  // those taken away are no scores of -infinity
    if (wanted <= equal) return {hn::GetLane(best), equal, wanted};
    wanted -= equal;
    left -= equal;
  }
  std::sort(scores, scores + count, std::greater<float>());
  const float score = scores[wanted - 1];
  const auto first = std::lower_bound(scores, scores + left, score, std::greater<float>());
  const auto last = std::upper_bound(first, scores + left, score, std::greater<float>());
  return {score, static_cast<size_t>(last - first), wanted - static_cast<size_t>(first - scores)};
}

// Copies the scores at a coarse rank to `to`, in order; returns how many there are. Writes up to a
// vector more.
HWY_INLINE size_t CopyScoresAtRank(const ScoreList& list, const uint8_t* ranks, size_t rank,
                                   float* to) {
  const auto t = hn::Set(DistanceTag<uint8_t>(), static_cast<uint8_t>(rank));
  size_t count = 0;
  for (size_t i = 0; i < list.count; i += kBlockRows) {
    uint64_t less, equal;
    CompareBlock(ranks + i, t, less, equal);
    CompressBlock(equal, list.scores + i, to + count);
    count += hwy::PopCount(equal);
  }
  return count;
}

// Compares 64 scores with t: bit i of `larger` and `equal` is entry i.
HWY_INLINE void CompareScores(const float* scores, ScoreVector t, uint64_t& larger,
                              uint64_t& equal) {
  const ScoreTag d;
  larger = equal = 0;
  for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, scores + lane);
    larger |= MaskBits(d, hn::Gt(v, t)) << lane;
    equal |= MaskBits(d, hn::Eq(v, t)) << lane;
  }
}

// Cuts a list to its k best, given its padded coarse ranks and the k-th of these. Scores are cut
// only where they are wanted.
HWY_INLINE void CutAtRank(ScoreList& list, const uint8_t* ranks, size_t kth, size_t k,
                          TieOrder ties, bool keep_scores, const ScoreListWork& work) {
  const size_t better = CountBelow(ranks, PaddedRows(list.count), kth);
  const size_t group = CopyScoresAtRank(list, ranks, kth, work.scores);
  const KthScore kth_score = FindKthScore(work.scores, group, k - better);
  const auto t = hn::Set(ScoreTag(), kth_score.score);
  TiesAtKth ties_at_kth(kth_score.equal, kth_score.wanted, ties);
  size_t count = 0;
  for (size_t i = 0; i < list.count; i += kBlockRows) {
    const uint64_t valid = ~uint64_t{0} >> (kBlockRows - HWY_MIN(list.count - i, kBlockRows));
    uint64_t larger, equal;
    CompareScores(list.scores + i, t, larger, equal);
    const uint64_t best = (larger & valid) | ties_at_kth.Take(equal & valid);
    if (keep_scores) CompressBlock(best, list.scores + i, list.scores + count);
    CompressBlock(best, list.positions + i, list.positions + count);
    count += hwy::PopCount(best);
  }
  list.count = k;
}

// Cuts lists to their k best, oldest first. Each has at least k entries, and all reach its limit;
// k >= 1.
template <size_t kSets>
HWY_INLINE void CutToBest(ScoreList* const (&lists)[kSets], size_t k, TieOrder ties,
                          bool keep_scores, const ScoreListWork& work) {
  constexpr size_t kMost = std::numeric_limits<uint8_t>::max() - 1;
  size_t padded = 0;
  for (size_t s = 0; s < kSets; ++s) {
    CoarseRanks(*lists[s], HighScore(*lists[s], k), work.ranks[s]);
    padded = HWY_MAX(padded, PaddedRows(lists[s]->count));
  }
  const uint8_t* ranks[kSets];
  size_t kth[kSets] = {0};
  for (size_t s = 0; s < kSets; ++s) {
    PadList<uint8_t>({work.ranks[s], nullptr, lists[s]->count}, padded);
    ranks[s] = work.ranks[s];
  }
  HalveToKth(ranks, padded, k, kMost, kMost + 2, kth);
  for (size_t s = 0; s < kSets; ++s) {
    CutAtRank(*lists[s], work.ranks[s], kth[s], k, ties, keep_scores, work);
  }
}

// Puts scores that are in order up to a few neighbours in order, positions with them. Equal ones
// stay as they are.
HWY_INLINE void SortNeighbours(float* scores, int32_t* positions, size_t count) {
  for (size_t i = 1; i < count; ++i) {
    const float score = scores[i];
    if (HWY_LIKELY(score <= scores[i - 1])) continue;
    const int32_t position = positions[i];
    size_t to = i;
    for (; to > 0 && scores[to - 1] < score; --to) {
      scores[to] = scores[to - 1];
      positions[to] = positions[to - 1];
    }
    scores[to] = score;
    positions[to] = position;
  }
}

// Writes a list, best score first. Lists of up to kMaxRanked are ranked by comparing all pairs of
// 16-bit coarse ranks.
HWY_INLINE void WriteSorted(ScoreList& list, TieOrder ties, uint64_t* keys, int32_t* positions,
                            float* scores) {
  const size_t count = list.count;
  if (count > kMaxRanked) {
    for (size_t i = 0; i < count; ++i) {
      keys[i] = ScoreKey(list.scores[i], static_cast<uint32_t>(i), ties);
    }
    std::sort(keys, keys + count, std::greater<uint64_t>());
    for (size_t i = 0; i < count; ++i) {
      const auto entry = static_cast<size_t>(PositionOfKey(keys[i], ties));
      positions[i] = list.positions[entry];
      if (scores != nullptr) scores[i] = list.scores[entry];
    }
    return;
  }
  HWY_ALIGN uint16_t coarse[kMaxRanked + 2 * kBlockRows];
  HWY_ALIGN uint16_t ranks[kMaxRanked];
  RaiseLimit(list);
  CoarseRanks(list, *std::max_element(list.scores, list.scores + count), coarse);
  PadList<uint16_t>({coarse, nullptr, count}, 0);
  RankNearest(coarse, count, ties, ranks);
  float sorted[kMaxRanked];
  for (size_t i = 0; i < count; ++i) {
    positions[ranks[i]] = list.positions[i];
    sorted[ranks[i]] = list.scores[i];
  }
  SortNeighbours(sorted, positions, count);
  if (scores != nullptr) std::copy_n(sorted, count, scores);
}

// Whether result rows need the scores of a list.
inline bool NeedsScores(const TopKOptions& options, const float* scores) {
  return options.order == ResultOrder::kSorted || scores != nullptr;
}

// Writes a list as a result row; `scores` may be null.
HWY_INLINE void WriteList(ScoreList& list, const TopKOptions& options, uint64_t* keys,
                          int32_t* positions, float* scores) {
  if (options.order == ResultOrder::kSorted) {
    WriteSorted(list, options.ties, keys, positions, scores);
    return;
  }
  CopyPositions(list.positions, list.count, positions);
  if (scores != nullptr) std::memcpy(scores, list.scores, list.count * sizeof(float));
}

// Selects the k best of n scores, again and again.
class FloatSelector {
 public:
  // n is at least 1.
  HWY_INLINE FloatSelector(size_t n, const TopKOptions& options, const FloatSelectScratch& scratch)
      : n_(n), k_(HWY_MIN(options.k, n)), options_(options), scratch_(scratch) {}

  // Writes min(k, n) positions and scores of each set. PaddedRows(n) scores of each can be read.
  // The scratch is for kSets sets.
  template <size_t kSets>
  HWY_INLINE void Select(const ScoreSet* sets) {
    ScoreList* lists[kSets];
    for (size_t s = 0; s < kSets; ++s) lists[s] = scratch_.lists + s;
    if (n_ > kListAll * k_) {
      const float* scores[kSets];
      for (size_t s = 0; s < kSets; ++s) scores[s] = sets[s].scores;
      SetLimits(scores, n_, n_ / (2 * k_), k_, lists);  // groups of one or more: n > kListAll * k
    } else {
      for (ScoreList* list : lists) list->limit = kLowestScore;
    }
    bool has_nan = false;
    for (size_t s = 0; s < kSets; ++s) has_nan |= !List(sets[s].scores, *lists[s]);
    if (HWY_UNLIKELY(has_nan)) {
      for (size_t s = 0; s < kSets; ++s) SelectByKeys(sets[s]);
      return;
    }
    if (k_ != n_) {
      CutToBest(lists, k_, options_.ties, NeedsScores(options_, sets[0].out_scores), scratch_.work);
    }
    for (size_t s = 0; s < kSets; ++s) Write(*lists[s], sets[s]);
  }

 private:
  // Up to so many times k scores are all listed: a limit would leave half of them. At least 2.
  static constexpr size_t kListAll = 3;

  // Lists what reaches the list's limit, which becomes a score where it is none; false where that
  // is all scores, and a NaN is among them.
  HWY_INLINE bool List(const float* scores, ScoreList& list) const {
    if (list.limit == kLowestScore) {
      if (!ListAll(scores, list)) return false;
    } else {
      for (size_t i = 0; i < n_; i += kBlockRows) {
        AppendReachedOfBlock(scores + i, HWY_MIN(kBlockRows, n_ - i), static_cast<int32_t>(i),
                             list);
      }
    }
    if (list.limit == kLowestScore) RaiseLimit(list);
    return true;
  }

  HWY_INLINE bool ListAll(const float* scores, ScoreList& list) const {
    const ScoreTag d;
    const hn::RebindToSigned<ScoreTag> di;
    const size_t N = hn::Lanes(d);
    auto position = hn::Iota(di, 0);
    auto is_number = hn::FirstN(d, N);
    for (size_t i = 0; i < n_; i += N) {
      const auto v = hn::LoadU(d, scores + i);
      const auto past_end = hn::Not(hn::FirstN(d, HWY_MIN(N, n_ - i)));
      is_number = hn::And(is_number, hn::Or(hn::Eq(v, v), past_end));
      hn::StoreU(v, d, list.scores + i);
      hn::StoreU(position, di, list.positions + i);
      position = hn::Add(position, hn::Set(di, static_cast<int32_t>(N)));
    }
    list.count = n_;
    return hn::AllTrue(d, is_number);
  }

  HWY_INLINE void Write(ScoreList& list, const ScoreSet& set) const {
    WriteList(list, options_, scratch_.work.keys, set.out_positions, set.out_scores);
    if (set.positions == nullptr) return;
    for (size_t i = 0; i < k_; ++i) set.out_positions[i] = set.positions[set.out_positions[i]];
  }

  // Selects among scores some of which are NaN.
  HWY_NOINLINE void SelectByKeys(const ScoreSet& set) const {
    uint64_t* keys = scratch_.work.keys;
    for (size_t i = 0; i < n_; ++i) {
      keys[i] = ScoreKey(set.scores[i], static_cast<uint32_t>(i), options_.ties);
    }
    const auto better = std::greater<uint64_t>();
    if (k_ != n_) std::nth_element(keys, keys + k_, keys + n_, better);
    if (options_.order == ResultOrder::kSorted) std::sort(keys, keys + k_, better);
    for (size_t i = 0; i < k_; ++i) {
      const int32_t at = PositionOfKey(keys[i], options_.ties);
      set.out_positions[i] = set.positions == nullptr ? at : set.positions[at];
      if (set.out_scores != nullptr) set.out_scores[i] = set.scores[at];
    }
  }

  size_t n_;
  size_t k_;
  TopKOptions options_;
  FloatSelectScratch scratch_;
};

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
