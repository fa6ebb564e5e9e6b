// SPDX-License-Identifier: Apache-2.0
// The scratch of attention over tables in eight bits (simd/attention_heads_i8.h), and its last
// step: weighted sums of the chosen rows' values.

// clang-format off
#if defined(ETA_SIMD_HEADS_I8_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_HEADS_I8_INL_H_
#undef ETA_SIMD_HEADS_I8_INL_H_
#else
#define ETA_SIMD_HEADS_I8_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "simd/attention_heads_i8.h"
#include "simd/internal/i8_rows-inl.h"

#ifndef ETA_SIMD_HEADS_I8_INL_TYPES_
#define ETA_SIMD_HEADS_I8_INL_TYPES_
namespace eta::simd {

inline constexpr size_t kI8RowsScored = 4;     // rows whose sums fill a block of 4 lanes
inline constexpr size_t kI8BlockColumns = 16;  // bytes of the smallest vector

constexpr size_t RoundedI8Rows(size_t n) { return RoundUp(n, kI8RowsScored); }

// The scratch of one query with n rows, on to a multiple of kI8RowsScored: rows past the end are
// the last one again, with weight 0.
struct HeadsI8Scratch {
  HeadsI8Scratch(void* aligned, const I8HeadLayout& layout, size_t n)
      : count(n),
        lanes(Lanes(layout)),
        digits(static_cast<uint8_t*>(aligned)),
        weights(static_cast<float*>(static_cast<void*>(digits + layout.columns()))),
        factor_pairs(weights + RoundedI8Rows(n) / kI8RowsScored * lanes),
        key_factors(factor_pairs + 2 * RoundUp(n, 16)),
        value_factors(key_factors + RoundUp(n, 16)),
        query_factors(value_factors + RoundUp(n, 16)),
        factors(query_factors + lanes),
        floats(factors + lanes),
        query(static_cast<void*>(floats + layout.columns())),
        sums(static_cast<int32_t*>(query) + layout.columns() / 2),
        rows(static_cast<const uint8_t**>(static_cast<void*>(sums + layout.columns() / 4))),
        weight_digits(static_cast<uint8_t*>(static_cast<void*>(rows + RoundUp(n, 16)))) {}

  static size_t Bytes(const I8HeadLayout& layout, size_t n) {
    const size_t rows = RoundedI8Rows(n), lanes = Lanes(layout);
    const size_t weights = SaturatingProduct(rows, lanes + lanes / 2);  // 4 + 2 bytes, 4 rows
    const size_t row_bytes = RoundUp(n, 16) * (4 * sizeof(float) + sizeof(const uint8_t*));
    const size_t others = 2 * lanes * sizeof(float) + layout.columns() * 8;
    return weights >= SIZE_MAX - row_bytes - others ? kNoScratch : weights + row_bytes + others;
  }

  // Lanes that four rows' weights of all heads take.
  static size_t Lanes(const I8HeadLayout& layout) {
    return RoundUp(layout.heads, 4) * kI8RowsScored;
  }

  size_t count;         // n
  size_t lanes;         // Lanes()
  uint8_t* digits;      // PlaceI8Digits()
  float* weights;       // of four rows for each head, for each four rows: first their scores
  float* factor_pairs;  // of keys and of values, of the rows
  float* key_factors;   // the same apart, as the next
  float* value_factors;
  float* query_factors;  // in the lanes of a head, as the next
  float* factors;        // of the sums of values
  float* floats;         // sums of values, with padded heads
  void* query;           // where the target wants 16 bits
  int32_t* sums;         // of blocks of four rows, where a head has more than one block
  const uint8_t** rows;  // the chosen rows
  // Where the target wants 16 bits, the weights as integers: 2 * lanes bytes for each four rows.
  uint8_t* weight_digits;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_HEADS_I8_INL_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

// Adds sums of lanes of columns to those of the rows before, which are none if is_first.
HWY_INLINE void AddSums(I8HeadSums sums, bool is_first, float* to) {
  const I8HeadTag d;
  const auto floats = hn::ConvertTo(d, sums);
  hn::StoreU(is_first ? floats : hn::Add(hn::LoadU(d, to), floats), d, to);
}

#if ETA_SIMD_HAS_VNNI

// Blocks of 128 bits, of which b0 has 4 * i to 4 * i + 3 of each of four blocks of 16 in sums i, in
// the order of columns.
HWY_INLINE void AddSumsOfBlocks(const __m512i* sums, bool is_first, float* to) {
  const __m512i low01 = ShuffleBlocks<0x44>(sums[0], sums[1]);
  const __m512i low23 = ShuffleBlocks<0x44>(sums[2], sums[3]);
  const __m512i high01 = ShuffleBlocks<0xEE>(sums[0], sums[1]);
  const __m512i high23 = ShuffleBlocks<0xEE>(sums[2], sums[3]);
  AddSums(I8HeadSums{ShuffleBlocks<0x88>(low01, low23)}, is_first, to);
  AddSums(I8HeadSums{ShuffleBlocks<0xDD>(low01, low23)}, is_first, to + 16);
  AddSums(I8HeadSums{ShuffleBlocks<0x88>(high01, high23)}, is_first, to + 32);
  AddSums(I8HeadSums{ShuffleBlocks<0xDD>(high01, high23)}, is_first, to + 48);
}

// Writes where the rows' weights lie for a vector of columns: in each lane, the first bytes of the
// weights of four rows for the lane's head, among those for four heads on from the first.
HWY_INLINE void PlaceI8Digits(const I8HeadLayout& layout, void* scratch) {
  auto* digits = static_cast<uint8_t*>(scratch);
  for (size_t i = 0; i < layout.columns(); ++i) {
    const size_t head = i / 16 * 16 / layout.padded_part() - i / 64 * 64 / layout.padded_part();
    digits[i] = static_cast<uint8_t>(head * 16 + i % 4 * 4);
  }
}

// Adds the weighted values of rows [begin, end) to the sums of all columns. VPDPBUSD adds four
// products to a lane: a column's of four rows, which lie side by side after two steps of unpacking,
// as do the rows' weights, a digit of 8 bits of each, in all lanes of a block of their head.
ETA_SIMD_VNNI_ATTR HWY_INLINE void SumI8Values(const HeadsI8Scratch& scratch,
                                               const I8HeadLayout& layout, size_t begin,
                                               size_t end) {
  const size_t lanes = scratch.lanes, columns = layout.columns();
  const size_t padded_part = layout.padded_part();
  for (size_t c = 0; c < columns; c += 64) {
    const size_t head = c / padded_part;
    const __m512i lower_digits = _mm512_loadu_si512(scratch.digits + c);
    const __m512i upper_digits = _mm512_add_epi8(lower_digits, _mm512_set1_epi8(1));
    const float* weights = scratch.weights + begin / 4 * lanes + head * 4;
    const uint8_t* const* rows = scratch.rows;
    I8Sums low = StartI8Sums(0), high = low;
    for (size_t j = begin; j < end; j += 4, weights += lanes) {
      const __m512i r0 = _mm512_loadu_si512(rows[j] + columns + c);
      const __m512i r1 = _mm512_loadu_si512(rows[j + 1] + columns + c);
      const __m512i r2 = _mm512_loadu_si512(rows[j + 2] + columns + c);
      const __m512i r3 = _mm512_loadu_si512(rows[j + 3] + columns + c);
      const __m512i low01 = _mm512_unpacklo_epi8(r0, r1), high01 = _mm512_unpackhi_epi8(r0, r1);
      const __m512i low23 = _mm512_unpacklo_epi8(r2, r3), high23 = _mm512_unpackhi_epi8(r2, r3);
      const __m512i v0 = _mm512_unpacklo_epi16(low01, low23);
      const __m512i v1 = _mm512_unpackhi_epi16(low01, low23);
      const __m512i v2 = _mm512_unpacklo_epi16(high01, high23);
      const __m512i v3 = _mm512_unpackhi_epi16(high01, high23);
      const __m512i of_rows = _mm512_loadu_si512(weights);
      const __m512i lower = _mm512_permutexvar_epi8(lower_digits, of_rows);
      const __m512i upper = _mm512_permutexvar_epi8(upper_digits, of_rows);
      low.v0 = AddI8Products(low.v0, lower, v0), high.v0 = AddI8Products(high.v0, upper, v0);
      low.v1 = AddI8Products(low.v1, lower, v1), high.v1 = AddI8Products(high.v1, upper, v1);
      low.v2 = AddI8Products(low.v2, lower, v2), high.v2 = AddI8Products(high.v2, upper, v2);
      low.v3 = AddI8Products(low.v3, lower, v3), high.v3 = AddI8Products(high.v3, upper, v3);
    }
    const __m512i sums[4] = {reinterpret_cast<__m512i>(low.v0 + high.v0 * 256),
                             reinterpret_cast<__m512i>(low.v1 + high.v1 * 256),
                             reinterpret_cast<__m512i>(low.v2 + high.v2 * 256),
                             reinterpret_cast<__m512i>(low.v3 + high.v3 * 256)};
    AddSumsOfBlocks(sums, begin == 0, scratch.floats + c);
  }
}

#else

HWY_INLINE void PlaceI8Digits(const I8HeadLayout&, void*) {}

// 16 columns at most, which belong to one head.
using I8ValueSumTag = hn::CappedTag<int32_t, HWY_MIN(8, hn::MaxLanes(I8HeadSumTag()))>;
using I8ValuePairTag = hn::Repartition<int16_t, I8ValueSumTag>;
using I8ValuePairs = hn::Vec<I8ValuePairTag>;

HWY_INLINE I8ValuePairs LoadValues(const uint8_t* row) {
  const hn::Rebind<int8_t, I8ValuePairTag> d8;
  return hn::PromoteTo(I8ValuePairTag(), hn::LoadU(d8, reinterpret_cast<const int8_t*>(row)));
}

// Adds the weighted values of rows [begin, end) to the sums of all columns: pairs of rows, whose
// values lie side by side after one step of interleaving.
HWY_INLINE void SumI8Values(const HeadsI8Scratch& scratch, const I8HeadLayout& layout, size_t begin,
                            size_t end) {
  const I8ValueSumTag d;
  const I8ValuePairTag d16;
  const hn::RebindToFloat<I8ValueSumTag> df;
  const size_t N = hn::Lanes(d), columns = layout.columns(), padded_part = layout.padded_part();
  for (size_t c = 0; c < layout.heads * padded_part; c += 2 * N) {
    const size_t head = c / padded_part;
    auto low0 = hn::Zero(d), low1 = low0, high0 = low0, high1 = low0;
    for (size_t j = begin; j < end; j += 2) {
      const size_t at = j / 4 * 2 * scratch.lanes + (head * 4 + j % 4) * 2;
      int32_t word;
      std::memcpy(&word, scratch.weight_digits + at, sizeof(word));
      const auto weights = hn::BitCast(d16, hn::Set(d, word));
      const auto even = LoadValues(scratch.rows[j] + columns + c);
      const auto odd = LoadValues(scratch.rows[j + 1] + columns + c);
      low0 = hn::ReorderWidenMulAccumulate(d, hn::InterleaveLower(d16, even, odd), weights, low0,
                                           low1);
      high0 = hn::ReorderWidenMulAccumulate(d, hn::InterleaveUpper(d16, even, odd), weights, high0,
                                            high1);
    }
    const auto low = hn::ConvertTo(df, hn::RearrangeToOddPlusEven(low0, low1));
    const auto high = hn::ConvertTo(df, hn::RearrangeToOddPlusEven(high0, high1));
    auto first = low, second = high;
    if constexpr (hn::MaxLanes(I8ValueSumTag()) == 8) {
      first = hn::ConcatLowerLower(df, high, low);
      second = hn::ConcatUpperUpper(df, high, low);
    }
    float* to = scratch.floats + c;
    if (begin != 0) {
      first = hn::Add(hn::LoadU(df, to), first);
      second = hn::Add(hn::LoadU(df, to + N), second);
    }
    hn::StoreU(first, df, to);
    hn::StoreU(second, df, to + N);
  }
}

#endif  // ETA_SIMD_HAS_VNNI

HWY_INLINE ETA_SIMD_VNNI_ATTR void SumAllI8Values(const HeadsI8Scratch& scratch,
                                                  const I8HeadLayout& layout, float* out) {
  const I8HeadTag d;
  const size_t end = RoundedI8Rows(scratch.count), padded_part = layout.padded_part();
  for (size_t begin = 0; begin < end; begin += kI8RowsSummed) {
    SumI8Values(scratch, layout, begin, HWY_MIN(begin + kI8RowsSummed, end));
  }
  for (size_t h = 0; h < layout.heads; ++h) {
    const auto factor = hn::Set(d, scratch.factors[h * kI8RowsScored]);
    const float* sums = scratch.floats + h * padded_part;
    for (size_t i = 0; i < layout.part; i += hn::Lanes(d)) {
      const auto v = hn::Mul(hn::LoadU(d, sums + i), factor);
      StoreFirst(d, v, layout.part - i, out + h * layout.part + i);
    }
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
