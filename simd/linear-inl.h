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
#include "simd/linear.h"
#include "simd/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Stores the first `count` lanes of two vectors that belong side by side, and nothing past them.
template <class D>
HWY_INLINE void StoreColumns(D d, hn::Vec<D> first, hn::Vec<D> second, size_t count, float* to) {
  const size_t N = hn::Lanes(d);
  if (HWY_LIKELY(count >= 2 * N)) {
    hn::StoreU(first, d, to);
    hn::StoreU(second, d, to + N);
    return;
  }
  HWY_ALIGN float lanes[2 * 16];
  hn::StoreU(first, d, lanes);
  hn::StoreU(second, d, lanes + N);
  std::memcpy(to, lanes, count * sizeof(float));
}

// Of two vectors of columns from `column` on: all tiles of rows. For each row calls
// emit(d, row, column, sums of the first vector, sums of the second).
template <class D, class Emit>
HWY_INLINE void LinearColumns(D d, const float* x, size_t rows, size_t in, size_t x_stride,
                              const ColumnPair& columns, size_t column, Emit emit) {
  for (size_t r = 0; r < rows; r += kTileRows) {
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
    LinearColumns(d, x, rows, in, x_stride, ColumnPair{at(column), at(next), row_stride}, column,
                  emit);
  }
  if (column >= out) return;
  const hn::CappedTag<float, 8> half;
  const float* panel = packed + column / kLinearColumns * panel_stride;
  for (size_t c = 0; c < kLinearColumns; c += 2 * hn::Lanes(half)) {
    LinearColumns(half, x, rows, in, x_stride,
                  ColumnPair{panel + c, panel + c + hn::Lanes(half), row_stride}, column + c, emit);
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
