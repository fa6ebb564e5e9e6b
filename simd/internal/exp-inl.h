// SPDX-License-Identifier: Apache-2.0
// exp of float32 vectors, and the first half of softmax, for the kernels that need them inline.

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

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// kExpLowest of simd/activations.h, where its reason stands; attention needs nothing else of it.
constexpr float kLowestOfExp = -87.33f;

// exp(x) for x <= 0, as simd/activations.h promises. With n = round(x / ln 2) and r = x - n ln 2,
// |r| <= ln 2 / 2, exp(x) = 2^n exp(r). ln 2 is subtracted in two parts (Cody and Waite, "Software
// manual for the elementary functions", 1980): the first has few enough bits that n times it is
// exact.
template <class D>
HWY_INLINE hn::Vec<D> FastExp(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low mantissa bits.
  const auto shifter = hn::Set(d, 0x1.8p23f);
  const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), shifter);
  const auto n = hn::Sub(shifted, shifter);
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  // Minimax polynomial for the relative error on [-ln 2 / 2, ln 2 / 2], constrained to exp(0) = 1:
  // its error is 9.2e-8 before rounding.
  auto p = hn::Set(d, 0x1.0fa7d8p-7f);
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.573ad0p-5f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.555a6ep-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.fffdc4p-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.fffff6p-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const auto power =
      hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::BitCast(di, shifted), hn::Set(di, 127))));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, kLowestOfExp)), hn::Mul(p, power));
}

// The maximum of `count` values, a multiple of Lanes(d) and not 0, lane by lane.
template <class D>
HWY_INLINE hn::Vec<D> LaneMaxima(D d, const float* values, size_t count) {
  auto most = hn::LoadU(d, values);
  for (size_t i = hn::Lanes(d); i < count; i += hn::Lanes(d)) {
    most = hn::Max(most, hn::LoadU(d, values + i));
  }
  return most;
}

// values[i] = exp(values[i] - largest) for `count` values, a multiple of Lanes(d); -infinity
// becomes 0. Returns their sums lane by lane. No value may be above `largest` in its lane.
template <class D>
HWY_INLINE hn::Vec<D> ExpOfDifferences(D d, float* values, size_t count, hn::Vec<D> largest) {
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < count; i += hn::Lanes(d)) {
    const auto e = FastExp(d, hn::Sub(hn::LoadU(d, values + i), largest));
    hn::StoreU(e, d, values + i);
    sum = hn::Add(sum, e);
  }
  return sum;
}

// Turns n >= 1 scores into the numerators of their softmax, exp(score - largest), and returns the
// sum of these. The floats up to the next multiple of kScorePadding become 0.
constexpr size_t kScorePadding = 16;

HWY_MAYBE_UNUSED HWY_INLINE float SoftmaxNumerators(float* scores, size_t n) {
  const hn::CappedTag<float, kScorePadding> d;
  const size_t padded = (n + kScorePadding - 1) / kScorePadding * kScorePadding;
  std::fill(scores + n, scores + padded, -HUGE_VALF);
  const auto largest = hn::MaxOfLanes(d, LaneMaxima(d, scores, padded));
  return hn::GetLane(hn::SumOfLanes(d, ExpOfDifferences(d, scores, padded, largest)));
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
