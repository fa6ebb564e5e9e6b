// SPDX-License-Identifier: Apache-2.0
// Exact top-K of small integer distances: search the K-th smallest distance by counting, then
// collect. Counting is a vector compare per 16 to 64 distances, and the last query's threshold is
// a good first guess for the next.

// clang-format off
#if defined(ETA_SIMD_SELECT_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_SELECT_INL_H_
#undef ETA_SIMD_SELECT_INL_H_
#else
#define ETA_SIMD_SELECT_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "simd/code_blocks.h"
#include "simd/hamming.h"

#ifndef ETA_SIMD_SELECT_TYPES_
#define ETA_SIMD_SELECT_TYPES_
namespace eta::simd {

// The arguments of HammingTopK, n and k at least 1.
struct TopKArguments {
  const uint8_t* blocks;
  size_t n;
  size_t code_bytes;
  const uint8_t* queries;
  size_t num_queries;
  size_t query_stride;
  size_t k;
  TieOrder ties;
  ResultOrder order;
  void* scratch;
  HammingTopKResult result;
};

// Scratch: distances of whole blocks, then the selected positions before sorting, then a counter
// for each distance.
inline size_t DistanceScratchBytes(size_t n, size_t code_bytes) {
  return PaddedRows(n) * (code_bytes <= kMaxByteDistanceCodeBytes ? 1 : 2);
}
inline size_t SelectScratchBytes(size_t n, size_t code_bytes, size_t k) {
  const size_t counters = code_bytes * 8 + 2;
  return DistanceScratchBytes(n, code_bytes) +
         (std::min(k, n) + counters + 1) * sizeof(uint32_t);  // + 1: to align them
}

// The n lowest set bits of `bits`, which has more than n.
inline uint64_t LowestBits(uint64_t bits, size_t n) {
  uint64_t rest = bits;
  for (; n != 0; --n) rest &= rest - 1;
  return bits ^ rest;
}

}  // namespace eta::simd
#endif  // ETA_SIMD_SELECT_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
using SelectTag = hn::CappedTag<T, kBlockRows>;

// Bit i is lane i of mask; lanes 8 to 64.
template <class D>
HWY_INLINE uint64_t MaskBits(D d, hn::Mask<D> mask) {
  uint8_t bytes[8] = {0};
  hn::StoreMaskBits(d, mask, bytes);
  uint64_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return bits;
}

template <typename T>
class Selector {
 public:
  // `distances` has PaddedRows(n) entries and is read by each Select.
  HWY_INLINE Selector(const TopKArguments& args, T* distances)
      : args_(args),
        distances_(distances),
        padded_(PaddedRows(args.n)),
        k_(std::min(args.k, args.n)),
        max_distance_(args.code_bytes * 8),
        threshold_(max_distance_ / 2) {
    uintptr_t tail = reinterpret_cast<uintptr_t>(distances) + padded_ * sizeof(T);
    tail = (tail + sizeof(uint32_t) - 1) / sizeof(uint32_t) * sizeof(uint32_t);
    selected_ = reinterpret_cast<int32_t*>(tail);
    counters_ = reinterpret_cast<uint32_t*>(selected_ + k_);
  }

  // Writes the result row of query q from its distances.
  HWY_INLINE void Select(size_t q) {
    // Rows that are not there get a distance that is never selected.
    std::fill(distances_ + args_.n, distances_ + padded_, std::numeric_limits<T>::max());
    FindThreshold();
    int32_t* positions = args_.result.positions + q * args_.k;
    uint16_t* out =
        args_.result.distances == nullptr ? nullptr : args_.result.distances + q * args_.k;
    if (args_.order == ResultOrder::kAny) {
      Collect(positions);
    } else {
      Collect(selected_);
      Sort(positions);
    }
    if (out != nullptr) {
      for (size_t i = 0; i < k_; ++i) out[i] = distances_[positions[i]];
    }
  }

 private:
  using D = SelectTag<T>;

  HWY_INLINE void Count(size_t threshold, size_t& less, size_t& less_equal) const {
    const D d;
    const auto t = hn::Set(d, static_cast<T>(threshold));
    const auto above = hn::Set(d, static_cast<T>(threshold + 1));
    less = less_equal = 0;
    for (size_t i = 0; i < padded_; i += hn::Lanes(d)) {
      const auto v = hn::LoadU(d, distances_ + i);
      less += hn::CountTrue(d, hn::Lt(v, t));
      less_equal += hn::CountTrue(d, hn::Lt(v, above));
    }
  }

  // Sets threshold_ to the K-th smallest distance, less_ to the number below it and equal_ to the
  // number that have it: less_ < k <= less_ + equal_.
  HWY_INLINE void FindThreshold() {
    size_t low = 0, high = max_distance_;  // the answer lies in [low, high]
    size_t step = 1;
    for (;;) {
      size_t less, less_equal;
      Count(threshold_, less, less_equal);
      if (less >= k_) {
        high = threshold_ - 1;
      } else if (less_equal < k_) {
        low = threshold_ + 1;
      } else {
        less_ = less;
        equal_ = less_equal - less;
        return;
      }
      // Gallop away from the guess until the answer is bracketed more tightly than the step.
      const size_t middle = low + (high - low) / 2;
      const size_t next = less >= k_ ? threshold_ - std::min(step, threshold_) : threshold_ + step;
      threshold_ = high - low <= 2 * step || next < low || next > high ? middle : next;
      step *= 2;
    }
  }

  // Distance compares of a whole block as 64 bits.
  HWY_INLINE void BlockMasks(const T* block, uint64_t& less, uint64_t& equal) const {
    const D d;
    const auto t = hn::Set(d, static_cast<T>(threshold_));
    less = equal = 0;
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const auto v = hn::LoadU(d, block + lane);
      less |= MaskBits(d, hn::Lt(v, t)) << lane;
      equal |= MaskBits(d, hn::Eq(v, t)) << lane;
    }
  }

  // Writes the k selected positions, oldest first.
  HWY_INLINE void Collect(int32_t* out) const {
    const size_t take = k_ - less_;  // of the equal_ at the border
    const bool newest = args_.ties == TieOrder::kNewestFirst;
    size_t skip = newest ? equal_ - take : 0;  // equal ones still to be left out
    size_t keep = newest ? equal_ : take;      // equal ones to be looked at before all are had
    for (size_t first = 0; first < padded_; first += kBlockRows) {
      uint64_t less, equal;
      BlockMasks(distances_ + first, less, equal);
      const size_t count = hwy::PopCount(equal);
      if (count > keep) equal = LowestBits(equal, keep);
      keep -= std::min(count, keep);
      if (skip != 0) {
        equal = count > skip ? equal ^ LowestBits(equal, skip) : 0;
        skip -= std::min(count, skip);
      }
      for (uint64_t hits = less | equal; hits != 0; hits &= hits - 1) {
        *out++ = static_cast<int32_t>(first + hwy::Num0BitsBelowLS1Bit_Nonzero64(hits));
      }
    }
  }

  // Counting sort of selected_ (oldest first) by distance, ties in the order asked for.
  HWY_INLINE void Sort(int32_t* positions) const {
    uint32_t* next = counters_;  // next[d]: where the next position of distance d goes
    std::fill(next, next + threshold_ + 2, 0u);
    for (size_t i = 0; i < k_; ++i) ++next[distances_[selected_[i]] + 1];
    for (size_t d = 1; d <= threshold_; ++d) next[d] += next[d - 1];
    const bool newest = args_.ties == TieOrder::kNewestFirst;
    for (size_t i = 0; i < k_; ++i) {
      const int32_t position = selected_[newest ? k_ - 1 - i : i];
      positions[next[distances_[position]]++] = position;
    }
  }

  const TopKArguments& args_;
  T* distances_;
  size_t padded_;
  size_t k_;
  size_t max_distance_;
  int32_t* selected_;
  uint32_t* counters_;
  size_t threshold_;
  size_t less_ = 0;
  size_t equal_ = 0;
};

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
