// SPDX-License-Identifier: Apache-2.0
// Sums of values in panels of 16 components, weighted by integers of 15 bits for several queries at
// once (simd/attention_all_i8.h).

// clang-format off
#if defined(ETA_SIMD_PANEL_I8_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_PANEL_I8_INL_H_
#undef ETA_SIMD_PANEL_I8_INL_H_
#else
#define ETA_SIMD_PANEL_I8_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "simd/internal/i8_rows-inl.h"

#ifndef ETA_SIMD_PANEL_I8_INL_TYPES_
#define ETA_SIMD_PANEL_I8_INL_TYPES_
namespace eta::simd {

inline constexpr size_t kPanelGroupBytes = 64;  // four rows of a panel

}  // namespace eta::simd
#endif  // ETA_SIMD_PANEL_I8_INL_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

#if ETA_SIMD_HAS_VNNI

HWY_INLINE void AddTo(float* to, bool is_first, I8SumVector low, I8SumVector high) {
  const auto sum = _mm512_cvtepi32_ps(reinterpret_cast<__m512i>(low + high * 256));
  _mm512_storeu_ps(to, is_first ? sum : _mm512_add_ps(_mm512_loadu_ps(to), sum));
}

ETA_SIMD_VNNI_ATTR HWY_INLINE void AddFourRows(const uint8_t* weights, __m512i values,
                                               I8SumVector& low, I8SumVector& high) {
  int32_t lower, upper;
  std::memcpy(&lower, weights, sizeof(lower));
  std::memcpy(&upper, weights + 16, sizeof(upper));
  low = AddI8Products(low, _mm512_set1_epi32(lower), values);
  high = AddI8Products(high, _mm512_set1_epi32(upper), values);
}

// Adds the weighted values of rows [begin, end) of a panel to the sums of kQueries queries, `to`
// and on.
template <size_t kQueries>
ETA_SIMD_VNNI_ATTR void AddPanel(const float* row_weights, size_t stride, const uint8_t* panel,
                                 size_t begin, size_t end, float* to, size_t to_stride) {
  const auto zero = reinterpret_cast<I8SumVector>(_mm512_setzero_si512());
  // Named, because GCC 12 keeps an array of such sums in memory.
  I8SumVector l0 = zero, l1 = zero, l2 = zero, l3 = zero, l4 = zero, l5 = zero;
  I8SumVector h0 = zero, h1 = zero, h2 = zero, h3 = zero, h4 = zero, h5 = zero;
  const auto* weights = reinterpret_cast<const uint8_t*>(row_weights + begin);
  const size_t bytes = stride * sizeof(float);
  for (size_t r = begin; r < end; r += 16, weights += 64) {
    for (size_t k = 0; k < 4; ++k) {
      const __m512i v = _mm512_loadu_si512(panel + (r / 4 + k) * kPanelGroupBytes);
      const uint8_t* w = weights + 4 * k;
      AddFourRows(w, v, l0, h0);
      if constexpr (kQueries > 1) AddFourRows(w + bytes, v, l1, h1);
      if constexpr (kQueries > 2) AddFourRows(w + 2 * bytes, v, l2, h2);
      if constexpr (kQueries > 3) AddFourRows(w + 3 * bytes, v, l3, h3);
      if constexpr (kQueries > 4) AddFourRows(w + 4 * bytes, v, l4, h4);
      if constexpr (kQueries > 5) AddFourRows(w + 5 * bytes, v, l5, h5);
    }
  }
  const bool is_first = begin == 0;
  AddTo(to, is_first, l0, h0);
  if constexpr (kQueries > 1) AddTo(to + to_stride, is_first, l1, h1);
  if constexpr (kQueries > 2) AddTo(to + 2 * to_stride, is_first, l2, h2);
  if constexpr (kQueries > 3) AddTo(to + 3 * to_stride, is_first, l3, h3);
  if constexpr (kQueries > 4) AddTo(to + 4 * to_stride, is_first, l4, h4);
  if constexpr (kQueries > 5) AddTo(to + 5 * to_stride, is_first, l5, h5);
}

#else

HWY_INLINE void AddTo(float* to, bool is_first, I8SumVector sum0, I8SumVector sum1) {
  const hn::RebindToFloat<I8SumTag> df;
  const auto sum = hn::ConvertTo(df, FinishI8Sum(sum0, sum1));
  hn::StoreU(is_first ? sum : hn::Add(hn::LoadU(df, to), sum), df, to);
}

// Adds the weighted values of rows [begin, end) of a panel to the sums of kQueries queries, `to`
// and on.
template <size_t kQueries>
HWY_INLINE void AddPanel(const float* row_weights, size_t stride, const uint8_t* panel,
                         size_t begin, size_t end, float* to, size_t to_stride) {
  const I8SumTag d;
  const I8PairTag d16;
  for (size_t c = 0; c < 16; c += hn::Lanes(d)) {
    // Named, not an array, because SVE vectors have no size at compile time. Sums c take the other
    // halves on targets that split a pair.
    const auto zero = hn::Zero(d);
    auto a0 = zero, a1 = zero, a2 = zero, a3 = zero, c0 = zero, c1 = zero, c2 = zero, c3 = zero;
    const auto* words = reinterpret_cast<const int32_t*>(row_weights + begin);
    for (size_t r = begin; r < end; r += 4, words += 4) {
      const auto v = LoadLanes(d16, panel + r / 4 * kPanelGroupBytes + c * 4);
      const auto even = hn::ShiftRight<8>(hn::ShiftLeft<8>(v)), odd = hn::ShiftRight<8>(v);
      const auto step = [&](size_t q, I8SumVector & a, I8SumVector & other) HWY_ATTR
          __attribute__((always_inline)) {
        const auto w = hn::BitCast(d16, hn::Set(d, words[q * stride]));
        a = hn::ReorderWidenMulAccumulate(d, even, w, a, other);
        const auto w1 = hn::BitCast(d16, hn::Set(d, words[q * stride + 1]));
        a = hn::ReorderWidenMulAccumulate(d, odd, w1, a, other);
      };
      step(0, a0, c0);
      if constexpr (kQueries > 1) step(1, a1, c1);
      if constexpr (kQueries > 2) step(2, a2, c2);
      if constexpr (kQueries > 3) step(3, a3, c3);
    }
    AddTo(to + c, begin == 0, a0, c0);
    if constexpr (kQueries > 1) AddTo(to + c + to_stride, begin == 0, a1, c1);
    if constexpr (kQueries > 2) AddTo(to + c + 2 * to_stride, begin == 0, a2, c2);
    if constexpr (kQueries > 3) AddTo(to + c + 3 * to_stride, begin == 0, a3, c3);
  }
}

#endif  // ETA_SIMD_HAS_VNNI

HWY_INLINE void AddPanelOf(size_t queries, const float* weights, size_t stride,
                           const uint8_t* panel, size_t begin, size_t end, float* to,
                           size_t to_stride) {
#if ETA_SIMD_HAS_VNNI
  if (queries == 6) return AddPanel<6>(weights, stride, panel, begin, end, to, to_stride);
  if (queries == 5) return AddPanel<5>(weights, stride, panel, begin, end, to, to_stride);
#endif
  if (queries == 4) return AddPanel<4>(weights, stride, panel, begin, end, to, to_stride);
  if (queries == 3) return AddPanel<3>(weights, stride, panel, begin, end, to, to_stride);
  if (queries == 2) return AddPanel<2>(weights, stride, panel, begin, end, to, to_stride);
  AddPanel<1>(weights, stride, panel, begin, end, to, to_stride);
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
