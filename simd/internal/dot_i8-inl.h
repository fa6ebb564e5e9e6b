// SPDX-License-Identifier: Apache-2.0
// A tile of int8 queries times a block of 64 int8 rows (the layout of simd/dot_i8.h).

// clang-format off
#if defined(ETA_SIMD_DOT_I8_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_DOT_I8_INL_H_
#undef ETA_SIMD_DOT_I8_INL_H_
#else
#define ETA_SIMD_DOT_I8_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "simd/dot_i8.h"

#ifndef ETA_SIMD_DOT_I8_INL_TYPES_
#define ETA_SIMD_DOT_I8_INL_TYPES_
namespace eta::simd {

inline constexpr size_t kI8GroupBytes = kBlockRows * 4;  // four dimensions of a block

// Words of the prepared queries of one pass over the rows (32 KiB of scratch): room for 24 queries
// of 680 dimensions or 4 of 4,096, twice as many with VNNI.
inline constexpr size_t kI8TileWords = 8192;
inline constexpr size_t kI8WordsBytes = kCacheLineBytes + kI8TileWords * sizeof(int32_t);

// Whether the rows have a width that kernels take, a stride that holds it, and a size that exists.
constexpr bool AreI8Rows(const I8RowsView& rows) {
  return rows.width <= kI8MaxDim &&
         AreRows(RowsView<int8_t>{rows.values, rows.count, rows.width, rows.stride});
}

// Up to kI8TileQueries queries and the 64 rows of a block.
struct I8Tile {
  const uint8_t* block;
  const float* row_scales;
  size_t groups;
  const int32_t* words;   // prepared queries, one after another
  const int32_t* starts;  // what their sums start from
  const float* query_scales;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_DOT_I8_INL_TYPES_

// The attribute of functions that use VNNI, and of those that such are inlined into; empty without
// VNNI. Highway takes AVX3_DL for present only where CPUID reports AVX512_VNNI (bit 11 of leaf 7's
// ECX, one of the flags its group of that name asks for, in 1.0.3 as in later versions), but the
// string that 1.0.3 compiles the target with lacks it.
#undef ETA_SIMD_VNNI_ATTR
#if ETA_SIMD_HAS_VNNI
#define ETA_SIMD_VNNI_ATTR __attribute__((target(HWY_TARGET_STR ",avx512vnni")))
#else
#define ETA_SIMD_VNNI_ATTR
#endif

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

#if ETA_SIMD_HAS_VNNI

// 6 queries x 4 vectors (a whole block) are 24 sums in 32 registers, with 10 loads for 24 VPDPBUSD.
// That reaches 77 to 82 % of the VPDPBUSD peak at 1,024 rows of 64 dimensions (Zen 5, 2026-11). The
// two products of a score take the same ports as VPDPBUSD and cost 2 in 18 there.
constexpr size_t kI8TileQueries = 6;
constexpr size_t kI8WordsPerGroup = 1;

// Pads a query to whole groups. Returns what its sums start from: -128 times its own sum.
HWY_INLINE int32_t PrepareI8Query(const int8_t* HWY_RESTRICT query, size_t dim,
                                  int32_t* HWY_RESTRICT words) {
  words[I8Groups(dim) - 1] = 0;
  std::memcpy(words, query, dim);
  int32_t sum = 0;
  for (size_t d = 0; d < dim; ++d) sum += query[d];
  return -128 * sum;
}

// A vector type with 32-bit lanes. __m512i has 64-bit ones, and GCC 12 then keeps the sums of a
// loop of 32-bit operations in both types, which takes 48 registers and spills.
using I8SumVector = int32_t __attribute__((vector_size(64)));

// The sums of a query with the 64 rows of a block.
struct I8Sums {
  I8SumVector v0, v1, v2, v3;
};

ETA_SIMD_VNNI_ATTR HWY_INLINE I8SumVector AddI8Products(I8SumVector sum, __m512i rows, __m512i q) {
  return reinterpret_cast<I8SumVector>(
      _mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), rows, q));
}

ETA_SIMD_VNNI_ATTR HWY_INLINE void AddI8Products(I8Sums& sums, __m512i r0, __m512i r1, __m512i r2,
                                                 __m512i r3, int32_t word) {
  const __m512i q = _mm512_set1_epi32(word);
  sums.v0 = AddI8Products(sums.v0, r0, q);
  sums.v1 = AddI8Products(sums.v1, r1, q);
  sums.v2 = AddI8Products(sums.v2, r2, q);
  sums.v3 = AddI8Products(sums.v3, r3, q);
}

HWY_INLINE I8Sums StartI8Sums(int32_t start) {
  const auto v = reinterpret_cast<I8SumVector>(_mm512_set1_epi32(start));
  return {v, v, v, v};
}

HWY_INLINE __m512 I8Scores(I8SumVector sum, const float* HWY_RESTRICT row_scales,
                           __m512 query_scale) {
  const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(reinterpret_cast<__m512i>(sum)),
                                      _mm512_loadu_ps(row_scales));
  return _mm512_mul_ps(scaled, query_scale);
}

template <class Sink>
HWY_INLINE void TakeI8Scores(const I8Sums& sums, const I8Tile& tile, size_t q, Sink sink) {
  const __m512 query_scale = _mm512_set1_ps(tile.query_scales[q]);
  sink.Take(q, I8Scores(sums.v0, tile.row_scales, query_scale),
            I8Scores(sums.v1, tile.row_scales + 16, query_scale),
            I8Scores(sums.v2, tile.row_scales + 32, query_scale),
            I8Scores(sums.v3, tile.row_scales + 48, query_scale));
}

// Hands the scores of a block's 64 rows with each query to `sink` (float_topk-inl.h).
template <size_t kQueries, class Sink>
ETA_SIMD_VNNI_ATTR void I8TileScores(const I8Tile& tile, Sink sink) {
  static_assert(kQueries >= 1 && kQueries <= kI8TileQueries);
  const size_t groups = tile.groups;
  const uint8_t* HWY_RESTRICT rows = tile.block;
  const int32_t* HWY_RESTRICT words = tile.words;
  const int32_t* const end = words + groups;
  // Neither an array nor captured by a lambda, because GCC 12 keeps such sums in memory.
  I8Sums s0 = StartI8Sums(tile.starts[0]), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0;
  if constexpr (kQueries > 1) s1 = StartI8Sums(tile.starts[1]);
  if constexpr (kQueries > 2) s2 = StartI8Sums(tile.starts[2]);
  if constexpr (kQueries > 3) s3 = StartI8Sums(tile.starts[3]);
  if constexpr (kQueries > 4) s4 = StartI8Sums(tile.starts[4]);
  if constexpr (kQueries > 5) s5 = StartI8Sums(tile.starts[5]);
  do {
    const __m512i r0 = _mm512_loadu_si512(rows), r1 = _mm512_loadu_si512(rows + 64);
    const __m512i r2 = _mm512_loadu_si512(rows + 128), r3 = _mm512_loadu_si512(rows + 192);
    AddI8Products(s0, r0, r1, r2, r3, words[0]);
    if constexpr (kQueries > 1) AddI8Products(s1, r0, r1, r2, r3, words[groups]);
    if constexpr (kQueries > 2) AddI8Products(s2, r0, r1, r2, r3, words[2 * groups]);
    if constexpr (kQueries > 3) AddI8Products(s3, r0, r1, r2, r3, words[3 * groups]);
    if constexpr (kQueries > 4) AddI8Products(s4, r0, r1, r2, r3, words[4 * groups]);
    if constexpr (kQueries > 5) AddI8Products(s5, r0, r1, r2, r3, words[5 * groups]);
    rows += kI8GroupBytes;
  } while (++words != end);
  TakeI8Scores(s0, tile, 0, sink);
  if constexpr (kQueries > 1) TakeI8Scores(s1, tile, 1, sink);
  if constexpr (kQueries > 2) TakeI8Scores(s2, tile, 2, sink);
  if constexpr (kQueries > 3) TakeI8Scores(s3, tile, 3, sink);
  if constexpr (kQueries > 4) TakeI8Scores(s4, tile, 4, sink);
  if constexpr (kQueries > 5) TakeI8Scores(s5, tile, 5, sink);
}

#else

// Without VNNI: products of 16-bit pairs. The even and the odd bytes of a row become 16-bit lanes
// by one operation each for all queries, so that a pair and its sum stay in the 32 bits of the row.
// VPMADDUBSW on absolute values, the other known way, needs as many operations: sign, two products
// and a sum against two products and two sums. Its pairs also come near saturation: 2 * 127 * 127 =
// 32,258. Two vectors of rows at a time: 4 queries x 2 are 8 sums, which with 4 vectors of rows and
// 2 of the query fit 16 registers.
constexpr size_t kI8TileQueries = 4;
constexpr size_t kI8WordsPerGroup = 2;

using I8SumTag = hn::CappedTag<int32_t, 16>;
using I8SumVector = hn::Vec<I8SumTag>;
using I8PairTag = hn::Repartition<int16_t, I8SumTag>;
using I8PairVector = hn::Vec<I8PairTag>;

// Widens a query: a word with dimensions 0 and 2 of a group, then one with 1 and 3. Returns what
// its sums start from: -128 times its own sum.
HWY_INLINE int32_t PrepareI8Query(const int8_t* HWY_RESTRICT query, size_t dim,
                                  int32_t* HWY_RESTRICT words) {
  int32_t sum = 0;
  for (size_t g = 0; g < I8Groups(dim); ++g) {
    int8_t bytes[4] = {0};
    std::memcpy(bytes, query + 4 * g, HWY_MIN(size_t{4}, dim - 4 * g));
    const int16_t pairs[4] = {bytes[0], bytes[2], bytes[1], bytes[3]};
    std::memcpy(words + 2 * g, pairs, sizeof(pairs));
    sum += bytes[0] + bytes[1] + bytes[2] + bytes[3];
  }
  return -128 * sum;
}

HWY_INLINE void LoadI8Rows(const uint8_t* rows, I8PairVector& even, I8PairVector& odd) {
  const I8PairTag d16;
  const hn::RebindToUnsigned<I8PairTag> du16;
  const hn::Repartition<uint8_t, I8PairTag> d8;
  const auto v = hn::BitCast(du16, hn::LoadU(d8, rows));
  even = hn::BitCast(d16, hn::And(v, hn::Set(du16, uint16_t{0x00FF})));
  odd = hn::BitCast(d16, hn::ShiftRight<8>(v));
}

// Adds up the products of pairs. x86 has one type for all integer vectors, with 64-bit lanes, and
// GCC 12 would keep the sums of the loop before this in 32-bit lanes as well: twice the registers,
// and spills. The empty assembly hides from it what the sums are.
HWY_INLINE I8SumVector FinishI8Sum(I8SumVector sum0, I8SumVector sum1) {
#if ETA_SIMD_HAS_X86_VECTORS && HWY_COMPILER_GCC_ACTUAL
  __asm__("" : "+x"(sum0.raw));
#endif
  return hn::RearrangeToOddPlusEven(sum0, sum1);
}

// Hands the scores of a block's 64 rows with each query to `sink` (float_topk-inl.h).
template <size_t kQueries, class Sink>
HWY_INLINE void I8TileScores(const I8Tile& tile, Sink sink) {
  static_assert(kQueries >= 1 && kQueries <= kI8TileQueries);
  const I8SumTag d;
  const I8PairTag d16;
  const hn::RebindToFloat<I8SumTag> df;
  const size_t N = hn::Lanes(d);
  for (size_t lane = 0; lane < kBlockRows; lane += 2 * N) {
    // Named, not an array, because SVE vectors have no size at compile time. Sums a and b are those
    // of the two vectors of rows; c and e take their other halves on targets that split a pair.
    const auto zero = hn::Zero(d);
    auto a0 = zero, b0 = zero, a1 = zero, b1 = zero, a2 = zero, b2 = zero, a3 = zero, b3 = zero;
    auto c0 = zero, e0 = zero, c1 = zero, e1 = zero, c2 = zero, e2 = zero, c3 = zero, e3 = zero;
    const uint8_t* HWY_RESTRICT rows = tile.block + 4 * lane;
    const int32_t* HWY_RESTRICT words = tile.words;
    for (size_t g = 0; g < tile.groups; ++g, rows += kI8GroupBytes, words += 2) {
      I8PairVector even0, odd0, even1, odd1;
      LoadI8Rows(rows, even0, odd0);
      LoadI8Rows(rows + 4 * N, even1, odd1);
      const auto step = [&](size_t q, I8SumVector& a, I8SumVector& c, I8SumVector& b,
                            I8SumVector& e) HWY_ATTR {
        const int32_t* word = words + q * tile.groups * 2;
        const auto even = hn::BitCast(d16, hn::Set(d, word[0]));
        const auto odd = hn::BitCast(d16, hn::Set(d, word[1]));
        a = hn::ReorderWidenMulAccumulate(d, even0, even, a, c);
        b = hn::ReorderWidenMulAccumulate(d, even1, even, b, e);
        a = hn::ReorderWidenMulAccumulate(d, odd0, odd, a, c);
        b = hn::ReorderWidenMulAccumulate(d, odd1, odd, b, e);
      };
      step(0, a0, c0, b0, e0);
      if constexpr (kQueries > 1) step(1, a1, c1, b1, e1);
      if constexpr (kQueries > 2) step(2, a2, c2, b2, e2);
      if constexpr (kQueries > 3) step(3, a3, c3, b3, e3);
    }
    const auto emit = [&](size_t q, size_t row, I8SumVector sum0, I8SumVector sum1) HWY_ATTR {
      // The start is added here, because on NEON a sum is in two lanes until now.
      const auto sum =
          hn::ConvertTo(df, hn::Add(FinishI8Sum(sum0, sum1), hn::Set(d, tile.starts[q])));
      const auto scaled = hn::Mul(sum, hn::LoadU(df, tile.row_scales + row));
      sink.Take(q, row, hn::Mul(scaled, hn::Set(df, tile.query_scales[q])));
    };
    emit(0, lane, a0, c0);
    emit(0, lane + N, b0, e0);
    if constexpr (kQueries > 1) emit(1, lane, a1, c1), emit(1, lane + N, b1, e1);
    if constexpr (kQueries > 2) emit(2, lane, a2, c2), emit(2, lane + N, b2, e2);
    if constexpr (kQueries > 3) emit(3, lane, a3, c3), emit(3, lane + N, b3, e3);
  }
}

#endif  // ETA_SIMD_HAS_VNNI

// I8TileScores for a number of queries known at run time, 1 to kI8TileQueries.
template <class Sink>
HWY_INLINE void I8TileOf(size_t queries, const I8Tile& tile, Sink sink) {
  switch (queries) {
#if ETA_SIMD_HAS_VNNI
    case 6:
      return I8TileScores<6>(tile, sink);
    case 5:
      return I8TileScores<5>(tile, sink);
#endif
    case 4:
      return I8TileScores<4>(tile, sink);
    case 3:
      return I8TileScores<3>(tile, sink);
    case 2:
      return I8TileScores<2>(tile, sink);
    default:
      return I8TileScores<1>(tile, sink);
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
