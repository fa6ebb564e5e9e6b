// SPDX-License-Identifier: Apache-2.0

// clang-format off
#if defined(ETA_SIMD_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_EXP_INL_H_
#undef ETA_SIMD_EXP_INL_H_
#else
#define ETA_SIMD_EXP_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "hwy/highway.h"
#include "simd/activations.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// exp(x) for x <= 0 (simd/activations.h). x = n ln 2 + r with whole n and |r| <= ln 2 / 2, so that
// exp(x) = 2^n exp(r). n ln 2 is taken off in two parts, of which the first has so few bits that
// its products are exact.
template <class D>
HWY_INLINE hn::Vec<D> FastExp(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  // In a float of 1.5 2^23 and a little the last bit counts ones: the sum is rounded to a whole
  // number, which its lowest bits hold.
  const auto shifter = hn::Set(d, 0x1.8p23f);
  const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), shifter);
  const auto n = hn::Sub(shifted, shifter);
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  // Of least largest relative error on the interval, with exp(0) = 1 kept: 9.2e-8 before rounding.
  auto p = hn::Set(d, 0x1.0fa7d8p-7f);
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.573ad0p-5f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.555a6ep-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.fffdc4p-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.fffff6p-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const auto power =
      hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::BitCast(di, shifted), hn::Set(di, 127))));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, kExpLowest)), hn::Mul(p, power));
}

// Applies f to the vectors of values[0, n); the lanes past the end hold `fill`.
template <class F>
HWY_INLINE void TransformInPlace(float* values, size_t n, float fill, F f) {
  const hn::CappedTag<float, 16> d;
  const size_t N = hn::Lanes(d);
  size_t i = 0;
  for (; i + N <= n; i += N) hn::StoreU(f(d, hn::LoadU(d, values + i)), d, values + i);
  if (i == n) return;
  HWY_ALIGN float lanes[16];
  std::fill_n(lanes, 16, fill);
  std::memcpy(lanes, values + i, (n - i) * sizeof(float));
  hn::Store(f(d, hn::Load(d, lanes)), d, lanes);
  std::memcpy(values + i, lanes, (n - i) * sizeof(float));
}

// values[i] = exp(values[i] - largest) for n >= 1 values; returns their sum. Values up to the next
// multiple of 16 are overwritten: they become 0.
HWY_INLINE float ExpOfDifferences(float* values, size_t n) {
  const hn::CappedTag<float, 16> d;
  const size_t N = hn::Lanes(d);
  const size_t padded = (n + 15) / 16 * 16;
  std::fill(values + n, values + padded, -HUGE_VALF);
  auto most = hn::LoadU(d, values);
  for (size_t i = N; i < padded; i += N) most = hn::Max(most, hn::LoadU(d, values + i));
  most = hn::MaxOfLanes(d, most);
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < padded; i += N) {
    const auto e = FastExp(d, hn::Sub(hn::LoadU(d, values + i), most));
    hn::StoreU(e, d, values + i);
    sum = hn::Add(sum, e);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
