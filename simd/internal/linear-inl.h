// SPDX-License-Identifier: Apache-2.0
// The product behind simd/linear.h and simd/attention.h: tiles of rows times panels of 16 columns.

// clang-format off
#if defined(ETA_SIMD_LINEAR_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_LINEAR_INL_H_
#undef ETA_SIMD_LINEAR_INL_H_
#else
#define ETA_SIMD_LINEAR_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstring>

#include "hwy/highway.h"
#include "simd/internal/panel-inl.h"
#include "simd/linear.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#define ETA_LINEAR_TALL (HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86)

// Stores the first `count` lanes of two vectors that belong side by side, and nothing past them.
template <class D>
HWY_INLINE void StoreColumns(D d, hn::Vec<D> first, hn::Vec<D> second, size_t count, float* to) {
  const size_t N = hn::Lanes(d);
  if (HWY_LIKELY(count >= 2 * N)) {
    hn::StoreU(first, d, to);
    hn::StoreU(second, d, to + N);
    return;
  }
#if ETA_LINEAR_TALL
  hn::BlendedStore(first, hn::FirstN(d, count), d, to);
  if (count > N) hn::BlendedStore(second, hn::FirstN(d, count - N), d, to + N);
  return;
#endif
  HWY_ALIGN float lanes[2 * 16];
  hn::StoreU(first, d, lanes);
  hn::StoreU(second, d, lanes + N);
  std::memcpy(to, lanes, count * sizeof(float));
}

#if ETA_LINEAR_TALL

// AVX-512 has registers for twice the rows, which halves the loads of the matrix: a panel of 256
// rows and more does not stay in the L1 cache beside x.
inline constexpr size_t kTallRows = 2 * kTileRows;

// Rows of x times one or two vectors of columns, as TileProduct.
template <size_t kVectors, class D, class Emit>
HWY_INLINE void TallProduct(D d, const float* HWY_RESTRICT x, size_t x_stride, size_t in,
                            const ColumnPair& columns, Emit emit) {
  const float* HWY_RESTRICT first = columns.first;
  const float* HWY_RESTRICT second = columns.second;
  hn::Vec<D> a[kTallRows], b[kTallRows];
#pragma GCC unroll 12
  for (size_t r = 0; r < kTallRows; ++r) a[r] = b[r] = hn::Zero(d);
  for (size_t i = 0; i < in; ++i) {
    const auto p0 = hn::LoadU(d, first + i * columns.stride);
    const auto p1 = kVectors == 2 ? hn::LoadU(d, second + i * columns.stride) : p0;
#pragma GCC unroll 12
    for (size_t r = 0; r < kTallRows; ++r) {
      const auto xr = hn::Set(d, x[r * x_stride + i]);
      a[r] = FusedMulAdd(d, xr, p0, a[r]);
      if constexpr (kVectors == 2) b[r] = FusedMulAdd(d, xr, p1, b[r]);
    }
  }
#pragma GCC unroll 12
  for (size_t r = 0; r < kTallRows; ++r) emit(r, a[r], b[r]);
}

#endif

// Of two vectors of columns from `column` on: all tiles of rows from r on. For each row calls
// emit(d, row, column, sums of the first vector, sums of the second).
template <class D, class Emit>
HWY_INLINE void LinearColumns(D d, const float* x, size_t r, size_t rows, size_t in,
                              size_t x_stride, const ColumnPair& columns, size_t column,
                              Emit emit) {
#if ETA_LINEAR_TALL
  for (; r + kTallRows <= rows; r += kTallRows) {
    TallProduct<2>(d, x + r * x_stride, x_stride, in, columns,
                   [=](size_t i, hn::Vec<D> first, hn::Vec<D> second)
                       HWY_ATTR { emit(d, r + i, column, first, second); });
  }
#endif
  for (; r < rows; r += kTileRows) {
    TileProductOf(HWY_MIN(kTileRows, rows - r), d, x + r * x_stride, x_stride, in, columns,
                  [=](size_t i, hn::Vec<D> first, hn::Vec<D> second)
                      HWY_ATTR { emit(d, r + i, column, first, second); });
  }
}

// Calls emit(d, row, column, first, second) for all rows and all columns: the two vectors hold the
// sums of columns [column, column + 2 Lanes(d)), of which those past `out` mean nothing. Panel p
// starts at packed + p * panel_stride, and its rows are row_stride apart.
template <class Emit>
HWY_INLINE void ForEachProduct(const float* x, size_t rows, size_t in, size_t x_stride,
                               const float* packed, size_t panel_stride, size_t row_stride,
                               size_t out, Emit emit) {
  const PanelTag d;
  const size_t N = hn::Lanes(d);
  size_t column = 0;
  for (; column < out; column += 2 * N) {
    const size_t next = column + N;
    // Where a vector is a panel, the last panel of an odd number has no partner.
    if (N == kLinearColumns && next >= out) break;
    const auto at = [=](size_t c) HWY_ATTR {
      return packed + c / kLinearColumns * panel_stride + c % kLinearColumns;
    };
    LinearColumns(d, x, 0, rows, in, x_stride, ColumnPair{at(column), at(next), row_stride}, column,
                  emit);
  }
  if (column >= out) return;
  const float* panel = packed + column / kLinearColumns * panel_stride;
  size_t done = 0;  // rows
#if ETA_LINEAR_TALL
  const ColumnPair alone = {panel, panel, row_stride};
  for (; done + kTallRows <= rows; done += kTallRows) {
    TallProduct<1>(d, x + done * x_stride, x_stride, in, alone,
                   [=](size_t i, PanelVector first, PanelVector second)
                       HWY_ATTR { emit(d, done + i, column, first, second); });
  }
#endif
  const hn::CappedTag<float, 8> half;
  for (size_t c = 0; c < kLinearColumns; c += 2 * hn::Lanes(half)) {
    LinearColumns(half, x, done, rows, in, x_stride,
                  ColumnPair{panel + c, panel + c + hn::Lanes(half), row_stride}, column + c, emit);
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
