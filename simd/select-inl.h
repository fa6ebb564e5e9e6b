// SPDX-License-Identifier: Apache-2.0
// Exact top-K of small integer distances, without sorting what is not wanted.
// Rows near enough are appended to a list of distances and positions; the K-th smallest distance of
// a list is found by counting, a vector compare per 16 to 64 distances.

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
#include "simd/hamming_topk_layout.h"
#include "simd/topk.h"

#ifndef ETA_SIMD_SELECT_TYPES_
#define ETA_SIMD_SELECT_TYPES_
namespace eta::simd {

// For each byte the numbers of its set bits, lowest first: what a compress instruction would do for
// eight lanes. 16 bytes may be read from any row.
struct SetBitsTable {
  uint8_t of[256 + 1][8];
};
constexpr SetBitsTable MakeSetBitsTable() {
  SetBitsTable table{};
  for (size_t byte = 0; byte < 256; ++byte) {
    size_t count = 0;
    for (uint8_t bit = 0; bit < 8; ++bit) {
      if ((byte >> bit) & 1) table.of[byte][count++] = bit;
    }
  }
  return table;
}
inline constexpr SetBitsTable kSetBits = MakeSetBitsTable();

alignas(64) inline constexpr uint8_t kIota64[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

// Distances and positions of rows found so far, oldest first, with room for kListSlack more.
template <typename T>
struct NearestList {
  T* distances;
  int32_t* positions;
  size_t count;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_SELECT_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
using DistanceTag = hn::CappedTag<T, kBlockRows>;
using PositionTag = hn::CappedTag<int32_t, 16>;

// Bit i is lane i of the mask; 8 to 64 lanes.
template <class D>
HWY_INLINE uint64_t MaskBits(D d, hn::Mask<D> mask) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  (void)d;
  return static_cast<uint64_t>(mask.raw);
#else
  uint8_t bytes[8] = {0};  // StoreMaskBits may write 8 bytes
  hn::StoreMaskBits(d, mask, bytes);
  uint64_t bits = 0;
  // As many bytes as were stored: a wider load would wait for the store to reach the cache.
  std::memcpy(&bits, bytes, HWY_MIN(hn::Lanes(d), kBlockRows) / 8);
  return bits;
#endif
}

// The n lowest set bits of `bits`, which has at least n.
HWY_INLINE uint64_t LowestBits(uint64_t bits, size_t n) {
#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX2
  return _pdep_u64(_bzhi_u64(~uint64_t{0}, static_cast<unsigned>(n)), bits);
#else
  uint64_t rest = bits;
  for (; n != 0; --n) rest &= rest - 1;
  return bits ^ rest;
#endif
}

// Compares 64 distances with t: which are smaller, which are equal.
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

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3

// Copies those of 64 positions whose bit is set, and returns how many. Writes up to 16 more.
// `to` may lie at or before `from` in the same array. A compress to memory is microcoded on
// Zen 4, one to a register is not.
HWY_INLINE size_t CopySelected(uint64_t hits, const int32_t* from, int32_t* to) {
  int32_t* out = to;
  for (size_t lane = 0; lane < kBlockRows; lane += 16) {
    const auto bits = static_cast<__mmask16>(hits >> lane);
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(bits, _mm512_loadu_si512(from + lane)));
    out += hwy::PopCount(uint64_t{bits});
  }
  return static_cast<size_t>(out - to);
}

#else

// Copies those of 64 positions whose bit is set, and returns how many. Writes up to 8 more.
// `to` may lie at or before `from` in the same array.
HWY_INLINE size_t CopySelected(uint64_t hits, const int32_t* from, int32_t* to) {
  int32_t* out = to;
#if HWY_TARGET == HWY_AVX2
  const hn::FixedTag<int32_t, 8> d;
  const hn::FixedTag<uint8_t, 8> d8;
  for (size_t lane = 0; lane < kBlockRows; lane += 8, hits >>= 8) {
    const auto indices = hn::PromoteTo(d, hn::LoadU(d8, kSetBits.of[hits & 0xFF]));
    const auto v = hn::LoadU(d, from + lane);
    hn::StoreU(hn::TableLookupLanes(v, hn::IndicesFromVec(d, indices)), d, out);
    out += hwy::PopCount(hits & 0xFF);
  }
#else
  for (; hits != 0; hits &= hits - 1) *out++ = from[hwy::Num0BitsBelowLS1Bit_Nonzero64(hits)];
#endif
  return static_cast<size_t>(out - to);
}

#endif

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL

// Writes, for each set bit, the distance of that row of a block. Writes up to kListSlack entries.
// `to` may lie at or before `from` in the same array.
template <typename T>
HWY_INLINE void CopySelectedDistances(uint64_t hits, const T* from, T* to) {
  if constexpr (sizeof(T) == 1) {
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi8(hits, _mm512_loadu_si512(from)));
  } else {
    const auto low = static_cast<__mmask32>(hits), high = static_cast<__mmask32>(hits >> 32);
    const __m512i v0 = _mm512_loadu_si512(from), v1 = _mm512_loadu_si512(from + 32);
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi16(low, v0));
    _mm512_storeu_si512(to + hwy::PopCount(uint64_t{low}), _mm512_maskz_compress_epi16(high, v1));
  }
}

// Writes, for each set bit, the distance of that row of a block, and the number of the bit plus
// `first`; returns how many. Writes up to 64 entries. One compress, of the numbers, is enough: they
// then pick the distances.
template <typename T>
HWY_INLINE size_t WriteSelected(uint64_t hits, const T* from, int32_t first, T* distances,
                                int32_t* positions) {
  const size_t count = hwy::PopCount(hits);
  const __m512i numbers = _mm512_maskz_compress_epi8(hits, _mm512_load_si512(kIota64));
  const __m512i base = _mm512_set1_epi32(first);
  const auto store = [&](size_t i, __m128i lanes) HWY_ATTR {
    _mm512_storeu_si512(positions + i, _mm512_add_epi32(_mm512_cvtepu8_epi32(lanes), base));
  };
  store(0, _mm512_castsi512_si128(numbers));
  store(16, _mm512_extracti32x4_epi32(numbers, 1));
  if constexpr (sizeof(T) == 1) {
    _mm512_storeu_si512(distances, _mm512_permutexvar_epi8(numbers, _mm512_loadu_si512(from)));
  } else {
    const __m512i v0 = _mm512_loadu_si512(from), v1 = _mm512_loadu_si512(from + 32);
    const __m512i low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(numbers));
    const __m512i high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(numbers, 1));
    _mm512_storeu_si512(distances, _mm512_permutex2var_epi16(v0, low, v1));
    _mm512_storeu_si512(distances + 32, _mm512_permutex2var_epi16(v0, high, v1));
  }
  if (HWY_UNLIKELY(count > 32)) {
    store(32, _mm512_extracti32x4_epi32(numbers, 2));
    store(48, _mm512_extracti32x4_epi32(numbers, 3));
  }
  return count;
}

#else

// Writes, for each set bit, the distance of that row of a block. Writes up to 8 more.
// `to` may lie at or before `from` in the same array.
template <typename T>
HWY_INLINE void CopySelectedDistances(uint64_t hits, const T* from, T* to) {
  const hn::FixedTag<uint8_t, 8 * sizeof(T)> d;
  for (size_t row = 0; row < kBlockRows; row += 8, hits >>= 8) {
    const auto v = hn::LoadU(d, reinterpret_cast<const uint8_t*>(from + row));
    auto indices = hn::LoadU(d, kSetBits.of[hits & 0xFF]);  // 8 bytes mean something
    if constexpr (sizeof(T) == 2) {
      const auto low = hn::Add(indices, indices);
      indices = hn::InterleaveLower(d, low, hn::Add(low, hn::Set(d, uint8_t{1})));
    }
    hn::StoreU(hn::TableLookupBytes(v, indices), d, reinterpret_cast<uint8_t*>(to));
    to += hwy::PopCount(hits & 0xFF);
  }
}

// Writes, for each set bit, the distance of that row of a block, and the number of the bit plus
// `first`; returns how many. Writes up to 8 entries more.
template <typename T>
HWY_INLINE size_t WriteSelected(uint64_t hits, const T* from, int32_t first, T* distances,
                                int32_t* positions) {
  CopySelectedDistances(hits, from, distances);
  const hn::CappedTag<int32_t, 8> d;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  int32_t* out = positions;
  for (; hits != 0; hits >>= 8, first += 8) {
    const auto base = hn::Set(d, first);
    for (size_t lane = 0; lane < 8; lane += hn::Lanes(d)) {
      const auto indices = hn::PromoteTo(d, hn::LoadU(d8, kSetBits.of[hits & 0xFF] + lane));
      hn::StoreU(hn::Add(indices, base), d, out + lane);
    }
    out += hwy::PopCount(hits & 0xFF);
  }
  return static_cast<size_t>(out - positions);
}

#endif

// Appends the rows of a chunk (`rows` distances, whole blocks) that are at most `limit` away.
template <typename T>
void AppendNear(const T* distances, size_t rows, size_t first_position, size_t limit,
                NearestList<T>& list) {
  const DistanceTag<T> d;
  const auto above = hn::Set(d, static_cast<T>(limit + 1));
  size_t count = list.count;
  for (size_t row = 0; row < rows; row += kBlockRows) {
    uint64_t hits = 0;
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const auto v = hn::LoadU(d, distances + row + lane);
      hits |= MaskBits(d, hn::Lt(v, above)) << lane;
    }
    // With a compress instruction copying nothing costs less than a branch mispredicted.
    if (!(HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL) && hits == 0) continue;
    count += WriteSelected(hits, distances + row, static_cast<int32_t>(first_position + row),
                           list.distances + count, list.positions + count);
  }
  list.count = count;
}

// How many of n distances (whole blocks) are smaller than t.
template <typename T>
HWY_INLINE size_t CountBelow(const T* distances, size_t n, size_t t) {
  const DistanceTag<T> d;
  const size_t N = hn::Lanes(d);
  const auto limit = hn::Set(d, static_cast<T>(t));
  const auto below = [&](size_t i) HWY_ATTR {
    return hn::CountTrue(d, hn::Lt(hn::LoadU(d, distances + i), limit));
  };
  size_t count0 = 0, count1 = 0, i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    count0 += below(i);
    count1 += below(i + N);
  }
  if (i < n) count0 += below(i);
  return count0 + count1;
}

// For each of kSets arrays of n distances (whole blocks): the k-th smallest, if it lies in
// [low, low + width), width a power of two; else low or low + width - 1. Replaces low. The arrays
// are searched in step, without a branch on what is found: one search is a chain of compare, count
// and halve, and four of them hide each other's latency. Distances above `max` are not there.
template <size_t kSets, typename T>
HWY_INLINE void HalveToKth(const T* const (&distances)[kSets], size_t n, size_t k, size_t max,
                           size_t width, size_t (&low)[kSets]) {
  while (width > 1) {
    width /= 2;
    for (size_t s = 0; s < kSets; ++s) {
      const size_t middle = std::min(low[s] + width, max + 1);
      low[s] += CountBelow(distances[s], n, middle) < k ? width : 0;
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

// The same for several sets at once, each expected in [low, low + width): others are searched again
// alone. `low` is replaced by the results.
template <size_t kSets, typename T>
void FindKthNear(const T* const (&distances)[kSets], size_t n, size_t k, size_t max, size_t width,
                 size_t (&low)[kSets]) {
  size_t kth[kSets];
  for (size_t s = 0; s < kSets; ++s) kth[s] = low[s];
  HalveToKth(distances, n, k, max, width, kth);
  for (size_t s = 0; s < kSets; ++s) {
    // Inside the window a result is proved by the counts on both sides of it.
    if (HWY_UNLIKELY(kth[s] == low[s] || kth[s] == low[s] + width - 1)) {
      kth[s] = FindKth(distances[s], n, k, max);
    }
    low[s] = kth[s];
  }
}

// Fills a list with far rows up to `padded` or more, at least one block, so that whole blocks can
// be read.
template <typename T>
HWY_INLINE void PadList(const NearestList<T>& list, size_t padded) {
  const DistanceTag<T> d;
  const auto far = hn::Set(d, std::numeric_limits<T>::max());
  const size_t end = std::max(padded, list.count + kBlockRows);
  for (size_t i = list.count; i < end; i += hn::Lanes(d)) hn::StoreU(far, d, list.distances + i);
}

// Cuts a padded list down to the k nearest, given its k-th distance; it stays oldest first. Of
// those at the k-th distance the ones that come first in `ties` stay.
template <typename T>
void KeepNearest(NearestList<T>& list, size_t k, size_t kth, TieOrder ties) {
  const DistanceTag<T> d;
  const auto t = hn::Set(d, static_cast<T>(kth));
  const size_t padded = PaddedRows(list.count);
  const size_t take = k - CountBelow(list.distances, padded, kth);  // of those at the border
  const bool newest = ties == TieOrder::kNewestFirst;
  // Of the equal rows, oldest first, the first `left` are dropped (newest first) or kept.
  size_t left = newest ? CountBelow(list.distances, padded, kth + 1) - k : take;
  size_t count = 0;
  for (size_t i = 0; i < list.count; i += kBlockRows) {
    uint64_t less, equal;
    CompareBlock(list.distances + i, t, less, equal);
    const size_t here = std::min<size_t>(hwy::PopCount(equal), left);
    left -= here;
    const uint64_t first = LowestBits(equal, here);
    equal = newest ? equal ^ first : first;
    const uint64_t hits = less | equal;
    CopySelectedDistances(hits, list.distances + i, list.distances + count);
    count += CopySelected(hits, list.positions + i, list.positions + count);
  }
  list.count = count;
}

// Writes, for each set bit, its number plus `first`; returns how many. Writes up to 64 entries.
HWY_INLINE size_t WriteSelectedBytes(uint64_t hits, uint8_t first, uint8_t* to) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL
  const __m512i numbers =
      _mm512_add_epi8(_mm512_load_si512(kIota64), _mm512_set1_epi8(static_cast<char>(first)));
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi8(hits, numbers));
  return hwy::PopCount(hits);
#else
  const hn::FixedTag<uint8_t, 8> d;
  uint8_t* out = to;
  for (; hits != 0; hits >>= 8, first = static_cast<uint8_t>(first + 8)) {
    hn::StoreU(hn::Add(hn::LoadU(d, kSetBits.of[hits & 0xFF]), hn::Set(d, first)), d, out);
    out += hwy::PopCount(hits & 0xFF);
  }
  return static_cast<size_t>(out - to);
#endif
}

// Lists the entries of a padded list of k <= 256 (oldest first) by descending distance, from
// `farthest` on, equal ones oldest first: the reverse of sorted with the newest first. One pass
// over the list per distance: 8 instructions per 64 entries with AVX3_DL. Gives up, returning
// false, when `max_passes` do not reach the nearest. `order` has room for 256 + 64.
template <typename T>
HWY_INLINE bool OrderByPasses(const NearestList<T>& list, size_t k, size_t farthest,
                              size_t max_passes, uint8_t* order) {
  const DistanceTag<T> d;
  size_t count = 0;
  for (size_t pass = 0; pass < max_passes; ++pass) {
    const auto t = hn::Set(d, static_cast<T>(farthest - pass));
    for (size_t i = 0; i < k; i += kBlockRows) {
      uint64_t equal = 0;
      for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
        equal |= MaskBits(d, hn::Eq(hn::LoadU(d, list.distances + i + lane), t)) << lane;
      }
      count += WriteSelectedBytes(equal, static_cast<uint8_t>(i), order + count);
    }
    if (count == k) return true;
  }
  return false;
}

// Copies n positions; unlike memcpy without a call.
HWY_INLINE void CopyPositions(const int32_t* from, size_t n, int32_t* to) {
  const PositionTag d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
  for (; i < n; ++i) to[i] = from[i];
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
