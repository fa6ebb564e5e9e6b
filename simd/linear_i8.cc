// SPDX-License-Identifier: Apache-2.0
#include "simd/linear_i8.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "simd/internal/common.h"

#include "hwy/base.h"

namespace eta::simd {
namespace {

constexpr size_t kGroupBytes = 64;

float Activate(float x, Activation activation) {
  return activation == Activation::kRelu && x < 0.0f ? 0.0f : x;
}

// The scale of `count` values value_of(i), whose integers go to store(i, integer).
template <class ValueOf, class Store>
float Quantize(size_t count, float steps, ValueOf value_of, Store store) {
  float most = 0.0f;
  bool is_finite = true;
  for (size_t i = 0; i < count; ++i) {
    const float size = std::abs(value_of(i));
    is_finite = is_finite && std::isfinite(size);
    if (size > most) most = size;
  }
  if (!is_finite || most < kU8SmallestRow) {
    for (size_t i = 0; i < count; ++i) store(i, 0);
    return is_finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  }
  const float factor = steps / most;
  for (size_t i = 0; i < count; ++i) {
    // Exact: 24 bits times 24 bits.
    const double exact = static_cast<double>(value_of(i)) * static_cast<double>(factor);
    store(i, static_cast<int>(std::nearbyint(exact)));
  }
  return most / steps;
}

template <class WeightAt>
void Pack(size_t in, size_t out, uint8_t* packed, WeightAt weight_at) {
  std::memset(packed, 0, PackedLinearI8Bytes(in, out));
  for (size_t j = 0; j < out; ++j) {
    uint8_t* panel = packed + j / kLinearColumns * LinearI8PanelBytes(in);
    uint8_t* column = panel + j % kLinearColumns * 4;
    int32_t sum = 0;
    const float scale = Quantize(
        in, 127.0f, [&](size_t i) { return weight_at(i, j); },
        [&](size_t i, int value) {
          sum += value;
          column[(2 + i / 4) * kGroupBytes + i % 4] = static_cast<uint8_t>(value);
        });
    std::memcpy(column, &scale, sizeof(scale));
    std::memcpy(column + kGroupBytes, &sum, sizeof(sum));
  }
}

}  // namespace

void QuantizeU8(const RowsView<float>& rows, Activation activation, const U8OutputRows& out) {
  ETA_SIMD_REQUIRE(AreRows(rows) && out.stride >= rows.width);
  const int zero = U8ZeroPoint(activation);
  for (size_t r = 0; r < rows.count; ++r) {
    const float* x = rows.row(r);
    uint8_t* bytes = out.row(r);
    out.scales[r] = Quantize(
        rows.width, zero == 0 ? 255.0f : 127.0f,
        [=](size_t i) { return Activate(x[i], activation); },
        [=](size_t i, int value) { bytes[i] = static_cast<uint8_t>(value + zero); });
  }
}

void PackLinearI8(const RowsView<float>& weight, uint8_t* packed) {
  ETA_SIMD_REQUIRE(AreRows(weight) && weight.count >= 1 && weight.count <= kLinearI8MaxIn);
  Pack(weight.count, weight.width, packed, [&](size_t i, size_t j) { return weight.row(i)[j]; });
}

void PackLinearI8Transposed(const RowsView<float>& weight, uint8_t* packed) {
  ETA_SIMD_REQUIRE(AreRows(weight) && weight.count >= 1 && weight.width <= kLinearI8MaxIn);
  Pack(weight.width, weight.count, packed, [&](size_t i, size_t j) { return weight.row(j)[i]; });
}

size_t LinearI8ScratchBytes(size_t in, size_t out) {
  if (in > kLinearI8MaxIn) return kNoScratch;
  const size_t bytes = SaturatingProduct(PaddedColumns(out), 12 * sizeof(float));
  const size_t rows = 12 * LinearI8Groups(in) * 8 + kCacheLineBytes;
  return bytes > kNoScratch - rows ? kNoScratch : bytes + rows;
}

namespace {

bool AreLinearI8(const U8RowsView& x, const LinearI8Layer& layer, ScratchView scratch) {
  return AreRows(RowsView<uint8_t>{x.values, x.count, x.width, x.stride}) &&
         x.width <= kLinearI8MaxIn && (x.zero_point == 0 || x.zero_point == 128) &&
         layer.out >= 1 && (layer.bias_stride == 0 || layer.bias_stride >= layer.out) &&
         scratch.bytes >= LinearI8ScratchBytes(x.width, layer.out);
}

void LinearI8Row(const U8RowsView& x, const LinearI8Layer& layer, size_t r, float* y) {
  const uint8_t* row = x.row(r);
  for (size_t j = 0; j < layer.out; ++j) {
    const uint8_t* panel = layer.packed + j / kLinearColumns * LinearI8PanelBytes(x.width);
    const uint8_t* column = panel + j % kLinearColumns * 4;
    float scale;
    std::memcpy(&scale, column, sizeof(scale));
    int32_t sum = 0;
    for (size_t i = 0; i < x.width; ++i) {
      sum +=
          (row[i] - x.zero_point) * static_cast<int8_t>(column[(2 + i / 4) * kGroupBytes + i % 4]);
    }
    const float bias = layer.bias == nullptr ? 0.0f : layer.bias[r * layer.bias_stride + j];
    y[j] = Activate(std::fma(static_cast<float>(sum) * scale, x.scales[r], bias), layer.activation);
  }
}

}  // namespace

void LinearI8(const U8RowsView& x, const LinearI8Layer& layer, ScratchView scratch, float* y,
              size_t y_stride) {
  ETA_SIMD_REQUIRE(AreLinearI8(x, layer, scratch) && y_stride >= layer.out);
  for (size_t r = 0; r < x.count; ++r) LinearI8Row(x, layer, r, y + r * y_stride);
}

void LinearI8ToU8(const U8RowsView& x, const LinearI8Layer& layer, ScratchView scratch,
                  const U8OutputRows& y) {
  ETA_SIMD_REQUIRE(AreLinearI8(x, layer, scratch) && y.stride >= layer.out);
  auto* row = static_cast<float*>(AlignUp(scratch.data, kCacheLineBytes));
  for (size_t r = 0; r < x.count; ++r) {
    LinearI8Row(x, layer, r, row);
    QuantizeU8(DenseRows<float>(row, 1, layer.out), layer.activation,
               {y.row(r), y.scales + r, layer.out});
  }
}

}  // namespace eta::simd
