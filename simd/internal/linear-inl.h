// SPDX-License-Identifier: Apache-2.0
// The product behind simd/linear.h, simd/attention_rows.h and simd/attention_all.h: tiles of rows
// times panels of 16 columns.

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
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Views are passed by value in here: behind a reference, a store of a vector, which may alias
// anything, makes the compiler load their members again.

// A matrix in panels of 16 columns: element (i, j) is at(j)[i * row_stride].
struct LinearPanels {
  const float* data;
  size_t panel_stride;
  size_t row_stride;
  size_t columns;

  const float* at(size_t column) const {
    return data + column / kLinearColumns * panel_stride + column % kLinearColumns;
  }
};

// The in x out matrix that PackLinear wrote.
HWY_MAYBE_UNUSED HWY_INLINE LinearPanels PackedLinearPanels(const float* packed, size_t in,
                                                            size_t out) {
  return {packed, in * kLinearColumns, kLinearColumns, out};
}

// Stores the first `count` lanes of two vectors that belong side by side, and nothing past them.
template <class D>
HWY_INLINE void StoreColumns(D d, hn::Vec<D> first, hn::Vec<D> second, size_t count, float* to) {
  const size_t N = hn::Lanes(d);
  if (HWY_LIKELY(count >= 2 * N)) {
    hn::StoreU(first, d, to);
    hn::StoreU(second, d, to + N);
    return;
  }
  if constexpr (ETA_SIMD_HAS_MASK_REGISTERS) {
    hn::BlendedStore(first, hn::FirstN(d, count), d, to);
    if (count > N) hn::BlendedStore(second, hn::FirstN(d, count - N), d, to + N);
    return;
  }
  HWY_ALIGN float lanes[2 * kLinearColumns];
  hn::StoreU(first, d, lanes);
  hn::StoreU(second, d, lanes + N);
  std::memcpy(to, lanes, count * sizeof(float));
}

#if ETA_SIMD_HAS_MASK_REGISTERS

// AVX-512 has 32 registers, twice those of AVX2, so a tile can have twice the rows: 12 x 2 sums and
// two vectors of columns are 26. That halves the loads of the matrix, which does not stay in the L1
// cache beside x where a panel has 256 rows or more.
constexpr size_t kTallRows = 2 * kTileRows;

// For i < kTallRows calls emit(r + i, sums, sums) with the products of x row r + i and one or two
// vectors of columns.
template <size_t kVectors, class D, class Emit>
HWY_INLINE void TallProduct(D d, RowsView<float> x, size_t r, ColumnPair columns, Emit emit) {
  const float* HWY_RESTRICT rows = x.row(r);
  const float* HWY_RESTRICT first = columns.first;
  const float* HWY_RESTRICT second = columns.second;
  hn::Vec<D> a[kTallRows], b[kTallRows];
#pragma GCC unroll 12
  for (size_t k = 0; k < kTallRows; ++k) a[k] = b[k] = hn::Zero(d);
  for (size_t i = 0; i < x.width; ++i) {
    const auto p0 = hn::LoadU(d, first + i * columns.stride);
    const auto p1 = kVectors == 2 ? hn::LoadU(d, second + i * columns.stride) : p0;
#pragma GCC unroll 12
    for (size_t k = 0; k < kTallRows; ++k) {
      const auto xk = hn::Set(d, rows[k * x.stride + i]);
      a[k] = FusedMulAdd(d, xk, p0, a[k]);
      if constexpr (kVectors == 2) b[k] = FusedMulAdd(d, xk, p1, b[k]);
    }
  }
#pragma GCC unroll 12
  for (size_t k = 0; k < kTallRows; ++k) emit(r + k, a[k], b[k]);
}

#endif

// Rows [r, x.count) times two vectors of columns: for each row calls emit(row, sums of the first
// vector, sums of the second).
template <class D, class Emit>
HWY_INLINE void LinearColumns(D d, RowsView<float> x, size_t r, ColumnPair columns, Emit emit) {
#if ETA_SIMD_HAS_MASK_REGISTERS
  for (; r + kTallRows <= x.count; r += kTallRows) TallProduct<2>(d, x, r, columns, emit);
#endif
  for (; r < x.count; r += kTileRows) {
    TileProductOf(HWY_MIN(kTileRows, x.count - r), d, x.row(r), x.stride, x.width, columns,
                  [=](size_t i, hn::Vec<D> first, hn::Vec<D> second)
                      HWY_ATTR { emit(r + i, first, second); });
  }
}

// Calls emit(d, row, column, first, second) for all rows of x and all columns of `matrix`: the two
// vectors hold the sums of columns [column, column + 2 Lanes(d)). Sums past the last column are
// unspecified.
template <class Emit>
HWY_INLINE void ForEachProduct(RowsView<float> x, LinearPanels matrix, Emit emit) {
  const PanelTag d;
  const size_t N = hn::Lanes(d);
  size_t column = 0;
  for (; column < matrix.columns; column += 2 * N) {
    // Where a vector is a panel, the last panel of an odd number has no partner.
    if (N == kLinearColumns && column + N >= matrix.columns) break;
    const ColumnPair pair = {matrix.at(column), matrix.at(column + N), matrix.row_stride};
    LinearColumns(d, x, 0, pair, [=](size_t row, PanelVector first, PanelVector second) HWY_ATTR {
      emit(d, row, column, first, second);
    });
  }
  if (column >= matrix.columns) return;
  const float* panel = matrix.at(column);
  size_t done = 0;  // rows
#if ETA_SIMD_HAS_MASK_REGISTERS
  const ColumnPair alone = {panel, panel, matrix.row_stride};
  for (; done + kTallRows <= x.count; done += kTallRows) {
    TallProduct<1>(d, x, done, alone,
                   [=](size_t row, PanelVector first, PanelVector second)
                       HWY_ATTR { emit(d, row, column, first, second); });
  }
#endif
  const hn::CappedTag<float, 8> half;
  using HalfVector = hn::Vec<decltype(half)>;
  for (size_t c = 0; c < kLinearColumns; c += 2 * hn::Lanes(half)) {
    const ColumnPair pair = {panel + c, panel + c + hn::Lanes(half), matrix.row_stride};
    LinearColumns(half, x, done, pair,
                  [=](size_t row, HalfVector first, HalfVector second)
                      HWY_ATTR { emit(half, row, column + c, first, second); });
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
