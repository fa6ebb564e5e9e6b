// SPDX-License-Identifier: Apache-2.0
// The float32 product that SimHash encoding and exact scores share: a tile of rows times a panel.
// A panel is a dim x 64 matrix, element (d, lane) at panel[d * 64 + lane]: 64 hyperplanes of packed
// hyperplanes, or 64 behaviours of float blocks. Lanes run across the panel, never across dim, so
// each sum is taken in one order on every target, with fused multiply-adds or what gives their
// bits.

// clang-format off
#if defined(ETA_SIMD_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_PANEL_INL_H_
#undef ETA_SIMD_PANEL_INL_H_
#else
#define ETA_SIMD_PANEL_INL_H_
#endif
// clang-format on

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

// At most 16 lanes: two vectors must fit a panel's 64 columns on every target.
using PanelTag = hn::CappedTag<float, 16>;
using PanelVector = hn::Vec<PanelTag>;

// Rows of a tile. 6 rows x 2 vectors are 12 sums: enough to hide the latency of FMA (4 cycles, two
// a cycle), few enough for the 16 registers of AVX2, with 8 loads for 12 FMAs.
constexpr size_t kTileRows = 6;

#if ETA_SIMD_IS_EMULATED

// std::fma of each lane: it rounds once, with or without hardware.
template <class D>
HWY_INLINE hn::Vec<D> FusedMulAdd(D d, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c) {
  HWY_ALIGN float as[16];
  HWY_ALIGN float bs[16];
  HWY_ALIGN float cs[16];
  hn::Store(a, d, as);
  hn::Store(b, d, bs);
  hn::Store(c, d, cs);
  for (size_t i = 0; i < hn::Lanes(d); ++i) cs[i] = std::fma(as[i], bs[i], cs[i]);
  return hn::Load(d, cs);
}

#elif !HWY_NATIVE_FMA

// a * b + c in double, rounded to odd, so that rounding it to float gives the bits of an FMA: 53
// bits are more than 24 + 2 (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums",
// 2008). A compiler that contracts the product with a sum changes nothing, because the product is
// exact.
template <class DD>
HWY_INLINE hn::Vec<DD> MulAddRoundedToOdd(DD dd, hn::Vec<DD> a, hn::Vec<DD> b, hn::Vec<DD> c) {
  const hn::RebindToSigned<DD> di;
  const auto product = hn::Mul(a, b);  // exact
  const auto sum = hn::Add(product, c);
  const auto part = hn::Sub(sum, product);
  const auto error = hn::Add(hn::Sub(product, hn::Sub(sum, part)), hn::Sub(c, part));
  const auto bits = hn::BitCast(di, sum);
  const auto one = hn::Set(di, 1);
  const auto zero = hn::Zero(dd);
  const auto inexact = hn::Or(hn::Lt(error, zero), hn::Gt(error, zero));  // false for NaN
  const auto even = hn::Eq(hn::And(bits, one), hn::Zero(di));
  // One step away from zero where error and sum agree in sign, else one towards zero.
  const auto step = hn::Or(hn::BroadcastSignBit(hn::Xor(hn::BitCast(di, error), bits)), one);
  const auto odd = hn::IfThenElse(even, hn::Add(bits, step), bits);
  return hn::IfThenElse(inexact, hn::BitCast(dd, odd), sum);
}

template <class D>
using DoublesOf = hn::Rebind<double, hn::Half<D> >;

template <class D>
HWY_INLINE hn::Vec<DoublesOf<D> > LowerDoubles(D, hn::Vec<D> v) {
  return hn::PromoteTo(DoublesOf<D>(), hn::LowerHalf(hn::Half<D>(), v));
}

template <class D>
HWY_INLINE hn::Vec<DoublesOf<D> > UpperDoubles(D, hn::Vec<D> v) {
  return hn::PromoteTo(DoublesOf<D>(), hn::UpperHalf(hn::Half<D>(), v));
}

template <class D>
HWY_INLINE hn::Vec<D> RoundToFloats(D d, hn::Vec<DoublesOf<D> > upper,
                                    hn::Vec<DoublesOf<D> > lower) {
  const hn::Half<D> half;
  return hn::Combine(d, hn::DemoteTo(half, upper), hn::DemoteTo(half, lower));
}

// Not inlined: loops take QuickFma.
template <class D>
HWY_NOINLINE hn::Vec<D> FusedMulAdd(D d, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c) {
  const DoublesOf<D> dd;
  return RoundToFloats(
      d, MulAddRoundedToOdd(dd, UpperDoubles(d, a), UpperDoubles(d, b), UpperDoubles(d, c)),
      MulAddRoundedToOdd(dd, LowerDoubles(d, a), LowerDoubles(d, b), LowerDoubles(d, c)));
}

#else

template <class D>
HWY_INLINE hn::Vec<D> FusedMulAdd(D, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c) {
  return hn::MulAdd(a, b, c);
}

#endif

#if ETA_SIMD_IS_EMULATED || HWY_NATIVE_FMA

template <class D>
HWY_INLINE hn::Vec<D> QuickFma(D d, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c) {
  return FusedMulAdd(d, a, b, c);
}

#else

// a * b + c in double, rounded to nearest there and again to float: a third of the instructions of
// FusedMulAdd. The second rounding errs only where the first one ends halfway between two floats,
// one time in 2^29 if bits are random, or where fewer bits are to keep, at the subnormal floats.
// `doubts` has the lanes where it may have.
template <class D>
HWY_INLINE hn::Vec<D> RoundedTwice(D d, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c,
                                   hn::Mask<hn::RebindToSigned<D> >& doubts) {
  constexpr int32_t kHighest = std::numeric_limits<int32_t>::max();
  constexpr int32_t kLowest = std::numeric_limits<int32_t>::min();
  constexpr int32_t kTwiceSmallestNormal = 1 << 24;  // bits of 2^-126
  const auto lower = hn::Add(hn::Mul(LowerDoubles(d, a), LowerDoubles(d, b)), LowerDoubles(d, c));
  const auto upper = hn::Add(hn::Mul(UpperDoubles(d, a), UpperDoubles(d, b)), UpperDoubles(d, c));
  const auto sum = RoundToFloats(d, upper, lower);
  const hn::RebindToSigned<D> di;
  // Of the 52 bits of a double, float keeps the upper 23: halfway is 1, then 28 zeros.
  const auto rest =
      hn::ShiftLeft<3>(hn::ConcatEven(di, hn::BitCast(di, upper), hn::BitCast(di, lower)));
  const auto halfway = hn::Eq(rest, hn::Set(di, kLowest));
  // From the smallest normal float down, which may have been rounded up, but not 0. Twice the bits
  // have no sign, and less 1 a zero is the largest; adding the highest bit makes the order of
  // unsigned numbers one of signed.
  const auto bits = hn::BitCast(di, sum);
  const auto size = hn::Add(hn::Add(bits, bits), hn::Set(di, kHighest));
  doubts = hn::Or(halfway, hn::Lt(size, hn::Set(di, kLowest + kTwiceSmallestNormal)));
  return sum;
}

// FusedMulAdd for loops. A vector in doubt is computed again at once, not the whole sum at its end:
// halfway is common where bits are few, a product by 1, the largest weight of a softmax, or
// bfloat16. AttendRows of 64 rows then takes 632 us instead of 1,966, inner products of bfloat16
// 300 instead of 906, and others 2 % less (Zen 4, SSE4, 2026-11).
template <class D>
HWY_INLINE hn::Vec<D> QuickFma(D d, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c) {
  const hn::RebindToSigned<D> di;
  hn::Mask<decltype(di)> doubts;
  const auto sum = RoundedTwice(d, a, b, c, doubts);
  return HWY_LIKELY(hn::AllFalse(di, doubts)) ? sum : FusedMulAdd(d, a, b, c);
}

#endif

// Two vectors of columns of a matrix: their elements of row i start at first + i * stride and
// second + i * stride.
struct ColumnPair {
  const float* first;
  const float* second;
  size_t stride;
};

// For r < kRows calls emit(r, sum0, sum1), the products of x row r with two vectors of columns. x
// row r starts at x + r * x_stride.
template <size_t kRows, class D, class Emit>
HWY_INLINE void TileProduct(D d, const float* HWY_RESTRICT x, size_t x_stride, size_t dim,
                            const ColumnPair& columns, Emit emit) {
  static_assert(kRows >= 1 && kRows <= kTileRows);
  const float* HWY_RESTRICT first = columns.first;
  const float* HWY_RESTRICT second = columns.second;
  // Named, not an array, because SVE vectors have no size at compile time.
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0;
  auto b0 = a0, b1 = a0, b2 = a0, b3 = a0, b4 = a0, b5 = a0;
  for (size_t i = 0; i < dim; ++i) {
    const auto p0 = hn::LoadU(d, first + i * columns.stride);
    const auto p1 = hn::LoadU(d, second + i * columns.stride);
    const auto step = [&](size_t r, hn::Vec<D> & a, hn::Vec<D> & b) HWY_ATTR
        __attribute__((always_inline)) {
      const auto xr = hn::Set(d, x[r * x_stride + i]);
      a = QuickFma(d, xr, p0, a);
      b = QuickFma(d, xr, p1, b);
    };
    step(0, a0, b0);
    if constexpr (kRows > 1) step(1, a1, b1);
    if constexpr (kRows > 2) step(2, a2, b2);
    if constexpr (kRows > 3) step(3, a3, b3);
    if constexpr (kRows > 4) step(4, a4, b4);
    if constexpr (kRows > 5) step(5, a5, b5);
  }
  emit(0, a0, b0);
  if constexpr (kRows > 1) emit(1, a1, b1);
  if constexpr (kRows > 2) emit(2, a2, b2);
  if constexpr (kRows > 3) emit(3, a3, b3);
  if constexpr (kRows > 4) emit(4, a4, b4);
  if constexpr (kRows > 5) emit(5, a5, b5);
}

// TileProduct for a number of rows known at run time, 1 to kTileRows.
template <class D, class Emit>
HWY_INLINE void TileProductOf(size_t rows, D d, const float* x, size_t x_stride, size_t dim,
                              const ColumnPair& columns, Emit emit) {
  switch (rows) {
    case 6:
      return TileProduct<6>(d, x, x_stride, dim, columns, emit);
    case 5:
      return TileProduct<5>(d, x, x_stride, dim, columns, emit);
    case 4:
      return TileProduct<4>(d, x, x_stride, dim, columns, emit);
    case 3:
      return TileProduct<3>(d, x, x_stride, dim, columns, emit);
    case 2:
      return TileProduct<2>(d, x, x_stride, dim, columns, emit);
    default:
      return TileProduct<1>(d, x, x_stride, dim, columns, emit);
  }
}

// The same for the two vectors of a panel's columns that start at `panel`.
template <class Emit>
HWY_INLINE void TileProductOf(size_t rows, PanelTag d, const float* x, size_t x_stride, size_t dim,
                              const float* panel, Emit emit) {
  TileProductOf(rows, d, x, x_stride, dim, ColumnPair{panel, panel + hn::Lanes(d), 64}, emit);
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
