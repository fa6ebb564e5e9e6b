// SPDX-License-Identifier: Apache-2.0
// Exact top-K of float32 scores in three steps.
// 1. A threshold: the scores are cut into 2K or more groups, and about K of the groups' maxima
// reach
//    it, so at least K scores do. Few others do: about 1.5 K of independent scores in all.
// 2. The scores that reach the threshold become a list.
// 3. The interval that holds the K-th score is split until it holds no more scores of the list than
//    a vector has lanes. Those are ranked by comparing all pairs.
// Equal scores, NaN and infinities cost time, never exactness.
// "Simulated" below: 300 sets of normal scores for each of 512 to 16,384 scores with K 16 to 256,
// the same for sums of a normal score and one of five centres three times as far apart, vectors of
// 4, 8 and 16 lanes (2026-11).

// clang-format off
#if defined(ETA_SIMD_FLOAT_SELECT_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_FLOAT_SELECT_INL_H_
#undef ETA_SIMD_FLOAT_SELECT_INL_H_
#else
#define ETA_SIMD_FLOAT_SELECT_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>

#include "hwy/highway.h"
#include "simd/internal/compress-inl.h"
#include "simd/views.h"

#ifndef ETA_SIMD_FLOAT_SELECT_TYPES_
#define ETA_SIMD_FLOAT_SELECT_TYPES_
namespace eta::simd {

// The most lanes of a vector that a FloatSelector takes.
inline constexpr size_t kFloatSelectLanes = 16;

// Scratch of a FloatSelector for n scores, 8-byte aligned: scores and positions of the list, with
// room for a whole vector behind the last.
constexpr size_t FloatSelectScratchBytes(size_t n) {
  return 2 * (n + kFloatSelectLanes) * sizeof(float);
}

// A score and a position as one integer, larger is better: equal scores compare by position.
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

}  // namespace eta::simd
#endif  // ETA_SIMD_FLOAT_SELECT_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

// Selects the K best of n scores, again and again.
class FloatSelector {
 public:
  // `scratch` has FloatSelectScratchBytes(n), aligned to 8 bytes; n and k are at least 1.
  HWY_INLINE FloatSelector(size_t n, const TopKOptions& options, void* scratch)
      : n_(n),
        k_(HWY_MIN(options.k, n)),
        ties_(options.ties),
        order_(options.order),
        list_scores_(static_cast<float*>(scratch)),
        list_positions_(static_cast<int32_t*>(scratch) + n + kFloatSelectLanes) {}

  // Writes min(k, n) positions and, unless `out_scores` is null, their scores. PaddedRows(n) scores
  // can be read.
  HWY_INLINE void Select(const float* scores, int32_t* positions, float* out_scores) {
    if (k_ == n_) {
      for (size_t i = 0; i < n_; ++i) positions[i] = static_cast<int32_t>(i);
    } else {
      const float threshold = LowerBound(scores);
      const size_t count = threshold == kLowest ? ListAll(scores) : ListAtLeast(scores, threshold);
      KeepBest(count, threshold, positions);
    }
    if (order_ == ResultOrder::kSorted) Sort(scores, positions);
    if (out_scores == nullptr) return;
    for (size_t i = 0; i < k_; ++i) out_scores[i] = scores[positions[i]];
  }

 private:
  using D = hn::CappedTag<float, kFloatSelectLanes>;
  using DI = hn::RebindToSigned<D>;
  using V = hn::Vec<D>;
  static constexpr float kLowest = -std::numeric_limits<float>::infinity();

  // The threshold is searched by halving the interval between the least and the largest maximum.
  // Between k and 1.125 k maxima are close enough: 4.3 halvings and a list of 1.45 k scores for
  // 1,024 scores and k = 64 (simulated). With 1/16 these are 5.1 and 1.39 k, with 1/4 3.4 and
  // 1.59 k: what one step saves the other pays.
  static constexpr size_t kThresholdSlack = 8;  // k / 8
  // No simulated search took more than 8. Where scores are so skewed that one does, a longer list
  // costs less than further halvings.
  static constexpr int kMaxHalvings = 12;
  // No simulated search for the K-th score of the list took more than 12 splits by value. A further
  // split is by the order of floats, which ends every search within 32.
  static constexpr int kMaxSplitsByValue = 12;

  // Holds the k-th score: at least k scores of the list reach low, fewer reach high. Where
  // reach_high is 0, high is above all of them.
  struct Interval {
    float low, high;
    size_t reach_low, reach_high;
  };

  // Where to split the interval between the threshold and the largest of `count` listed scores
  // first. If these fall off exponentially, the k-th lies ln(count / k) / ln(count) of the way up.
  // For lists of some 50 scores little longer than k that is about (count - k) / (4 count). Split
  // twice as far up, so that the k-th score is most probably in the lower part: that is the small
  // one. Simulated with k = 64 the search then takes 2.8 splits, against 4.8 at the estimate itself
  // (either form) and 4.3 with halvings only.
  float FirstFraction(size_t count) const {
    return 0.5f * static_cast<float>(count - k_) / static_cast<float>(count);
  }

  // Applies f(vector, index of its first lane, mask of its valid lanes) to all n scores.
  template <class F>
  HWY_INLINE void ForEachVector(const float* scores, F f) const {
    const D d;
    const size_t N = hn::Lanes(d);
    const auto all = hn::FirstN(d, N);
    size_t i = 0;
    for (; i + N <= n_; i += N) f(hn::LoadU(d, scores + i), i, all);
    if (i != n_) f(hn::LoadU(d, scores + i), i, hn::FirstN(d, n_ - i));
  }

  // How many of `count` values (filled up with -infinity to whole vectors) are at least t.
  static HWY_INLINE size_t CountAtLeast(const float* values, size_t count, float threshold) {
    const D d;
    const auto t = hn::Set(d, threshold);
    size_t reached = 0;
    for (size_t i = 0; i < count; i += hn::Lanes(d)) {
      reached += hn::CountTrue(d, hn::Ge(hn::LoadU(d, values + i), t));
    }
    return reached;
  }

  // A threshold that at least k scores reach, -infinity where there is no other. Scores past the
  // last whole group are left out; NaN is never a maximum.
  HWY_INLINE float LowerBound(const float* scores) {
    const D d;
    const size_t N = hn::Lanes(d);
    const size_t vectors = n_ / N;
    size_t group = vectors * N / (2 * k_);
    if (group == 0) group = 1;
    const size_t groups = vectors / group * N;
    if (groups < k_) return kLowest;
    float* maxima = list_scores_;
    auto least = hn::Set(d, -kLowest), most = hn::Set(d, kLowest);
    for (size_t i = 0; i < groups; i += N) {
      auto best = hn::Set(d, kLowest);
      for (size_t j = 0; j < group; ++j) {
        const auto v = hn::LoadU(d, scores + i * group + j * N);
        best = hn::IfThenElse(hn::Gt(v, best), v, best);
      }
      hn::StoreU(best, d, maxima + i);
      least = hn::Min(least, best);
      most = hn::Max(most, best);
    }
    float low = hn::GetLane(hn::MinOfLanes(d, least));
    float high = hn::GetLane(hn::MaxOfLanes(d, most));
    for (int i = 0; i < kMaxHalvings; ++i) {
      const float middle = low + (high - low) * 0.5f;
      if (!(middle > low && middle < high)) break;
      const size_t reached = CountAtLeast(maxima, groups, middle);
      (reached >= k_ ? low : high) = middle;
      if (reached >= k_ && reached <= k_ + k_ / kThresholdSlack) break;
    }
    return low;
  }

  // Lists scores and positions, oldest first, of what reaches the threshold; returns how many.
  HWY_INLINE size_t ListAtLeast(const float* scores, float threshold) {
    const D d;
    const DI di;
    const auto t = hn::Set(d, threshold);
    const auto lanes = hn::Iota(di, 0);
    size_t count = 0;
    ForEachVector(scores, [&](V v, size_t first, hn::Mask<D> valid) HWY_ATTR {
      const auto mask = hn::And(hn::Ge(v, t), valid);
      const auto positions = hn::Add(lanes, hn::Set(di, static_cast<int32_t>(first)));
      size_t reached;
      const auto plan = PlanCompress(d, mask, reached);
      StoreCompressed(d, plan, v, list_scores_ + count);
      StoreCompressed(d, plan, positions, list_positions_ + count);
      count += reached;
    });
    hn::StoreU(hn::Set(d, kLowest), d, list_scores_ + count);
    return count;
  }

  // The same for all scores; NaN becomes -infinity.
  HWY_INLINE size_t ListAll(const float* scores) {
    for (size_t i = 0; i < n_; ++i) {
      list_scores_[i] = scores[i] == scores[i] ? scores[i] : kLowest;
      list_positions_[i] = static_cast<int32_t>(i);
    }
    hn::StoreU(hn::Set(D(), kLowest), D(), list_scores_ + n_);
    return n_;
  }

  // A value between low and high, both excluded, or low if there is none. By value it lies
  // `fraction` of the way up; by order it has as many floats below it as above.
  static HWY_INLINE float Between(float low, float high, float fraction, bool by_order) {
    const float middle = low + (high - low) * fraction;
    if (!by_order && middle > low && middle < high) return middle;
    const int64_t a = Ordinal(low), b = Ordinal(high);
    return b - a < 2 ? low : FromOrdinal(a + (b - a) / 2);
  }

  // Numbers floats in their order; both zeros are 0.
  static HWY_INLINE int64_t Ordinal(float x) {
    int32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    return bits >= 0 ? bits : -static_cast<int64_t>(bits & 0x7FFFFFFF);
  }
  static HWY_INLINE float FromOrdinal(int64_t i) {
    const uint32_t bits =
        i >= 0 ? static_cast<uint32_t>(i) : static_cast<uint32_t>(-i) | (1u << 31);
    float x;
    std::memcpy(&x, &bits, sizeof(x));
    return x;
  }

  HWY_INLINE float MaxOfList(size_t count) const {
    const D d;
    auto most = hn::Set(d, kLowest);
    for (size_t i = 0; i < count; i += hn::Lanes(d)) {
      most = hn::Max(most, hn::LoadU(d, list_scores_ + i));
    }
    return hn::GetLane(hn::MaxOfLanes(d, most));
  }

  // Splits the interval until it holds no more scores than a vector has lanes, or only equal ones.
  HWY_INLINE Interval Narrow(size_t count, float low) const {
    const size_t N = hn::Lanes(D());
    Interval in = {low, MaxOfList(count), count, 0};
    float fraction = FirstFraction(count);
    for (int step = 0; in.reach_low - in.reach_high > N && in.reach_low != k_; ++step) {
      float middle = Between(in.low, in.high, fraction, step >= kMaxSplitsByValue);
      const bool nothing_between = middle == in.low;
      if (nothing_between) {
        if (in.reach_high != 0) break;
        middle = in.high;  // the maximum, not counted yet
      }
      const size_t reached = CountAtLeast(list_scores_, count, middle);
      if (reached >= k_) {
        in.low = middle;
        in.reach_low = reached;
      } else {
        in.high = middle;
        in.reach_high = reached;
      }
      if (nothing_between) break;
      fraction = 0.5f;
    }
    return in;
  }

  // Writes the positions of the k best of the list, whose scores all reach `low`.
  HWY_INLINE void KeepBest(size_t count, float low, int32_t* positions) {
    const D d;
    const DI di;
    const size_t N = hn::Lanes(d);
    Interval in = Narrow(count, low);
    if (in.reach_low == k_) in = {in.low, in.low, k_, k_};
    const auto low_v = hn::Set(d, in.low), high_v = hn::Set(d, in.high);
    const auto none = hn::FirstN(d, 0);
    HWY_ALIGN float inside_scores[2 * kFloatSelectLanes] = {0.0f};
    // Both lists are overwritten only where they have been read: the positions by those above the
    // interval, the scores by the positions of those inside.
    auto* inside_positions = reinterpret_cast<int32_t*>(list_scores_);
    size_t above = 0, inside = 0;
    for (size_t i = 0; i < count; i += N) {
      const auto v = hn::LoadU(d, list_scores_ + i);
      const auto position = hn::LoadU(di, list_positions_ + i);
      const auto valid = hn::FirstN(d, HWY_MIN(N, count - i));
      const auto is_above = in.reach_high == 0 ? none : hn::And(hn::Ge(v, high_v), valid);
      const auto is_inside = hn::AndNot(is_above, hn::And(hn::Ge(v, low_v), valid));
      size_t now_above, now_inside;
      const auto plan_above = PlanCompress(d, is_above, now_above);
      const auto plan_inside = PlanCompress(d, is_inside, now_inside);
      StoreCompressed(d, plan_above, position, list_positions_ + above);
      StoreCompressed(d, plan_inside, position, inside_positions + inside);
      if (inside < kFloatSelectLanes) StoreCompressed(d, plan_inside, v, inside_scores + inside);
      above += now_above;
      inside += now_inside;
    }
    std::memcpy(positions, list_positions_, above * sizeof(int32_t));
    const size_t take = k_ - above;
    if (take == 0) return;
    if (inside <= N) RankInside(inside_scores, inside, take, inside_positions);
    const size_t skip = inside > N && ties_ == TieOrder::kNewestFirst ? inside - take : 0;
    std::memcpy(positions + above, inside_positions + skip, take * sizeof(int32_t));
  }

  // Moves the positions of the `take` best of `count` scores, one vector, to the front.
  HWY_INLINE void RankInside(const float* scores, size_t count, size_t take,
                             int32_t* positions) const {
    const D d;
    const DI di;
    const auto v = hn::LoadU(d, scores);
    auto rank = hn::Zero(di);  // how many are better
    for (size_t j = 0; j < count; ++j) {
      const auto other = hn::Set(d, scores[j]);
      const auto older = hn::FirstN(d, ties_ == TieOrder::kNewestFirst ? j : j + 1);
      const auto equal = hn::Eq(other, v);
      const auto tie =
          ties_ == TieOrder::kNewestFirst ? hn::And(equal, older) : hn::AndNot(older, equal);
      const auto better = hn::RebindMask(di, hn::Or(hn::Gt(other, v), tie));
      rank = hn::Sub(rank, hn::VecFromMask(di, better));
    }
    const auto best =
        hn::And(hn::Lt(rank, hn::Set(di, static_cast<int32_t>(take))), hn::FirstN(di, count));
    size_t kept;
    const auto plan = PlanCompress(di, best, kept);
    StoreCompressed(di, plan, hn::LoadU(di, positions), positions);
  }

  // Best score first. std::sort takes 0.3 us of 0.9 us for k = 64 and 5.5 us of
  // 6.3 us for k = 256, at 1,024 int8 rows of 64 dimensions (Zen 4, AVX3_DL, 2026-11).
  void Sort(const float* scores, int32_t* positions) {
    auto* keys = reinterpret_cast<uint64_t*>(list_scores_);
    for (size_t i = 0; i < k_; ++i) {
      keys[i] = ScoreKey(scores[positions[i]], static_cast<uint32_t>(positions[i]), ties_);
    }
    std::sort(keys, keys + k_, std::greater<uint64_t>());
    for (size_t i = 0; i < k_; ++i) positions[i] = PositionOfKey(keys[i], ties_);
  }

  size_t n_;
  size_t k_;
  TieOrder ties_;
  ResultOrder order_;
  float* list_scores_;
  int32_t* list_positions_;
};

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
