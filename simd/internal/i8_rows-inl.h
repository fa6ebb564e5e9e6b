// SPDX-License-Identifier: Apache-2.0
// What kernels of models in eight bits share: rows of floats rounded to integers with a scale per
// row, and products of such rows. The same bits on every target.

// clang-format off
#if defined(ETA_SIMD_I8_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_I8_ROWS_INL_H_
#undef ETA_SIMD_I8_ROWS_INL_H_
#else
#define ETA_SIMD_I8_ROWS_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "simd/internal/dot_i8-inl.h"
#include "simd/internal/panel-inl.h"
#include "simd/internal/row_sums-inl.h"

#ifndef ETA_SIMD_I8_ROWS_INL_TYPES_
#define ETA_SIMD_I8_ROWS_INL_TYPES_
namespace eta::simd {

// Rows whose largest value is below are rows of zeros, because steps / largest must be finite.
inline constexpr float kSmallestLargest = 0x1p-100f;

// Softmax weights are integers of up to 15 bits; products with int8_t of 512 rows fit 31 bits:
// 32,767 * 127 * 512.
inline constexpr float kI8WeightSteps = 32767.0f;
inline constexpr size_t kI8RowsSummed = 512;
inline constexpr float kLog2OfE = 1.44269504f;

// How a row is rounded: value = integer * scale, integer = value * factor.
struct RowScale {
  RowScale(float largest, float steps) {
    if (!(largest <= std::numeric_limits<float>::max())) {
      scale = std::numeric_limits<float>::quiet_NaN();
    } else if (largest >= kSmallestLargest) {
      scale = largest / steps;
      factor = steps / largest;
    }
  }
  bool is_zero() const { return factor == 0.0f; }  // all integers are 0

  float scale = 0.0f;
  float factor = 0.0f;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_I8_ROWS_INL_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

// Adding 1.5 * 2^23 in a fused multiply-add rounds the exact product to an integer, halves to even,
// and leaves it in the low bits.
constexpr float kRoundingShift = 0x1.8p23f;

// max(x, 0) that keeps NaN, or x.
template <bool kIsRelu, class D>
HWY_INLINE hn::Vec<D> Activated(D d, hn::Vec<D> v) {
  if constexpr (kIsRelu) return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(d)), v);
  (void)d;
  return v;
}

// The first `count` floats, then zeros.
template <class D>
HWY_INLINE hn::Vec<D> LoadFirst(D d, const float* x, size_t count) {
  if (HWY_LIKELY(count >= hn::Lanes(d))) return hn::LoadU(d, x);
  if constexpr (ETA_SIMD_HAS_MASK_REGISTERS) return hn::MaskedLoad(hn::FirstN(d, count), d, x);
  HWY_ALIGN float lanes[16] = {0.0f};
  std::memcpy(lanes, x, count * sizeof(float));
  return hn::Load(d, lanes);
}

// The first `count` bytes, then zeros.
template <class D32>
HWY_INLINE hn::Vec<D32> LoadFirstBytes(D32 d32, const int8_t* x, size_t count) {
  const hn::Rebind<int8_t, D32> d8;
  if (HWY_LIKELY(count >= hn::Lanes(d32))) return hn::PromoteTo(d32, hn::LoadU(d8, x));
#if ETA_SIMD_HAS_MASK_REGISTERS
  const auto first = static_cast<__mmask16>((1u << count) - 1);
  return hn::Vec<D32>{_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first, x))};
#else
  HWY_ALIGN int8_t lanes[16] = {0};
  std::memcpy(lanes, x, count);
  return hn::PromoteTo(d32, hn::LoadU(d8, lanes));
#endif
}

// The first `count` lanes, and nothing past them.
template <class D>
HWY_INLINE void StoreFirst(D d, hn::Vec<D> v, size_t count, float* to) {
  if (HWY_LIKELY(count >= hn::Lanes(d))) return hn::StoreU(v, d, to);
  if constexpr (ETA_SIMD_HAS_MASK_REGISTERS) {
    return hn::BlendedStore(v, hn::FirstN(d, count), d, to);
  }
  HWY_ALIGN float lanes[16];
  hn::Store(v, d, lanes);
  std::memcpy(to, lanes, count * sizeof(float));
}

// 32-bit lanes at an address of any alignment.
template <class D>
HWY_INLINE hn::Vec<D> LoadLanes(D d, const uint8_t* bytes) {
  const hn::Repartition<uint8_t, D> d8;
  return hn::BitCast(d, hn::LoadU(d8, bytes));
}

// The largest |activation(x_i)| of `width` values; NaN or an infinity if there is one. The bits of
// |x| are in the order of numbers, infinity and NaN last, which is one of integers.
template <bool kIsRelu>
HWY_INLINE float LargestOfRow(const float* x, size_t width) {
  const PanelTag d;
  const hn::RebindToSigned<PanelTag> d32;
  const size_t N = hn::Lanes(d);
  auto bits = hn::Zero(d32), more = bits;
  size_t i = 0;
  for (; i + 2 * N <= width; i += 2 * N) {
    const auto first = hn::Abs(Activated<kIsRelu>(d, hn::LoadU(d, x + i)));
    const auto second = hn::Abs(Activated<kIsRelu>(d, hn::LoadU(d, x + i + N)));
    bits = hn::Max(bits, hn::BitCast(d32, first));
    more = hn::Max(more, hn::BitCast(d32, second));
  }
  for (; i < width; i += N) {
    const auto rest = hn::Abs(Activated<kIsRelu>(d, LoadFirst(d, x + i, width - i)));
    bits = hn::Max(bits, hn::BitCast(d32, rest));
  }
  return hn::GetLane(hn::BitCast(d, hn::MaxOfLanes(d32, hn::Max(bits, more))));
}

// v plus `scale` times the first `count` values, rounded once.
template <class D>
HWY_INLINE hn::Vec<D> AddBytes(D d, hn::Vec<D> v, const int8_t* values, float scale, size_t count) {
  const auto integers = LoadFirstBytes(hn::RebindToSigned<D>(), values, count);
  return QuickFma(d, hn::ConvertTo(d, integers), hn::Set(d, scale), v);
}

// v * factor rounded to integers of less than 2^22.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToSigned<D> > RoundTo32Bits(D d, hn::Vec<D> v, hn::Vec<D> factor) {
  const hn::RebindToSigned<D> d32;
  const auto shift = hn::Set(d, kRoundingShift);
  return hn::Sub(hn::BitCast(d32, QuickFma(d, v, factor, shift)), hn::BitCast(d32, shift));
}

// Writes the low byte of the first `count` lanes.
template <class D32>
HWY_INLINE void StoreLowBytes(D32 d32, hn::Vec<D32> v, size_t count, uint8_t* to) {
#if ETA_SIMD_HAS_MASK_REGISTERS
  (void)d32;
  const __m128i bytes = _mm512_cvtepi32_epi8(v.raw);
  if (HWY_LIKELY(count >= 16)) return _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
  _mm_mask_storeu_epi8(to, static_cast<__mmask16>((1u << count) - 1), bytes);
#else
  const hn::Rebind<uint8_t, D32> d8;
  const auto bytes = hn::DemoteTo(d8, hn::And(v, hn::Set(d32, 0xFF)));
  if (HWY_LIKELY(count >= hn::Lanes(d32))) return hn::StoreU(bytes, d8, to);
  HWY_ALIGN uint8_t lanes[16];
  hn::StoreU(bytes, d8, lanes);
  std::memcpy(to, lanes, count);
#endif
}

// Rounds values by `scale` to bytes, plus `zero`.
template <bool kIsRelu>
HWY_INLINE void RoundBy(RowScale scale, const float* x, size_t width, int zero, uint8_t* bytes) {
  const PanelTag d;
  const hn::RebindToSigned<PanelTag> d32;
  if (scale.is_zero()) {
    std::memset(bytes, zero, width);
    return;
  }
  const auto factor = hn::Set(d, scale.factor);
  const auto shift = hn::Set(d, kRoundingShift + static_cast<float>(zero));
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    const auto v = Activated<kIsRelu>(d, LoadFirst(d, x + i, width - i));
    StoreLowBytes(d32, hn::BitCast(d32, QuickFma(d, v, factor, shift)), width - i, bytes + i);
  }
}

// Rounds a row to bytes: 0 to 255 with kIsRelu, else -127 to 127, plus `zero`. Returns its scale.
template <bool kIsRelu>
HWY_INLINE float RoundToBytes(const float* x, size_t width, int zero, uint8_t* bytes) {
  const RowScale scale(LargestOfRow<kIsRelu>(x, width), kIsRelu ? 255.0f : 127.0f);
  RoundBy<kIsRelu>(scale, x, width, zero, bytes);
  return scale.scale;
}

// 2^x for x <= 0 with a relative error of 3e-6, 0 below 2^-126; NaN stays NaN. With n = round(x)
// and r = x - n, 2^x = 2^n 2^r, and adding n to the exponent of 2^r multiplies by 2^n. Weights of
// 15 bits need no more than these 4 terms; FastExp (exp-inl.h) takes a quarter more instructions.
template <class D>
HWY_INLINE hn::Vec<D> Exp2OfNegative(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> d32;
  const auto shift = hn::Set(d, kRoundingShift);
  const auto shifted = hn::Add(x, shift);
  const auto r = hn::Sub(x, hn::Sub(shifted, shift));
  // Minimax polynomial for the relative error on [-1/2, 1/2], constrained to 2^0 = 1: 2.8e-6.
  auto p = hn::Set(d, 0x1.3a02ccp-7f);
  p = QuickFma(d, p, r, hn::Set(d, 0x1.c9fc46p-5f));
  p = QuickFma(d, p, r, hn::Set(d, 0x1.ec0378p-3f));
  p = QuickFma(d, p, r, hn::Set(d, 0x1.62e12cp-1f));
  p = QuickFma(d, p, r, hn::Set(d, 1.0f));
  const auto power = hn::ShiftLeft<23>(hn::BitCast(d32, shifted));
  const auto y = hn::BitCast(d, hn::Add(hn::BitCast(d32, p), power));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -126.0f)), y);
}

// A row of bytes in the form of the target, kI8WordsPerGroup words for each four values; 0 for
// those past the end.
#if ETA_SIMD_HAS_VNNI

HWY_INLINE void PrepareI8Words(const uint8_t* row, size_t width, bool is_signed, int32_t* words) {
  (void)is_signed;
  words[I8Groups(width) - 1] = 0;
  std::memcpy(words, row, width);
}

#else

// Widens a row, less its zero point: words with values 0 and 2 of each group, then those with 1
// and 3.
HWY_INLINE void PrepareI8Words(const uint8_t* row, size_t width, bool is_signed, int32_t* words) {
  const I8PairTag d16;
  const I8SumTag d32;
  const auto zero = hn::Set(d16, static_cast<int16_t>(is_signed ? 128 : 0));
  const auto low = hn::Set(d16, int16_t{0xFF});
  const size_t groups = I8Groups(width), step = 4 * hn::Lanes(d32);
  HWY_ALIGN uint8_t bytes[64];
  HWY_ALIGN int32_t lanes[2 * 16];
  for (size_t i = 0; i < width; i += step) {
    const bool is_whole = i + step <= width;
    if (!is_whole) {
      std::memset(bytes, 0, step);
      std::memcpy(bytes, row + i, width - i);
    }
    const auto v = LoadLanes(d16, is_whole ? row + i : bytes);
    const auto even = hn::BitCast(d32, hn::Sub(hn::And(v, low), zero));
    const auto odd = hn::BitCast(d32, hn::Sub(hn::And(hn::ShiftRight<8>(v), low), zero));
    int32_t* to = is_whole ? words + i / 4 : lanes;
    int32_t* odd_to = is_whole ? words + groups + i / 4 : lanes + 16;
    hn::StoreU(even, d32, to);
    hn::StoreU(odd, d32, odd_to);
    if (is_whole) continue;
    const size_t rest = (groups - i / 4) * sizeof(int32_t);
    std::memcpy(words + i / 4, lanes, rest);
    std::memcpy(words + groups + i / 4, lanes + 16, rest);
  }
}

#endif  // ETA_SIMD_HAS_VNNI

// Exact inner products of a query of int8 with rows of int8, by blocks of 16 columns. The query is
// kept in the form of the target.

// Operations on blocks need a fixed lane count, so SVE uses 4 lanes.
#if HWY_HAVE_SCALABLE
using I8HeadTag = hn::FixedTag<float, 4>;
#else
using I8HeadTag = hn::CappedTag<float, 16>;
#endif
using I8HeadSumTag = hn::RebindToSigned<I8HeadTag>;
using I8HeadVector = hn::Vec<I8HeadTag>;
using I8HeadSums = hn::Vec<I8HeadSumTag>;

#if ETA_SIMD_HAS_VNNI

using I8HeadElement = int8_t;

// 64 columns of a query. VPDPBUSD multiplies unsigned by signed bytes: rows are taken plus 128,
// which `start` takes back.
struct QueryChunk {
  __m512i values, start;
};

ETA_SIMD_VNNI_ATTR HWY_INLINE QueryChunk LoadQuery(const int8_t* query) {
  const __m512i values = _mm512_loadu_si512(query), zero = _mm512_setzero_si512();
  const __m512i sums = _mm512_dpbusd_epi32(zero, _mm512_set1_epi8(-128), values);
  return {values, _mm512_sub_epi32(zero, sums)};
}

// Lanes of a block of the result add up to the products of the block's columns.
ETA_SIMD_VNNI_ATTR HWY_INLINE I8HeadSums ColumnSums(const uint8_t* row, const QueryChunk& q) {
  const __m512i rows = _mm512_xor_si512(_mm512_loadu_si512(row), _mm512_set1_epi8(-128));
  return I8HeadSums{_mm512_dpbusd_epi32(q.start, rows, q.values)};
}

#else

using I8HeadPairTag = hn::Repartition<int16_t, I8HeadSumTag>;
using I8HeadPairs = hn::Vec<I8HeadPairTag>;

using I8HeadElement = int16_t;

// As many bytes of a query as a vector of rows has.
struct QueryChunk {
  const int16_t* at;
};

HWY_INLINE QueryChunk LoadQuery(const int16_t* query) { return {query}; }

// The products of half of a vector of bytes, added in pairs.
HWY_INLINE I8HeadSums HalfColumnSums(const uint8_t* row, const int16_t* query) {
  const I8HeadSumTag d;
  const I8HeadPairTag d16;
  const hn::Rebind<int8_t, I8HeadPairTag> d8;
  const auto key = hn::PromoteTo(d16, hn::LoadU(d8, reinterpret_cast<const int8_t*>(row)));
  auto other = hn::Zero(d);
  const auto sum = hn::ReorderWidenMulAccumulate(d, key, hn::LoadU(d16, query), hn::Zero(d), other);
  return hn::Add(sum, other);
}

// Lanes of a block of the result add up to the products of the block's columns.
HWY_INLINE I8HeadSums ColumnSums(const uint8_t* row, const QueryChunk& q) {
  const I8HeadSumTag d;
  const size_t half = 2 * hn::Lanes(d);
  const auto a = HalfColumnSums(row, q.at), b = HalfColumnSums(row + half, q.at + half);
#if ETA_SIMD_HAS_MASK_REGISTERS
  return AddBlocks<0x88, 0xDD>(d, a, b);
#elif ETA_SIMD_HAS_WIDE_VECTORS
  return hn::Add(hn::ConcatLowerLower(d, b, a), hn::ConcatUpperUpper(d, b, a));
#else
  return hn::Add(a, b);
#endif
}

#endif  // ETA_SIMD_HAS_VNNI

HWY_INLINE void StoreQuery(I8HeadSums q, I8HeadElement* to) {
  const hn::Rebind<I8HeadElement, I8HeadSumTag> d;
  hn::StoreU(hn::DemoteTo(d, q), d, to);
}

// Lane r of block b of the result is the sum of block b of v_r.
HWY_INLINE I8HeadSums SumsOfBlocks(I8HeadSums v0, I8HeadSums v1, I8HeadSums v2, I8HeadSums v3) {
  const I8HeadSumTag d;
#if HWY_HAVE_SCALABLE
  HWY_ALIGN const int32_t sums[4] = {
      hn::GetLane(hn::SumOfLanes(d, v0)), hn::GetLane(hn::SumOfLanes(d, v1)),
      hn::GetLane(hn::SumOfLanes(d, v2)), hn::GetLane(hn::SumOfLanes(d, v3))};
  return hn::Load(d, sums);
#else
  return SumsWithinBlocks(d, v0, v1, v2, v3);
#endif
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
