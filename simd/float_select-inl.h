// SPDX-License-Identifier: Apache-2.0
// Exact top-K of float32 scores: search a threshold that a few more than K scores reach, collect
// these, and halve the interval of thresholds on that handful until K are left. Where the search is
// at a loss (NaN, infinities, few or many equal scores) sortable 64-bit keys of all scores go to
// std::nth_element.

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
#include "simd/dot.h"

#ifndef ETA_SIMD_FLOAT_SELECT_TYPES_
#define ETA_SIMD_FLOAT_SELECT_TYPES_
namespace eta::simd {

// The arguments of DotTopK, n and k at least 1.
struct DotTopKArguments {
  const float* blocks;
  size_t n;
  size_t dim;
  const float* queries;
  size_t num_queries;
  size_t query_stride;
  size_t k;
  TieOrder ties;
  ResultOrder order;
  void* scratch;
  DotTopKResult result;
};

// Queries scored together: a history beyond the L2 cache is read once for all of them, and their
// scores still fit it (24 x 1,024 x 4 bytes = 96 KiB).
inline constexpr size_t kDotQueryTile = 24;

inline void* AlignUp(void* p, size_t alignment) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(p);
  return reinterpret_cast<void*>((address + alignment - 1) / alignment * alignment);
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

}  // namespace eta::simd
#endif  // ETA_SIMD_FLOAT_SELECT_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

class FloatSelector {
 public:
  // `keys` has room for n.
  HWY_INLINE FloatSelector(size_t n, size_t k, TieOrder ties, ResultOrder order, uint64_t* keys)
      : n_(n), k_(std::min(k, n)), ties_(ties), order_(order), keys_(keys) {}

  // Selects from n scores, of which PaddedRows(n) can be read; `out_scores` may be null.
  HWY_INLINE void Select(const float* scores, int32_t* positions, float* out_scores) {
    size_t count;
    const float threshold = FindThreshold(scores, count);
    // The list of scores and positions takes the room of the keys; vectors are stored whole.
    const bool listed = threshold > -std::numeric_limits<float>::infinity() && count + 16 <= n_;
    if (listed && order_ == ResultOrder::kAny) {
      SelectFromList(scores, threshold, count, positions, out_scores);
    } else {
      SelectByKeys(scores, threshold, positions, out_scores);
    }
  }

 private:
  using D = hn::CappedTag<float, 16>;

  void SelectByKeys(const float* scores, float threshold, int32_t* positions, float* out_scores) {
    const size_t count = Collect(scores, threshold);
    const auto better = std::greater<uint64_t>();
    if (k_ < count) std::nth_element(keys_, keys_ + k_, keys_ + count, better);
    if (order_ == ResultOrder::kSorted) std::sort(keys_, keys_ + k_, better);
    for (size_t i = 0; i < k_; ++i) {
      const auto tie = static_cast<uint32_t>(keys_[i]);
      const uint32_t position = ties_ == TieOrder::kNewestFirst ? tie : ~tie;
      positions[i] = static_cast<int32_t>(position);
      if (out_scores != nullptr) out_scores[i] = scores[position];
    }
  }

  // The `count` scores >= threshold, at least k, as a list oldest first; then its k best.
  void SelectFromList(const float* scores, float threshold, size_t count, int32_t* positions,
                      float* out_scores) {
    const D d;
    const hn::RebindToSigned<D> di;
    auto* list_scores = reinterpret_cast<float*>(keys_);
    auto* list_positions = reinterpret_cast<int32_t*>(list_scores + n_);
    const auto t = hn::Set(d, threshold);
    size_t listed = 0;
    ForEachVector(scores, [&](hn::Vec<D> v, size_t first, size_t valid) HWY_ATTR {
      auto mask = hn::Ge(v, t);
      if (valid != hn::Lanes(d)) mask = hn::And(mask, hn::FirstN(d, valid));
      hn::StoreU(hn::Compress(v, mask), d, list_scores + listed);
      hn::StoreU(hn::Compress(hn::Iota(di, static_cast<int32_t>(first)), hn::RebindMask(di, mask)),
                 di, list_positions + listed);
      listed += hn::CountTrue(d, mask);
    });
    hn::StoreU(hn::Set(d, -std::numeric_limits<float>::infinity()), d, list_scores + count);
    CopyBest(list_scores, list_positions, count, threshold, positions);
    if (out_scores == nullptr) return;
    for (size_t i = 0; i < k_; ++i) out_scores[i] = scores[positions[i]];
  }

  // Writes the positions of the k best of a list (followed by a vector of -infinity), given a score
  // that at least k reach.
  void CopyBest(const float* list_scores, int32_t* list_positions, size_t count, float low,
                int32_t* positions) const {
    const D d;
    const hn::RebindToSigned<D> di;
    float high = *std::max_element(list_scores, list_scores + count);
    size_t reached = count;  // low
    while (reached != k_) {
      const float middle = low + (high - low) * 0.5f;
      if (!(middle > low && middle < high)) break;
      const size_t here = CountInList(list_scores, count, middle);
      if (here >= k_) reached = here;
      (here >= k_ ? low : high) = middle;
    }
    if (reached == k_) {  // exactly the k best reach low
      const auto t = hn::Set(d, low);
      int32_t* out = list_positions;
      for (size_t i = 0; i < count; i += hn::Lanes(d)) {
        const auto mask = hn::Ge(hn::LoadU(d, list_scores + i), t);
        const auto v = hn::LoadU(di, list_positions + i);
        hn::StoreU(hn::Compress(v, hn::RebindMask(di, mask)), di, out);
        out += hn::CountTrue(d, mask);
      }
      std::memcpy(positions, list_positions, k_ * sizeof(int32_t));
      return;
    }
    // No float lies between low and high: either at least k reach high, or those that equal low
    // fill up what high leaves.
    const bool at_high = CountInList(list_scores, count, high) >= k_;
    const float kth = at_high ? high : low;
    size_t equal = 0, above = 0;
    for (size_t i = 0; i < count; ++i) {
      equal += list_scores[i] == kth;
      above += list_scores[i] > kth;
    }
    size_t drop = ties_ == TieOrder::kNewestFirst ? above + equal - k_ : 0;
    size_t take = k_ - above;  // of the equal ones, after `drop` of them
    for (size_t i = 0, out = 0; out < k_; ++i) {
      bool wanted = list_scores[i] > kth;
      if (list_scores[i] == kth) {
        if (drop != 0) {
          --drop;
        } else if (take != 0) {
          --take;
          wanted = true;
        }
      }
      positions[out] = list_positions[i];
      out += wanted;
    }
  }

  // How many of a list (followed by a vector of -infinity) are at least t.
  HWY_INLINE size_t CountInList(const float* list_scores, size_t count, float threshold) const {
    const D d;
    const auto t = hn::Set(d, threshold);
    size_t reached = 0;
    for (size_t i = 0; i < count; i += hn::Lanes(d)) {
      reached += hn::CountTrue(d, hn::Ge(hn::LoadU(d, list_scores + i), t));
    }
    return reached;
  }

  // Applies f(vector, index of its first lane, valid lanes) to all n scores.
  template <class F>
  HWY_INLINE void ForEachVector(const float* scores, F f) const {
    const D d;
    const size_t N = hn::Lanes(d);
    size_t i = 0;
    for (; i + N <= n_; i += N) f(hn::LoadU(d, scores + i), i, N);
    if (i != n_) {
      f(hn::IfThenElseZero(hn::FirstN(d, n_ - i), hn::LoadU(d, scores + i)), i, n_ - i);
    }
  }

  HWY_INLINE size_t CountAtLeast(const float* scores, float threshold) const {
    const D d;
    const auto t = hn::Set(d, threshold);
    size_t count = 0;
    ForEachVector(scores, [&](hn::Vec<D> v, size_t, size_t valid) HWY_ATTR {
      const auto reached = hn::Ge(v, t);
      count += valid == hn::Lanes(d) ? hn::CountTrue(d, reached)
                                     : hn::CountTrue(d, hn::And(reached, hn::FirstN(d, valid)));
    });
    return count;
  }

  HWY_INLINE void MeanAndDeviation(const float* scores, float& mean, float& deviation) const {
    const D d;
    auto sum = hn::Zero(d), squares = hn::Zero(d);
    ForEachVector(scores, [&](hn::Vec<D> v, size_t, size_t) HWY_ATTR {
      sum = hn::Add(sum, v);
      squares = hn::MulAdd(v, v, squares);
    });
    const float n = static_cast<float>(n_);
    mean = hn::GetLane(hn::SumOfLanes(d, sum)) / n;
    const float variance = hn::GetLane(hn::SumOfLanes(d, squares)) / n - mean * mean;
    deviation = std::sqrt(std::max(variance, 0.0f));
  }

  // A threshold that at least k scores reach (`reached`), and rarely many more; -infinity (all) if
  // the search is at a loss, as with NaN, infinities or many equal scores.
  HWY_INLINE float FindThreshold(const float* scores, size_t& reached) {
    reached = n_;
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const size_t enough = k_ + k_ / 2 + 16;
    if (n_ <= enough) return -kInfinity;
    float mean, deviation;
    MeanAndDeviation(scores, mean, deviation);
    if (!(deviation > 0.0f && deviation < kInfinity)) return -kInfinity;
    float low = -kInfinity, high = kInfinity;  // reached by >= k scores, by fewer
    float step = 0.25f * deviation;
    // The distribution of scores is much alike from query to query, their scale is not.
    float threshold = mean + guess_ * deviation;
    for (int i = 0; i < 20; ++i) {
      const size_t count = CountAtLeast(scores, threshold);
      if (count >= k_) {
        low = threshold;
        reached = count;
        if (count <= enough) break;
      } else {
        high = threshold;
      }
      if (low > -kInfinity && high < kInfinity) {
        threshold = low + (high - low) * 0.5f;
        if (!(threshold > low && threshold < high)) break;
      } else {
        threshold += count >= k_ ? step : -step;
        step *= 2.0f;
      }
    }
    if (low > -kInfinity) guess_ = (low - mean) / deviation;
    return low;
  }

  // Writes the keys of all scores >= threshold, or of all scores for -infinity; returns how many.
  HWY_INLINE size_t Collect(const float* scores, float threshold) {
    const D d;
    const auto t = hn::Set(d, threshold);
    const bool all = threshold == -std::numeric_limits<float>::infinity();
    uint64_t* out = keys_;
    ForEachVector(scores, [&](hn::Vec<D> v, size_t first, size_t valid) HWY_ATTR {
      uint8_t bytes[8] = {0};
      hn::StoreMaskBits(d, hn::Ge(v, t), bytes);
      uint32_t hits;
      std::memcpy(&hits, bytes, sizeof(hits));
      if (all) hits = ~0u;
      hits &= (1u << valid) - 1;
      for (; hits != 0; hits &= hits - 1) {
        const size_t i = first + hwy::Num0BitsBelowLS1Bit_Nonzero32(hits);
        *out++ = ScoreKey(scores[i], static_cast<uint32_t>(i), ties_);
      }
    });
    return static_cast<size_t>(out - keys_);
  }

  size_t n_;
  size_t k_;
  TieOrder ties_;
  ResultOrder order_;
  uint64_t* keys_;
  float guess_ = 1.0f;  // threshold of the last query, in deviations above its mean
};

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
