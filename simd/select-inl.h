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

// The n lowest set bits of `bits`, which has more than n.
inline uint64_t LowestBits(uint64_t bits, size_t n) {
  uint64_t rest = bits;
  for (; n != 0; --n) rest &= rest - 1;
  return bits ^ rest;
}

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

// Distances and positions of rows found so far, oldest first, with room for kListSlack more.
template <typename T>
struct NearestList {
  T* distances;
  int32_t* positions;
  size_t count;
};

// The K-th smallest of some distances: less < K <= less + equal.
struct KthDistance {
  size_t distance;
  size_t less;   // how many are smaller
  size_t equal;  // how many are equal
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
// `to` may lie at or before `from` in the same array. A compress to memory is slow on Zen 4 and 5
// (microcode), one to a register is not.
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

// Writes, for each set bit, its number plus `first`; returns how many. Writes up to 64 entries.
HWY_INLINE size_t WriteSelected(uint64_t hits, int32_t first, int32_t* to) {
  HWY_ALIGN static constexpr uint8_t kIota[64] = {
      0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
      22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
      44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  const size_t count = hwy::PopCount(hits);
  const __m512i bytes = _mm512_maskz_compress_epi8(hits, _mm512_load_si512(kIota));
  const __m512i base = _mm512_set1_epi32(first);
  const auto store = [&](int32_t* out, __m128i lanes) HWY_ATTR {
    _mm512_storeu_si512(out, _mm512_add_epi32(_mm512_cvtepu8_epi32(lanes), base));
  };
  store(to, _mm512_castsi512_si128(bytes));
  if (HWY_UNLIKELY(count > 16)) {
    store(to + 16, _mm512_extracti32x4_epi32(bytes, 1));
    store(to + 32, _mm512_extracti32x4_epi32(bytes, 2));
    store(to + 48, _mm512_extracti32x4_epi32(bytes, 3));
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

// Writes, for each set bit, its number plus `first`; returns how many. Writes up to 8 more.
HWY_INLINE size_t WriteSelected(uint64_t hits, int32_t first, int32_t* to) {
  const hn::CappedTag<int32_t, 8> d;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  int32_t* out = to;
  for (; hits != 0; hits >>= 8, first += 8) {
    const auto base = hn::Set(d, first);
    for (size_t lane = 0; lane < 8; lane += hn::Lanes(d)) {
      const auto indices = hn::PromoteTo(d, hn::LoadU(d8, kSetBits.of[hits & 0xFF] + lane));
      hn::StoreU(hn::Add(indices, base), d, out + lane);
    }
    out += hwy::PopCount(hits & 0xFF);
  }
  return static_cast<size_t>(out - to);
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
    CopySelectedDistances(hits, distances + row, list.distances + count);
    count +=
        WriteSelected(hits, static_cast<int32_t>(first_position + row), list.positions + count);
  }
  list.count = count;
}

// How many of n distances (whole blocks) are smaller than t, and how many at most t.
template <typename T>
void CountNear(const T* distances, size_t n, size_t t, size_t& less, size_t& less_equal) {
  const DistanceTag<T> d;
  const auto at = hn::Set(d, static_cast<T>(t));
  const auto above = hn::Set(d, static_cast<T>(t + 1));
  less = less_equal = 0;
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, distances + i);
    less += hn::CountTrue(d, hn::Lt(v, at));
    less_equal += hn::CountTrue(d, hn::Lt(v, above));
  }
}

// The k-th smallest of n distances (whole blocks) in [0, max]; entries above max are not there.
// Gallops away from `guess`, then bisects. At least k entries must be there.
template <typename T>
KthDistance FindKth(const T* distances, size_t n, size_t k, size_t guess, size_t max) {
  size_t low = 0, high = max;  // the answer lies in [low, high]
  size_t t = std::min(guess, max);
  for (size_t step = 1;; step *= 2) {
    size_t less, less_equal;
    CountNear(distances, n, t, less, less_equal);
    if (less < k && less_equal >= k) return {t, less, less_equal - less};
    const bool down = less >= k;
    (down ? high : low) = down ? t - 1 : t + 1;
    const size_t next = down ? t - std::min(step, t) : t + step;
    t = high - low > 2 * step && next >= low && next <= high ? next : low + (high - low) / 2;
  }
}

// Fills the last block of a list so that it can be read whole.
template <typename T>
HWY_INLINE void PadList(const NearestList<T>& list) {
  const DistanceTag<T> d;
  const auto far = hn::Set(d, std::numeric_limits<T>::max());
  for (size_t i = 0; i < kListSlack; i += hn::Lanes(d)) {
    hn::StoreU(far, d, list.distances + list.count + i);
  }
}

// Cuts a padded list down to the k nearest, given its k-th distance; it stays oldest first. Of
// those at the k-th distance the ones that come first in `ties` stay.
template <typename T>
void KeepNearest(NearestList<T>& list, size_t k, const KthDistance& kth, TieOrder ties) {
  const DistanceTag<T> d;
  const auto t = hn::Set(d, static_cast<T>(kth.distance));
  const size_t take = k - kth.less;
  const bool newest = ties == TieOrder::kNewestFirst;
  size_t skip = newest ? kth.equal - take : 0;  // equal ones still to be left out
  size_t keep = newest ? kth.equal : take;      // equal ones still to be looked at
  size_t count = 0;
  for (size_t i = 0; i < list.count; i += kBlockRows) {
    uint64_t less, equal;
    CompareBlock(list.distances + i, t, less, equal);
    const size_t here = hwy::PopCount(equal);
    if (here > keep) equal = LowestBits(equal, keep);
    keep -= std::min(here, keep);
    if (skip != 0) {
      equal = here > skip ? equal ^ LowestBits(equal, skip) : 0;
      skip -= std::min(here, skip);
    }
    const uint64_t hits = less | equal;
    CopySelectedDistances(hits, list.distances + i, list.distances + count);
    count += CopySelected(hits, list.positions + i, list.positions + count);
  }
  list.count = count;
}

// Orders k entries of a padded list (oldest first) by distance into `out`: for each distance that
// occurs, from the first to the last asked for, copies its entries. Ascending distances, ties
// oldest first, or, with kNewestFirst, exactly the reverse of what is wanted: descending distances,
// ties oldest first. `out` has room for kListSlack more.
template <typename T>
void GatherByDistance(const NearestList<T>& list, size_t k, size_t nearest, size_t farthest,
                      TieOrder ties, NearestList<T>& out) {
  const DistanceTag<T> d;
  const bool down = ties == TieOrder::kNewestFirst;
  size_t count = 0;
  for (size_t distance = down ? farthest : nearest; count < k; distance += down ? -1 : 1) {
    const auto t = hn::Set(d, static_cast<T>(distance));
    const size_t begin = count;
    for (size_t i = 0; i < k; i += kBlockRows) {
      uint64_t equal = 0;
      for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
        equal |= MaskBits(d, hn::Eq(hn::LoadU(d, list.distances + i + lane), t)) << lane;
      }
      count += CopySelected(equal, list.positions + i, out.positions + count);
    }
    for (size_t i = begin; i < count; i += hn::Lanes(d)) hn::StoreU(t, d, out.distances + i);
  }
  out.count = count;
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
