// SPDX-License-Identifier: Apache-2.0
// Exact top-K of small integer distances, without sorting what is not wanted.
// Rows near enough are appended to a list of distances and positions; the K-th smallest distance of
// a list is found by counting, a vector compare per 16 to 64 distances.

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
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "simd/code_blocks.h"
#include "simd/internal/block_topk_layout.h"
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

// What RankNearest adds to entry j for entry i, at [kMaxRanked + j - i]: of[0] is 1 for j < i,
// of[1] for j > i.
inline constexpr size_t kMaxRanked = 128;
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
inline constexpr TieSteps<T> kTieSteps = MakeTieSteps<T>();

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
// `first`; returns how many. Writes up to 4 entries more: a loop of fours ends where the branch
// predictor expects it, one of single bits hardly ever.
template <typename T>
HWY_INLINE size_t WriteSelected(uint64_t hits, const T* from, int32_t first, T* distances,
                                int32_t* positions) {
  const size_t count = hwy::PopCount(hits);
  for (size_t i = 0; i < count; i += 4) {
    for (size_t j = i; j < i + 4; ++j) {
      const size_t row = hwy::Num0BitsBelowLS1Bit_Nonzero64(hits | (uint64_t{1} << 63));
      hits &= hits - 1;
      distances[j] = from[row];
      positions[j] = first + static_cast<int32_t>(row);
    }
  }
  return count;
}

#endif

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
  const auto below = [&](size_t i) HWY_ATTR { return hn::Lt(hn::LoadU(d, distances + i), limit); };
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  size_t count0 = 0, count1 = 0, i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    count0 += hn::CountTrue(d, below(i));
    count1 += hn::CountTrue(d, below(i + N));
  }
  if (i < n) count0 += hn::CountTrue(d, below(i));
  return count0 + count1;
#else
  // Where a mask is a vector of -1, lanes count for themselves, for as long as they can.
  const size_t rows_per_sum = 127 * 2 * N;
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

// Calls f(hits, i) for the blocks of 64 distances from `i` on, oldest first, with the set bits of
// the k nearest of `rows` distances (whole blocks can be read), given the k-th distance. Of those
// at the k-th distance the ones that come first in `ties` are taken.
template <typename T, class F>
HWY_INLINE void ForNearest(const T* distances, size_t rows, size_t k, size_t kth, TieOrder ties,
                           F f) {
  const DistanceTag<T> d;
  const auto t = hn::Set(d, static_cast<T>(kth));
  const size_t padded = PaddedRows(rows);
  const bool newest = ties == TieOrder::kNewestFirst;
  // Of the equal rows, oldest first, the first `left` are dropped (newest first) or kept.
  size_t left =
      newest ? CountBelow(distances, padded, kth + 1) - k : k - CountBelow(distances, padded, kth);
  for (size_t i = 0; i < rows; i += kBlockRows) {
    uint64_t less, equal;
    CompareBlock(distances + i, t, less, equal);
    const size_t here = std::min<size_t>(hwy::PopCount(equal), left);
    left -= here;
    const uint64_t first = LowestBits(equal, here);
    equal = newest ? equal ^ first : first;
    f(less | equal, i);
  }
}

// Cuts a padded list down to the k nearest, given its k-th distance; it stays oldest first.
template <typename T>
void KeepNearest(NearestList<T>& list, size_t k, size_t kth, TieOrder ties) {
  size_t count = 0;
  ForNearest(list.distances, list.count, k, kth, ties, [&](uint64_t hits, size_t i) HWY_ATTR {
    CopySelectedDistances(hits, list.distances + i, list.distances + count);
    count += CopySelected(hits, list.positions + i, list.positions + count);
  });
  list.count = count;
}

// Lists the k nearest of the n distances of a history of one chunk, given the k-th.
template <typename T>
void ListNearest(const T* distances, size_t n, size_t k, size_t kth, TieOrder ties,
                 NearestList<T>& list) {
  size_t count = 0;
  ForNearest(distances, n, k, kth, ties, [&](uint64_t hits, size_t i) HWY_ATTR {
    count += WriteSelected(hits, distances + i, static_cast<int32_t>(i), list.distances + count,
                           list.positions + count);
  });
  list.count = count;
}

// For each of k <= kMaxRanked distances (oldest first, whole blocks can be read) how many come
// before it in order: those nearer, and of those as near the ones first in `ties`. All pairs are
// compared, a vector of distances with one broadcast: the earlier side of a tie is told by adding 1
// to the distances it comes before. Writes whole blocks.
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
  // Two vectors share a broadcast; entries past k are far and come before none.
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
