// SPDX-License-Identifier: Apache-2.0
// The matrix in which tables and weights are held.
#pragma once

#include <cstddef>

#include "core/base/aligned.h"
#include "simd/views.h"

namespace eta {

// A dense row-major matrix, aligned to kAlignment: element (r, c) is values[r * cols + c]. A new
// one is zero. Row numbers are not checked.
template <class T>
struct Matrix {
  size_t rows = 0;
  size_t cols = 0;
  AlignedVector<T> values;

  Matrix() = default;
  Matrix(size_t rows, size_t cols) : rows(rows), cols(cols), values(rows * cols) {}  // all zero

  const T* row(size_t r) const { return values.data() + r * cols; }  // Row r, which is not checked.
  T* row(size_t r) { return values.data() + r * cols; }              // The same, to be written.
  // All rows, for a kernel; valid while `values` is neither resized nor destroyed.
  simd::RowsView<T> view() const { return simd::DenseRows(values.data(), rows, cols); }
};

}  // namespace eta
