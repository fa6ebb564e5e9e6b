// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "core/base/aligned.h"
#include "simd/views.h"

namespace eta {

// A dense row-major matrix: element (r, c) is values[r * cols + c].
template <class T>
struct Matrix {
  size_t rows = 0;
  size_t cols = 0;
  AlignedVector<T> values;

  Matrix() = default;
  Matrix(size_t rows, size_t cols) : rows(rows), cols(cols), values(rows * cols) {}

  const T* row(size_t r) const { return values.data() + r * cols; }
  T* row(size_t r) { return values.data() + r * cols; }
  // All rows, for a kernel; valid while `values` is neither resized nor destroyed.
  simd::RowsView<T> view() const { return simd::DenseRows(values.data(), rows, cols); }
};

}  // namespace eta
