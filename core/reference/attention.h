// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/attention_{all,heads,rows}.h, simd/linear.h and simd/activations.h, in
// double: the formulas of docs/models.md as they stand there, nothing folded.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace eta::reference {

using Vector = std::vector<double>;

// A rows x cols matrix, row by row.
struct MatrixView {
  std::span<const float> values;
  size_t cols;

  size_t rows() const { return values.size() / cols; }
  double at(size_t r, size_t c) const { return static_cast<double>(values[r * cols + c]); }
};

// x W + bias; an empty bias is none.
Vector Linear(const Vector& x, const MatrixView& weight, std::span<const float> bias);

double Sigmoid(double x);

// exp(x_i) / sum_j exp(x_j); nothing for nothing.
Vector Softmax(const Vector& x);

// Multi-head target attention of a candidate over rows (docs/models.md, "Attention"); 0 without any
// row. All four matrices are dim x dim, and heads divides dim.
struct AttentionView {
  MatrixView query, key, value, output;
  size_t heads;
};
Vector TargetAttention(const AttentionView& attention, const Vector& candidate,
                       const std::vector<Vector>& rows);

}  // namespace eta::reference
