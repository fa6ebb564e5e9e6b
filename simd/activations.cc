// SPDX-License-Identifier: Apache-2.0
#include "simd/activations.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/activations.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

static_assert(kLowestOfExp == kExpLowest, "simd/internal/exp-inl.h has another limit");

// Applies f to the vectors of values[0, n); the lanes past the end hold `fill`.
template <class F>
HWY_INLINE void TransformInPlace(float* values, size_t n, float fill, F f) {
  constexpr size_t kMaxLanes = 16;
  const hn::CappedTag<float, kMaxLanes> d;
  const size_t N = hn::Lanes(d);
  size_t i = 0;
  for (; i + N <= n; i += N) hn::StoreU(f(d, hn::LoadU(d, values + i)), d, values + i);
  if (i == n) return;
  HWY_ALIGN float lanes[kMaxLanes];
  std::fill_n(lanes, kMaxLanes, fill);
  std::memcpy(lanes, values + i, (n - i) * sizeof(float));
  hn::Store(f(d, hn::Load(d, lanes)), d, lanes);
  std::memcpy(values + i, lanes, (n - i) * sizeof(float));
}

HWY_MAYBE_UNUSED void ExpInPlace(float* values, size_t n) {
  TransformInPlace(values, n, 0.0f, [](auto d, auto x) HWY_ATTR { return FastExp(d, x); });
}

HWY_MAYBE_UNUSED void SoftmaxInPlace(float* values, size_t n) {
  if (n == 0) return;
  float largest = values[0];
  TransformInPlace(values, n, values[0], [&largest](auto d, auto x) HWY_ATTR {
    largest = HWY_MAX(largest, hn::GetLane(hn::MaxOfLanes(d, x)));
    return x;
  });
  float sum = 0.0f;
  TransformInPlace(values, n, -HUGE_VALF, [&sum, largest](auto d, auto x) HWY_ATTR {
    const auto e = FastExp(d, hn::Sub(x, hn::Set(d, largest)));
    sum += hn::GetLane(hn::SumOfLanes(d, e));
    return e;
  });
  const float factor = 1.0f / sum;
  TransformInPlace(values, n, 0.0f,
                   [factor](auto d, auto x) HWY_ATTR { return hn::Mul(x, hn::Set(d, factor)); });
}

HWY_MAYBE_UNUSED void SigmoidInPlace(float* values, size_t n) {
  TransformInPlace(values, n, 0.0f, [](auto d, auto x) HWY_ATTR {
    const auto one = hn::Set(d, 1.0f);
    const auto e = FastExp(d, hn::Neg(hn::Abs(x)));
    const auto numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one);
    return hn::Div(numerator, hn::Add(one, e));
  });
}

HWY_MAYBE_UNUSED void TanhInPlace(float* values, size_t n) {
  TransformInPlace(values, n, 0.0f, [](auto d, auto x) HWY_ATTR {
    const auto one = hn::Set(d, 1.0f);
    const auto e = FastExp(d, hn::Mul(hn::Abs(x), hn::Set(d, -2.0f)));
    return hn::CopySign(hn::Div(hn::Sub(one, e), hn::Add(one, e)), x);
  });
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(ExpInPlace);
HWY_EXPORT(SoftmaxInPlace);
HWY_EXPORT(SigmoidInPlace);
HWY_EXPORT(TanhInPlace);

void Exp(float* values, size_t n) { HWY_DYNAMIC_DISPATCH(ExpInPlace)(values, n); }
void Softmax(float* values, size_t n) { HWY_DYNAMIC_DISPATCH(SoftmaxInPlace)(values, n); }
void Sigmoid(float* values, size_t n) { HWY_DYNAMIC_DISPATCH(SigmoidInPlace)(values, n); }
void Tanh(float* values, size_t n) { HWY_DYNAMIC_DISPATCH(TanhInPlace)(values, n); }

}  // namespace eta::simd
#endif  // HWY_ONCE
