// SPDX-License-Identifier: Apache-2.0
// Exact top-K of float32 scores that are stored, for a few sets of them in step: a limit that at
// least K scores reach, a list of those that reach it, the list cut to its K best. Equal scores,
// NaN and infinities cost time, never exactness.

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
#include <functional>

#include "hwy/highway.h"
#include "simd/internal/float_cut-inl.h"
#include "simd/internal/float_list-inl.h"
#include "simd/views.h"

#ifndef ETA_SIMD_FLOAT_SELECT_TYPES_
#define ETA_SIMD_FLOAT_SELECT_TYPES_
namespace eta::simd {

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
      SetLimits(scores, n_, k_, lists);
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
  // Up to so many times k scores are all listed: a limit would leave half of them.
  static constexpr size_t kListAll = 3;

  // Lists what reaches the list's limit and sets its range; false where that is all scores, and a
  // NaN is among them.
  HWY_INLINE bool List(const float* scores, ScoreList& list) const {
    if (list.limit == kLowestScore) {
      if (!ListAll(scores, list)) return false;
    } else {
      for (size_t i = 0; i < n_; i += kBlockRows) {
        AppendReachedOfBlock(scores + i, HWY_MIN(kBlockRows, n_ - i), static_cast<int32_t>(i),
                             list);
      }
    }
    SetRange(list);
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
