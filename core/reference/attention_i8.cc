// SPDX-License-Identifier: Apache-2.0
#include "core/reference/attention_i8.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace eta::reference {
namespace {

// Integers of at most `steps` and their factor, which is returned.
template <class Integer>
float Quantize(std::span<const float> row, float steps, std::vector<Integer>& integers) {
  float most = 0.0f;
  bool is_finite = true;
  for (const float x : row) {
    is_finite = is_finite && std::isfinite(x);
    most = std::max(most, std::abs(x));
  }
  const bool is_zero = !is_finite || most < 0x1p-100f;
  for (const float x : row) {
    const double exact = is_zero ? 0 : static_cast<double>(x) * static_cast<double>(steps / most);
    integers.push_back(static_cast<Integer>(std::nearbyint(exact)));  // halves to even
  }
  return !is_finite ? std::numeric_limits<float>::quiet_NaN() : is_zero ? 0.0f : most / steps;
}

// exp(x) for x <= 0 by the steps of the kernels (simd/internal/exp-inl.h), each rounded once.
float Exp(float x) {
  if (x < -87.33f) return 0.0f;
  const float shifted = std::fma(x, 1.44269504f, 0x1.8p23f), n = shifted - 0x1.8p23f;
  float r = std::fma(-n, 0.693359375f, x);
  r = std::fma(-n, -2.12194440e-4f, r);
  float p = 0x1.0fa7d8p-7f;
  for (const float c : {0x1.573ad0p-5f, 0x1.555a6ep-3f, 0x1.fffdc4p-2f, 0x1.fffff6p-1f, 1.0f}) {
    p = std::fma(p, r, c);
  }
  return p * std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) + 127u) << 23);
}

float CutTo16Bits(float x) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0xFFFFFF00u);
}

}  // namespace

I8Heads QuantizeHeads(std::span<const float> keys, std::span<const float> values, size_t dim) {
  I8Heads table;
  table.dim = dim;
  for (size_t begin = 0; begin < keys.size(); begin += dim) {
    table.key_factors.push_back(Quantize(keys.subspan(begin, dim), 127.0f, table.keys));
    table.value_factors.push_back(Quantize(values.subspan(begin, dim), 127.0f, table.values));
  }
  return table;
}

std::vector<float> AttendHeadsI8(std::span<const float> query, size_t heads, const I8Heads& table,
                                 std::span<const int32_t> ids) {
  const size_t part = table.dim / heads;
  std::vector<float> out;
  for (size_t h = 0; h < heads; ++h) {
    std::vector<int32_t> q;
    const float q_factor = Quantize(query.subspan(h * part, part), 32512.0f, q);
    std::vector<float> weights;
    for (const int32_t id : ids) {
      int32_t sum = 0;
      const int8_t* key = table.keys.data() + static_cast<size_t>(id) * table.dim + h * part;
      for (size_t i = 0; i < part; ++i) sum += q[i] * key[i];
      weights.push_back(static_cast<float>(sum) * table.key_factors[static_cast<size_t>(id)]);
      weights.back() *= q_factor;
    }
    float largest = -std::numeric_limits<float>::infinity();
    for (const float score : weights) {
      if (!(score <= largest)) largest = score;  // NaN too
    }
    std::array<float, 4> sums = {0};  // rows by turns
    for (size_t j = 0; j < ids.size(); ++j) sums[j % 4] += weights[j] = Exp(weights[j] - largest);
    const float factor = 1.0f / ((sums[0] + sums[2]) + (sums[1] + sums[3]));
    for (size_t i = 0; i < part; ++i) {
      std::array<float, 2> sum = {0};  // of even and of odd rows
      for (size_t j = 0; j < ids.size(); ++j) {
        const auto row = static_cast<size_t>(ids[j]);
        const float weight = CutTo16Bits(weights[j] * table.value_factors[row]);
        sum[j % 2] += weight * static_cast<float>(table.values[row * table.dim + h * part + i]);
      }
      out.push_back(ids.empty() ? 0.0f : (sum[0] + sum[1]) * factor);
    }
  }
  return out;
}

}  // namespace eta::reference
