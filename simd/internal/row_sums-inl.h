// SPDX-License-Identifier: Apache-2.0
// Sums over the lanes of several vectors, as one vector: the last steps of as many inner products
// at once. Float kernels whose bits are promised rest on the order of additions here.

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

#if !HWY_HAVE_SCALABLE

#if ETA_SIMD_HAS_MASK_REGISTERS

// Blocks of 128 bits: low takes two of a and two of b by number, as VSHUFF32X4 does.
template <int kBlocks>
HWY_INLINE __m512 ShuffleBlocks(__m512 a, __m512 b) {
  return _mm512_shuffle_f32x4(a, b, kBlocks);
}
template <int kBlocks>
HWY_INLINE __m512i ShuffleBlocks(__m512i a, __m512i b) {
  return _mm512_shuffle_i32x4(a, b, kBlocks);
}

template <int kFirst, int kSecond, class D>
HWY_INLINE hn::Vec<D> AddBlocks(D d, hn::Vec<D> a, hn::Vec<D> b) {
  (void)d;
  return hn::Add(hn::Vec<D>{ShuffleBlocks<kFirst>(a.raw, b.raw)},
                 hn::Vec<D>{ShuffleBlocks<kSecond>(a.raw, b.raw)});
}

// Block b of the result holds the lanes of row b, folded to four: of 16-lane vectors of four rows.
template <class D>
HWY_INLINE hn::Vec<D> FoldFourRows(D d, hn::Vec<D> v0, hn::Vec<D> v1, hn::Vec<D> v2,
                                   hn::Vec<D> v3) {
  const auto v01 = AddBlocks<0x44, 0xEE>(d, v0, v1), v23 = AddBlocks<0x44, 0xEE>(d, v2, v3);
  return AddBlocks<0x88, 0xDD>(d, v01, v23);
}

#endif

// Lane i of block b is the sum of block b of q[i], by the order of SumsOfFourLanes.
template <class D>
HWY_INLINE hn::Vec<D> SumsWithinBlocks(D d, hn::Vec<D> q0, hn::Vec<D> q1, hn::Vec<D> q2,
                                       hn::Vec<D> q3) {
  const hn::Repartition<uint64_t, D> d64;
  const auto a = hn::Add(hn::InterleaveLower(d, q0, q1), hn::InterleaveUpper(d, q0, q1));
  const auto b = hn::Add(hn::InterleaveLower(d, q2, q3), hn::InterleaveUpper(d, q2, q3));
  const auto a64 = hn::BitCast(d64, a), b64 = hn::BitCast(d64, b);
  return hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, a64, b64)),
                 hn::BitCast(d, hn::InterleaveUpper(d64, a64, b64)));
}

// A vector for each of as many rows as a vector has lanes, summed: lane r of the result is the sum
// of row r, whose lanes are added as by FoldToFourLanes, then as by SumsOfFourLanes.
// four_rows(r0, r1, r2, r3, v0, v1, v2, v3) makes the vectors of four rows. 16 lanes: 16 rows take
// 30 shuffles and 15 additions, where four rows at a time take 25 operations each.
template <class D, class FourRows>
HWY_INLINE hn::Vec<D> SumsOfRows(D d, FourRows four_rows) {
  constexpr size_t kLanes = hn::MaxLanes(D());
  static_assert(kLanes == 4 || kLanes == 8 || kLanes == 16);
  // Block b of vector q[i] holds four partial sums of row 4 * b + i.
  auto q0 = hn::Zero(d), q1 = q0, q2 = q0, q3 = q0;
  if constexpr (kLanes == 4) {
    four_rows(0, 1, 2, 3, q0, q1, q2, q3);
  }
#if ETA_SIMD_HAS_WIDE_VECTORS
  if constexpr (kLanes == 8) {
    auto v0 = q0, v1 = q0, v2 = q0, v3 = q0;
    const auto fold = [d](hn::Vec<D> a, hn::Vec<D> b) HWY_ATTR __attribute__((always_inline)) {
      return hn::Add(hn::ConcatLowerLower(d, b, a), hn::ConcatUpperUpper(d, b, a));
    };
    four_rows(0, 4, 1, 5, v0, v1, v2, v3);
    q0 = fold(v0, v1);
    q1 = fold(v2, v3);
    four_rows(2, 6, 3, 7, v0, v1, v2, v3);
    q2 = fold(v0, v1);
    q3 = fold(v2, v3);
  }
#endif
#if ETA_SIMD_HAS_MASK_REGISTERS
  if constexpr (kLanes == 16) {
    auto v0 = q0, v1 = q0, v2 = q0, v3 = q0;
    four_rows(0, 4, 8, 12, v0, v1, v2, v3);
    q0 = FoldFourRows(d, v0, v1, v2, v3);
    four_rows(1, 5, 9, 13, v0, v1, v2, v3);
    q1 = FoldFourRows(d, v0, v1, v2, v3);
    four_rows(2, 6, 10, 14, v0, v1, v2, v3);
    q2 = FoldFourRows(d, v0, v1, v2, v3);
    four_rows(3, 7, 11, 15, v0, v1, v2, v3);
    q3 = FoldFourRows(d, v0, v1, v2, v3);
  }
#endif
  return SumsWithinBlocks(d, q0, q1, q2, q3);
}

#endif  // !HWY_HAVE_SCALABLE

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
