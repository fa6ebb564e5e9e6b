// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/linear_i8.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace eta::reference {

// Rows, or columns, of small integers with a scale each.
struct U8Matrix {
  std::vector<uint8_t> values;  // row by row
  std::vector<float> scales;    // one per row
};

// Rows of `width` floats: negative ones become 0 with `is_relu`, the value 0 is then the byte 0,
// else 128.
U8Matrix QuantizeU8(std::span<const float> rows, size_t width, bool is_relu);

// An in x out matrix of weights: values[i * out + j] and scales[j].
struct I8Layer {
  std::vector<int8_t> values;
  std::vector<float> scales;

  size_t out() const { return scales.size(); }
  size_t in() const { return values.size() / out(); }
};

// `weights` row by row, `out` a row.
I8Layer QuantizeLayer(std::span<const float> weights, size_t out);

// What simd::PackLinearI8 writes.
std::vector<uint8_t> PackLinearI8(const I8Layer& layer);

// `bias`, or zeros where it is empty, plus scale times each value of `row`, rounded once.
std::vector<float> AddBiasRow(std::span<const float> bias, std::span<const int8_t> row,
                              float scale);

// A row of layer.in() bytes through the layer; `bias` has layer.out() values or none.
std::vector<float> LinearI8(std::span<const uint8_t> row, float scale, int zero_point,
                            const I8Layer& layer, std::span<const float> bias, bool is_relu);

}  // namespace eta::reference
