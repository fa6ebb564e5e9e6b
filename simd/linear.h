// SPDX-License-Identifier: Apache-2.0
// A layer of a neural network: rows times a matrix, plus a bias, through an activation.
#pragma once

#include <cstddef>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Columns of a panel: the most floats that one vector holds on any target.
inline constexpr size_t kLinearColumns = 16;

// `columns` rounded up to whole panels.
constexpr size_t PaddedColumns(size_t columns) {
  const size_t panels = columns / kLinearColumns + (columns % kLinearColumns != 0 ? 1 : 0);
  return SaturatingProduct(panels, kLinearColumns);
}

// Floats that PackLinear writes for an in x out matrix.
constexpr size_t PackedLinearSize(size_t in, size_t out) {
  return SaturatingProduct(in, PaddedColumns(out));
}

// Packs an in x out matrix, given as `in` rows of `out` weights, into panels of 16 columns:
// element (i, j) goes to packed[((j / 16) * in + i) * 16 + j % 16], and columns past `out` are 0.
// Any alignment of `packed`, which must not overlap the weights; Linear is fastest where it is 64
// bytes.
ETA_SIMD_API void PackLinear(const RowsView<float>& weight, float* packed);

// The same matrix given transposed, as `out` rows of `in` weights.
ETA_SIMD_API void PackLinearTransposed(const RowsView<float>& weight, float* packed);

// What is applied to each output: nothing, or max(x, 0).
enum class Activation { kNone, kRelu };

// A layer with `out` outputs. `packed` comes from PackLinear.
struct LinearLayer {
  const float* packed;
  size_t out;
  // Null for none, else the bias of row r at bias + r * bias_stride. With bias_stride 0 all rows
  // share one.
  const float* bias = nullptr;
  size_t bias_stride = 0;
  Activation activation = Activation::kNone;
};

// y[r * y_stride + j] = activation(sum_i x_r[i] * W[i][j] + bias_r[j]) for each row r of x and
// j < out, with the x.width x out matrix W. The sum starts at 0 and takes i = 0, 1, ... by fused
// multiply-add in float32, the bias comes last: the same bits on every target. relu(NaN) is 0.
// Writes `out` floats of each row of y and nothing between rows.
// Preconditions: x.width, layer.out >= 1; layer.packed was packed with in = x.width;
// y_stride >= layer.out; layer.bias_stride is 0 or >= layer.out; y overlaps nothing that is read.
// Any alignment.
ETA_SIMD_API void Linear(const RowsView<float>& x, const LinearLayer& layer, float* y,
                         size_t y_stride);

}  // namespace eta::simd
