// SPDX-License-Identifier: Apache-2.0
// Exact selection among small integer distances. Rows that are near enough are appended to a list
// of distances and positions (AppendUpTo, AppendNearest). The K-th smallest distance of a list is
// found by bisection: how many distances lie below the middle is counted by vector compares
// (FindKth). A list is cut to its K nearest (CutToNearest) and ranked by comparing all pairs
// (RankNearest).

// clang-format off
#if defined(ETA_SIMD_INT_SELECT_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_INT_SELECT_INL_H_
#undef ETA_SIMD_INT_SELECT_INL_H_
#else
#define ETA_SIMD_INT_SELECT_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"
#include "simd/internal/common.h"
#include "simd/internal/compress-inl.h"
#include "simd/views.h"

#ifndef ETA_SIMD_INT_SELECT_TYPES_
#define ETA_SIMD_INT_SELECT_TYPES_
namespace eta::simd {
namespace {

// Distances and positions of rows found so far, oldest first, with room for kListSlack more.
template <typename T>
struct NearestList {
  T* distances;
  int32_t* positions;
  size_t count;
};

// The most entries that RankNearest takes: it compares all pairs, so its time grows with their
// square. A counting sort, whose time hardly depends on K, takes longer lists.
constexpr size_t kMaxRanked = 128;

// What RankNearest adds to entry j for entry i, at [kMaxRanked + j - i]: of[0] is 1 for j < i,
// of[1] for j > i.
template <typename T>
struct TieSteps {
  T of[2][2 * kMaxRanked + kBlockRows];
};
template <typename T>
constexpr TieSteps<T> MakeTieSteps() {
  TieSteps<T> steps{};
  for (size_t i = 0; i < 2 * kMaxRanked + kBlockRows; ++i) {
    steps.of[0][i] = i < kMaxRanked;
    steps.of[1][i] = i > kMaxRanked;
  }
  return steps;
}
template <typename T>
HWY_MAYBE_UNUSED constexpr TieSteps<T> kTieSteps = MakeTieSteps<T>();

}  // namespace
}  // namespace eta::simd
#endif  // ETA_SIMD_INT_SELECT_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
using DistanceTag = hn::CappedTag<T, kBlockRows>;

// Compares 64 distances with t: bit i of `less` and `equal` is row i.
template <typename T>
HWY_INLINE void CompareBlock(const T* block, hn::Vec<DistanceTag<T>> t, uint64_t& less,
                             uint64_t& equal) {
  const DistanceTag<T> d;
  less = equal = 0;
  for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, block + lane);
    less |= MaskBits(d, hn::Lt(v, t)) << lane;
    equal |= MaskBits(d, hn::Eq(v, t)) << lane;
  }
}

// The sum of all lanes of a vector of counts.
HWY_INLINE size_t SumOfCounts(hn::Vec<DistanceTag<uint8_t>> counts) {
  const hn::Repartition<uint64_t, DistanceTag<uint8_t>> d64;
  return static_cast<size_t>(hn::GetLane(hn::SumOfLanes(d64, hn::SumsOf8(counts))));
}
HWY_INLINE size_t SumOfCounts(hn::Vec<DistanceTag<uint16_t>> counts) {
  const hn::Repartition<uint32_t, DistanceTag<uint16_t>> d32;
  const auto pairs = hn::BitCast(d32, counts);
  const auto low = hn::And(pairs, hn::Set(d32, 0xFFFFu));
  return hn::GetLane(hn::SumOfLanes(d32, hn::Add(low, hn::ShiftRight<16>(pairs))));
}

// Appends the rows of a block whose bit is set; row r is position first_position + r.
template <typename T>
HWY_INLINE void AppendRows(uint64_t rows, const T* block, size_t first_position,
                           NearestList<T>& list) {
  CompressBlockRows(rows, block, static_cast<int32_t>(first_position), list.distances + list.count,
                    list.positions + list.count);
  list.count += hwy::PopCount(rows);
}

// Appends the rows of a chunk (`rows` distances, whole blocks) that are at most `limit` away.
template <typename T>
void AppendUpTo(size_t limit, const T* distances, size_t rows, size_t first_position,
                NearestList<T>& list) {
  const DistanceTag<T> d;
  const auto above = hn::Set(d, static_cast<T>(limit + 1));
  NearestList<T> to = list;  // stays in registers
  for (size_t row = 0; row < rows; row += kBlockRows) {
    uint64_t hits = 0;
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const auto v = hn::LoadU(d, distances + row + lane);
      hits |= MaskBits(d, hn::Lt(v, above)) << lane;
    }
    // With a byte compress, copying nothing costs less than a mispredicted branch.
    if (!ETA_SIMD_HAS_BYTE_COMPRESS && hits == 0) continue;
    AppendRows(hits, distances + row, first_position + row, to);
  }
  list.count = to.count;
}

// How many of n distances (whole blocks) are smaller than t.
template <typename T>
HWY_INLINE size_t CountBelow(const T* distances, size_t n, size_t t) {
  const DistanceTag<T> d;
  const size_t N = hn::Lanes(d);
  const auto limit = hn::Set(d, static_cast<T>(t));
  const auto below = [&](size_t i) HWY_ATTR { return hn::Lt(hn::LoadU(d, distances + i), limit); };
#if ETA_SIMD_HAS_MASK_REGISTERS
  size_t count0 = 0, count1 = 0, i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    count0 += hn::CountTrue(d, below(i));
    count1 += hn::CountTrue(d, below(i + N));
  }
  if (i < n) count0 += hn::CountTrue(d, below(i));
  return count0 + count1;
#else
  // A mask is a vector of 0 and -1, which each lane subtracts from a count of its own. A byte holds
  // 255: the sum of two counts of up to kCountsPerLane.
  constexpr size_t kCountsPerLane = 127;
  const size_t rows_per_sum = kCountsPerLane * 2 * N;
  size_t count = 0;
  for (size_t first = 0; first < n; first += rows_per_sum) {
    auto counts0 = hn::Zero(d), counts1 = hn::Zero(d);
    const size_t end = std::min(n, first + rows_per_sum);
    size_t i = first;
    for (; i + 2 * N <= end; i += 2 * N) {
      counts0 = hn::Sub(counts0, hn::VecFromMask(d, below(i)));
      counts1 = hn::Sub(counts1, hn::VecFromMask(d, below(i + N)));
    }
    if (i < end) counts0 = hn::Sub(counts0, hn::VecFromMask(d, below(i)));
    count += SumOfCounts(hn::Add(counts0, counts1));
  }
  return count;
#endif
}

// For each of kSets arrays of n distances (whole blocks): replaces low by the k-th smallest, if
// that lies in [low, low + width), width a power of two; else by low or low + width - 1. The arrays
// are searched in step, without a branch on what is found: one search is a chain of compare, count
// and halve, and several of them hide each other's latency. Values above `max` are padding.
template <size_t kSets, typename T>
HWY_INLINE void HalveToKth(const T* const (&distances)[kSets], size_t n, size_t k, size_t max,
                           size_t width, size_t (&low)[kSets]) {
  while (width > 1) {
    width /= 2;
    for (size_t s = 0; s < kSets; ++s) {
      const size_t middle = std::min(low[s] + width, max + 1);
      low[s] += width & MaskIf(CountBelow(distances[s], n, middle) < k);
    }
  }
}

// The smallest power of two above max.
HWY_INLINE size_t SearchWidth(size_t max) {
  size_t width = 1;
  while (width <= max) width *= 2;
  return width;
}

// The k-th smallest of n distances (whole blocks) up to max, of which there are at least k.
template <typename T>
HWY_NOINLINE size_t FindKth(const T* distances, size_t n, size_t k, size_t max) {
  const T* const sets[1] = {distances};
  size_t kth[1] = {0};
  HalveToKth(sets, n, k, max, SearchWidth(max), kth);
  return kth[0];
}

// FindKth for several sets at once, each expected in [low, low + width); a set whose result is not
// inside is searched again alone. The results replace `low`.
template <size_t kSets, typename T>
void FindKthInWindow(const T* const (&distances)[kSets], size_t n, size_t k, size_t max,
                     size_t width, size_t (&low)[kSets]) {
  size_t kth[kSets];
  for (size_t s = 0; s < kSets; ++s) kth[s] = low[s];
  HalveToKth(distances, n, k, max, width, kth);
  for (size_t s = 0; s < kSets; ++s) {
    // Away from the window's ends, the counts on both sides prove the result.
    if (HWY_UNLIKELY(kth[s] == low[s] || kth[s] == low[s] + width - 1)) {
      kth[s] = FindKth(distances[s], n, k, max);
    }
    low[s] = kth[s];
  }
}

// Fills the distances behind a list with T's maximum, up to `padded` entries in all and at least a
// block, so that whole blocks can be read.
template <typename T>
HWY_INLINE void PadList(const NearestList<T>& list, size_t padded) {
  const DistanceTag<T> d;
  const auto far = hn::Set(d, std::numeric_limits<T>::max());
  const size_t end = std::max(padded, list.count + kBlockRows);
  for (size_t i = list.count; i < end; i += hn::Lanes(d)) hn::StoreU(far, d, list.distances + i);
}

// Chooses `wanted` of the `equal` rows at the K-th distance: those that come first in `ties`.
class TiesAtKth {
 public:
  TiesAtKth(size_t equal, size_t wanted, TieOrder ties)
      : newest_(ties == TieOrder::kNewestFirst), left_(newest_ ? equal - wanted : wanted) {}

  // The bits that are taken; blocks come oldest first.
  HWY_INLINE uint64_t Take(uint64_t equal) {
    const size_t here = std::min<size_t>(hwy::PopCount(equal), left_);
    left_ -= here;
    const uint64_t first = LowestBits(equal, here);
    return newest_ ? equal ^ first : first;
  }

 private:
  bool newest_;
  size_t left_;  // the so many oldest are taken, or with newest first dropped
};

// Visits the blocks of `rows` distances (whole blocks can be read), oldest first: f(bits, i) gets
// the bits of those of the 64 distances from i on that are among the k nearest, given the k-th
// distance. Among those at the k-th distance the ones that come first in `ties` are taken.
template <typename T, class F>
HWY_INLINE void VisitNearest(const T* distances, size_t rows, size_t k, size_t kth, TieOrder ties,
                             F f) {
  const DistanceTag<T> d;
  const auto t = hn::Set(d, static_cast<T>(kth));
  const size_t padded = PaddedRows(rows);
  const bool newest = ties == TieOrder::kNewestFirst;
  // Only the difference of the two counts matters, or the second, so one search is enough.
  TiesAtKth ties_at_kth(newest ? CountBelow(distances, padded, kth + 1) : 0,
                        newest ? k : k - CountBelow(distances, padded, kth), ties);
  for (size_t i = 0; i < rows; i += kBlockRows) {
    uint64_t less, equal;
    CompareBlock(distances + i, t, less, equal);
    f(less | ties_at_kth.Take(equal), i);
  }
}

// Appends the k nearest of the n distances of a history of one chunk, given the k-th distance.
template <typename T>
void AppendNearest(const T* distances, size_t n, size_t k, size_t kth, TieOrder ties,
                   NearestList<T>& list) {
  NearestList<T> to = list;
  VisitNearest(distances, n, k, kth, ties, [&](uint64_t nearest, size_t i) HWY_ATTR {
    AppendRows(nearest, distances + i, i, to);
  });
  list.count = to.count;
}

// Cuts a padded list to its k nearest, given its k-th distance; it stays oldest first.
template <typename T>
void CutToNearest(NearestList<T>& list, size_t k, size_t kth, TieOrder ties) {
  size_t count = 0;
  VisitNearest(list.distances, list.count, k, kth, ties, [&](uint64_t nearest, size_t i) HWY_ATTR {
    CompressBlock(nearest, list.distances + i, list.distances + count);
    CompressBlock(nearest, list.positions + i, list.positions + count);
    count += hwy::PopCount(nearest);
  });
  list.count = count;
}

// ranks[i] = how many of k <= kMaxRanked distances (oldest first, whole blocks can be read) come
// before entry i in order: the nearer ones, and among equal ones those first in `ties`. All pairs
// are compared, a vector of distances with one broadcast. Ties need no compare of their own: an
// entry that comes later gets 1 added first, so that an equal one is below it. Writes whole blocks.
template <typename T>
HWY_INLINE void RankNearest(const T* distances, size_t k, TieOrder ties, T* ranks) {
  using Signed = hwy::MakeSigned<T>;  // AVX2 compares only signed integers
  const hn::Rebind<Signed, DistanceTag<T>> d;
  constexpr Signed kBias = std::numeric_limits<Signed>::min();
  HWY_ALIGN Signed biased[kMaxRanked];
  for (size_t i = 0; i < PaddedRows(k); i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, reinterpret_cast<const Signed*>(distances) + i);
    hn::StoreU(hn::Xor(v, hn::Set(d, kBias)), d, biased + i);
  }
  const Signed* steps = kTieSteps<Signed>.of[ties == TieOrder::kNewestFirst ? 0 : 1] + kMaxRanked;
  // Two vectors share a broadcast. Entries past k are padding and come before none.
  const size_t N = hn::Lanes(d), second = N < kBlockRows ? N : 0;
  for (size_t lane = 0; lane < k; lane += N + second) {
    const auto v0 = hn::LoadU(d, biased + lane), v1 = hn::LoadU(d, biased + lane + second);
    auto rank0 = hn::Zero(d), rank1 = hn::Zero(d);
    const auto count = [&](size_t i) HWY_ATTR {
      const auto other = hn::Set(d, biased[i]);
      const Signed* step = steps + lane - i;
      const auto later0 = hn::Add(v0, hn::LoadU(d, step));
      rank0 = hn::Sub(rank0, hn::VecFromMask(d, hn::Lt(other, later0)));
      if (second == 0) return;
      const auto later1 = hn::Add(v1, hn::LoadU(d, step + second));
      rank1 = hn::Sub(rank1, hn::VecFromMask(d, hn::Lt(other, later1)));
    };
    for (size_t i = 0; i < k; i += 4) {
      count(i);
      count(i + 1);
      count(i + 2);
      count(i + 3);
    }
    hn::StoreU(rank0, d, reinterpret_cast<Signed*>(ranks) + lane);
    if (second != 0) hn::StoreU(rank1, d, reinterpret_cast<Signed*>(ranks) + lane + second);
  }
}

// Copies n positions without the call that memcpy costs.
HWY_INLINE void CopyPositions(const int32_t* from, size_t n, int32_t* to) {
  const hn::CappedTag<int32_t, 16> d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
  for (; i < n; ++i) to[i] = from[i];
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
