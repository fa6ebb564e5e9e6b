// SPDX-License-Identifier: Apache-2.0
// Sums over the lanes of four vectors, as one vector of four lanes: the last steps of four inner
// products at once. Float kernels whose bits are promised rest on the order of additions here.

// clang-format off
#if defined(ETA_SIMD_ROW_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_ROW_SUMS_INL_H_
#undef ETA_SIMD_ROW_SUMS_INL_H_
#else
#define ETA_SIMD_ROW_SUMS_INL_H_
#endif
// clang-format on

#include <cstddef>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

template <typename T>
using FourLanes = hn::FixedTag<T, 4>;

// Adds the upper half of the lanes to the lower until four are left. 16 lanes: v[j] += v[j + 8] for
// j < 8, then v[j] += v[j + 4] for j < 4. Not for SVE's own vectors, whose number of lanes is not
// known here: kernels take FourLanes there.
template <class D>
HWY_INLINE hn::Vec<FourLanes<hn::TFromD<D>>> FoldToFourLanes(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    (void)d;
    return v;
  } else {
    const hn::Half<D> dh;
    return FoldToFourLanes(dh, hn::Add(hn::LowerHalf(dh, v), hn::UpperHalf(dh, v)));
  }
}

// Lane r of the result is (v_r[0] + v_r[2]) + (v_r[1] + v_r[3]).
template <typename T>
HWY_INLINE hn::Vec<FourLanes<T>> SumsOfFourLanes(FourLanes<T> d, hn::Vec<FourLanes<T>> v0,
                                                 hn::Vec<FourLanes<T>> v1, hn::Vec<FourLanes<T>> v2,
                                                 hn::Vec<FourLanes<T>> v3) {
  const auto v01 = hn::Add(hn::ConcatLowerLower(d, v1, v0), hn::ConcatUpperUpper(d, v1, v0));
  const auto v23 = hn::Add(hn::ConcatLowerLower(d, v3, v2), hn::ConcatUpperUpper(d, v3, v2));
#if HWY_HAVE_SCALABLE
  // Highway 1.0.3 for SVE_256 takes ConcatEven and ConcatOdd over whole vectors, whatever the tag.
  HWY_ALIGN T lanes[8];
  hn::Store(v01, d, lanes);
  hn::Store(v23, d, lanes + 4);
  for (size_t r = 0; r < 4; ++r) lanes[r] = lanes[2 * r] + lanes[2 * r + 1];
  return hn::Load(d, lanes);
#else
  return hn::Add(hn::ConcatEven(d, v23, v01), hn::ConcatOdd(d, v23, v01));
#endif
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
