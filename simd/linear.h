// SPDX-License-Identifier: Apache-2.0
// A layer: rows times a matrix, plus a bias. The packed matrix has panels of 16 columns: element
// (i, j) lies at packed[((j / 16) * in + i) * 16 + j % 16], and columns past `out` are 0.
#pragma once

#include <cstddef>

namespace eta::simd {

inline constexpr size_t kLinearColumns = 16;  // of a panel

constexpr size_t PaddedColumns(size_t columns) {
  return (columns + kLinearColumns - 1) / kLinearColumns * kLinearColumns;
}
constexpr size_t PackedLinearSize(size_t in, size_t out) { return in * PaddedColumns(out); }

// Packs the in x out matrix whose element (i, j) is weight[i * row_stride + j * column_stride].
void PackLinear(const float* weight, size_t in, size_t out, size_t row_stride, size_t column_stride,
                float* packed);

enum class Activation { kNone, kRelu };

// y[r * y_stride + j] = activation(sum_i x[r * x_stride + i] * W[i][j] + bias[r * bias_stride + j])
// for j < out. The sum starts at 0 and takes i = 0, 1, ... by fused multiply-add in float32, the
// bias comes last: the same bits on every target. `bias` holds `out` values, the same for all rows
// where bias_stride is 0, or is null for none. relu(NaN) is 0. Nothing past `out` values of a row
// of y is written. Preconditions: in, out >= 1; x_stride >= in and y_stride >= out; bias_stride is
// 0 or >= out; no overlap of y with the rest.
void Linear(const float* x, size_t rows, size_t in, size_t x_stride, const float* packed,
            const float* bias, size_t bias_stride, size_t out, Activation activation, float* y,
            size_t y_stride);

}  // namespace eta::simd
