// SPDX-License-Identifier: Apache-2.0
// A layer of a neural network in eight bits: rows of bytes times a matrix of int8, summed exactly
// in int32, then scale, bias and activation in float32. Its rows take a quarter of the bytes of
// simd/linear.h, and VNNI does four times the multiply-adds of an instruction.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/linear.h"
#include "simd/views.h"

namespace eta::simd {

// The widest input: 255 * 127 * 32,768 and the correction of the zero point fit 31 bits.
inline constexpr size_t kLinearI8MaxIn = 32768;

// Rows whose largest value is below are taken for rows of zeros: the factor that quantises a larger
// one is a finite float.
inline constexpr float kU8SmallestRow = 0x1p-100f;

// The byte of the value 0 in rows that went through an activation: 0 where no value is negative.
constexpr uint8_t U8ZeroPoint(Activation activation) {
  return activation == Activation::kRelu ? 0 : 128;
}

// `count` quantised rows of `width` values: value i of row r is
// scales[r] * (values[r * stride + i] - zero_point). stride >= width.
struct U8RowsView {
  const uint8_t* values;
  const float* scales;
  size_t count;
  size_t width;
  size_t stride;
  uint8_t zero_point;  // 0 or 128

  // The first byte of row r.
  const uint8_t* row(size_t r) const { return values + r * stride; }
};

// Applies `activation` to rows of floats and quantises them, each with its own scale. With
// m = max_i |activation(x_i)| and s = 255 for kRelu, else 127:
//   scale = m / s, byte i = U8ZeroPoint(activation) + activation(x_i) * (s / m) rounded to the
//   nearest integer, halves to even,
// where m / s and s / m are rounded to float32 and the product is not. A row with m below
// kU8SmallestRow gets scale 0. A row of which NaN or an infinity is left after the activation gets
// the scale NaN, by which callers know it; the activation keeps NaN. Their bytes are all
// U8ZeroPoint(activation). The same bits on every target. Writes `width` bytes of each row and
// nothing between rows. Preconditions: rows.width >= 1; out.stride >= rows.width; no overlap. Any
// alignment.
ETA_SIMD_API void QuantizeU8(const RowsView<float>& rows, Activation activation,
                             const U8OutputRows& out);

// Groups of four inputs that `in` inputs take.
constexpr size_t LinearI8Groups(size_t in) { return in / 4 + (in % 4 != 0 ? 1 : 0); }

// Bytes of a panel of 16 columns: a scale and a sum for each, then its groups of inputs.
constexpr size_t LinearI8PanelBytes(size_t in) {
  return SaturatingProduct(LinearI8Groups(in) + 2, 64);
}

// Bytes that PackLinearI8 writes for an in x out matrix.
constexpr size_t PackedLinearI8Bytes(size_t in, size_t out) {
  return SaturatingProduct(LinearI8PanelBytes(in), PaddedColumns(out) / kLinearColumns);
}

// Quantises an in x out matrix, given as `in` rows of `out` weights, and packs it. With
// m_j = max_i |W[i][j]|, column j has the scale m_j / 127 and the values W[i][j] * (127 / m_j),
// rounded as in QuantizeU8 and with the same exceptions: their values are 0.
// Panel j / 16 starts at j / 16 * LinearI8PanelBytes(in) and holds 16 scales (float), 16 sums of
// the column's values (int32_t), then value (i, j) at byte i / 4 * 64 + j % 16 * 4 + i % 4; all is
// 0 past `in` and `out`. The same bits on every target. Preconditions: 1 <= in <= kLinearI8MaxIn;
// out >= 1; no overlap. Any alignment; 64 bytes is fastest.
ETA_SIMD_API void PackLinearI8(const RowsView<float>& weight, uint8_t* packed);

// The same matrix given transposed, as `out` rows of `in` weights.
ETA_SIMD_API void PackLinearI8Transposed(const RowsView<float>& weight, uint8_t* packed);

// Rows of int8 with a scale each, of which every row of a layer's input is given one: that of input
// row r is row ids[r], value j at values + ids[r] * stride + j.
struct I8BiasRows {
  const int8_t* values = nullptr;  // null: there are none
  const float* scales = nullptr;
  const int32_t* ids = nullptr;  // all name a row
  size_t stride = 0;

  // The first value of input row r's row.
  const int8_t* row(size_t r) const { return values + static_cast<size_t>(ids[r]) * stride; }
  // The scale of that row.
  float scale(size_t r) const { return scales[static_cast<size_t>(ids[r])]; }
};

// A layer with `out` outputs. `packed` comes from PackLinearI8.
struct LinearI8Layer {
  const uint8_t* packed;
  size_t out;
  const float* bias = nullptr;  // of all rows; null for none
  Activation activation = Activation::kNone;
  I8BiasRows bias_rows = {};  // added to it
};

// Bytes of scratch for LinearI8 and LinearI8ToU8, whatever the number of rows. Any alignment.
ETA_SIMD_API size_t LinearI8ScratchBytes(size_t in, size_t out);

// y[r * y_stride + j] = activation(fma(float(sum_rj) * scale_j, x.scales[r], bias_rj)) with
// sum_rj = sum_i (x_r[i] - x.zero_point) * W[i][j], which is exact; float() and the product round
// to float32, fma rounds once. bias_rj is bias[j], or fma(float(value), scale, bias[j]) with value
// j of row r of the bias_rows; no bias is 0. kRelu makes negative values 0 and keeps NaN, so that a
// row or a column without a finite scale gives NaN. The same bits on every target. Writes `out`
// floats of each row of y and nothing between rows.
// Preconditions: 1 <= x.width <= kLinearI8MaxIn; x.zero_point is 0 or 128; layer.out >= 1;
// layer.packed was packed with in = x.width; y_stride >= layer.out; layer.bias_rows.stride >=
// layer.out where there are such rows; nothing overlaps. `scratch` has
// LinearI8ScratchBytes(x.width, layer.out) bytes; its contents do not matter. Any alignment.
ETA_SIMD_API void LinearI8(const U8RowsView& x, const LinearI8Layer& layer, ScratchView scratch,
                           float* y, size_t y_stride);

// LinearI8 whose result is quantised as QuantizeU8 with layer.activation does it, bit for bit: rows
// of layer.out bytes with the zero point U8ZeroPoint(layer.activation).
// Preconditions: those of LinearI8; y.stride >= layer.out.
ETA_SIMD_API void LinearI8ToU8(const U8RowsView& x, const LinearI8Layer& layer, ScratchView scratch,
                               const U8OutputRows& y);

}  // namespace eta::simd
