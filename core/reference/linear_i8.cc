// SPDX-License-Identifier: Apache-2.0
#include "core/reference/linear_i8.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace eta::reference {
namespace {

constexpr size_t kPanelColumns = 16;
constexpr size_t kGroupInputs = 4;
constexpr size_t kGroupBytes = kPanelColumns * kGroupInputs;

float Activate(float x, bool is_relu) { return is_relu && x < 0.0f ? 0.0f : x; }

// The scale and the integers of a row whose largest integer shall be `steps`.
float Quantize(std::span<const float> row, float steps, std::vector<int>& integers) {
  integers.assign(row.size(), 0);
  float most = 0.0f;
  for (const float x : row) {
    if (!std::isfinite(x)) return std::numeric_limits<float>::quiet_NaN();
    most = std::max(most, std::abs(x));
  }
  if (most < 0x1p-100f) return 0.0f;
  const float factor = steps / most;
  for (size_t i = 0; i < row.size(); ++i) {
    const double exact = static_cast<double>(row[i]) * static_cast<double>(factor);
    integers[i] = static_cast<int>(std::nearbyint(exact));  // halves to even
  }
  return most / steps;
}

}  // namespace

U8Matrix QuantizeU8(std::span<const float> rows, size_t width, bool is_relu) {
  U8Matrix matrix;
  std::vector<float> row(width);
  std::vector<int> integers;
  for (size_t begin = 0; begin < rows.size(); begin += width) {
    for (size_t i = 0; i < width; ++i) row[i] = Activate(rows[begin + i], is_relu);
    matrix.scales.push_back(Quantize(row, is_relu ? 255.0f : 127.0f, integers));
    for (const int value : integers) {
      matrix.values.push_back(static_cast<uint8_t>(value + (is_relu ? 0 : 128)));
    }
  }
  return matrix;
}

I8Layer QuantizeLayer(std::span<const float> weights, size_t out) {
  const size_t in = weights.size() / out;
  I8Layer layer = {std::vector<int8_t>(weights.size()), {}};
  std::vector<float> column(in);
  std::vector<int> integers;
  for (size_t j = 0; j < out; ++j) {
    for (size_t i = 0; i < in; ++i) column[i] = weights[i * out + j];
    layer.scales.push_back(Quantize(column, 127.0f, integers));
    for (size_t i = 0; i < in; ++i) layer.values[i * out + j] = static_cast<int8_t>(integers[i]);
  }
  return layer;
}

std::vector<uint8_t> PackLinearI8(const I8Layer& layer) {
  const size_t in = layer.in(), out = layer.out();
  const size_t groups = (in + kGroupInputs - 1) / kGroupInputs;
  const size_t panels = (out + kPanelColumns - 1) / kPanelColumns;
  const size_t panel_bytes = (groups + 2) * kGroupBytes;
  std::vector<uint8_t> packed(panels * panel_bytes);
  for (size_t j = 0; j < out; ++j) {
    uint8_t* panel = packed.data() + j / kPanelColumns * panel_bytes;
    const size_t column = j % kPanelColumns * sizeof(float);
    int32_t sum = 0;
    for (size_t i = 0; i < in; ++i) {
      const int8_t value = layer.values[i * out + j];
      sum += value;
      panel[(2 + i / kGroupInputs) * kGroupBytes + column + i % kGroupInputs] =
          static_cast<uint8_t>(value);
    }
    std::memcpy(panel + column, &layer.scales[j], sizeof(float));
    std::memcpy(panel + kGroupBytes + column, &sum, sizeof(sum));
  }
  return packed;
}

std::vector<float> AddBiasRow(std::span<const float> bias, std::span<const int8_t> row,
                              float scale) {
  std::vector<float> sums;
  for (size_t j = 0; j < row.size(); ++j) {
    sums.push_back(std::fma(static_cast<float>(row[j]), scale, bias.empty() ? 0.0f : bias[j]));
  }
  return sums;
}

std::vector<float> LinearI8(std::span<const uint8_t> row, float scale, int zero_point,
                            const I8Layer& layer, std::span<const float> bias, bool is_relu) {
  std::vector<float> y;
  for (size_t j = 0; j < layer.out(); ++j) {
    int32_t sum = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      sum += (row[i] - zero_point) * layer.values[i * layer.out() + j];
    }
    const float scaled = static_cast<float>(sum) * layer.scales[j];
    y.push_back(Activate(std::fma(scaled, scale, bias.empty() ? 0.0f : bias[j]), is_relu));
  }
  return y;
}

}  // namespace eta::reference
