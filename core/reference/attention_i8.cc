// SPDX-License-Identifier: Apache-2.0
#include "core/reference/attention_i8.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace eta::reference {
namespace {

constexpr float kWeightSteps = 32767.0f;
constexpr size_t kRowsSummed = 512;  // exactly, in 31 bits

// How a row is rounded: value = integer * scale, integer = value * factor.
struct RowScale {
  float scale, factor;
};

RowScale ScaleOf(std::span<const float> row, float steps) {
  float most = 0.0f;
  for (const float x : row) {
    if (!std::isfinite(x)) return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
    most = std::max(most, std::abs(x));
  }
  if (most < 0x1p-100f) return {0.0f, 0.0f};
  return {most / steps, steps / most};
}

// The product rounded to an integer, halves to even.
int32_t RoundedProduct(float a, float b) {
  const double exact = static_cast<double>(a) * static_cast<double>(b);
  return std::isnan(exact) ? 0 : static_cast<int32_t>(std::nearbyint(exact));
}

// Integers of at most `steps` and their factor, which is returned.
template <class Integer>
float Quantize(std::span<const float> row, float steps, std::vector<Integer>& integers) {
  const RowScale scale = ScaleOf(row, steps);
  for (const float x : row) {
    const float value = scale.factor == 0.0f ? 0.0f : x;
    integers.push_back(static_cast<Integer>(RoundedProduct(value, scale.factor)));
  }
  return scale.scale;
}

// 2^x for x <= 0 by the steps of the kernels (simd/internal/i8_rows-inl.h), each rounded once.
float Exp2(float x) {
  if (x < -126.0f) return 0.0f;
  const float shifted = x + 0x1.8p23f, r = x - (shifted - 0x1.8p23f);
  float p = 0x1.3a02ccp-7f;
  for (const float c : {0x1.c9fc46p-5f, 0x1.ec0378p-3f, 0x1.62e12cp-1f, 1.0f}) {
    p = std::fma(p, r, c);
  }
  return std::bit_cast<float>(std::bit_cast<uint32_t>(p) +
                              (std::bit_cast<uint32_t>(shifted) << 23));
}

}  // namespace

I8Heads QuantizeHeads(std::span<const float> keys, std::span<const float> values, size_t dim) {
  I8Heads table;
  table.dim = dim;
  for (size_t begin = 0; begin < keys.size(); begin += dim) {
    table.key_factors.push_back(Quantize(keys.subspan(begin, dim), 127.0f, table.keys));
    if (values.empty()) continue;
    table.value_factors.push_back(Quantize(values.subspan(begin, dim), 127.0f, table.values));
  }
  return table;
}

namespace {

// The scores, to the base of 2, of a head of a query over rows of keys: part components from
// `first` on.
std::vector<float> Scores(std::span<const float> query, std::span<const int8_t> keys,
                          std::span<const float> key_factors, size_t dim, size_t first,
                          std::span<const int32_t> ids) {
  std::vector<int32_t> q;
  const float q_factor = Quantize(query, 127.0f, q) * 1.44269504f;
  std::vector<float> scores;
  for (const int32_t id : ids) {
    int32_t sum = 0;
    const int8_t* key = keys.data() + static_cast<size_t>(id) * dim + first;
    for (size_t i = 0; i < q.size(); ++i) sum += q[i] * key[i];
    scores.push_back(static_cast<float>(sum) * key_factors[static_cast<size_t>(id)] * q_factor);
  }
  return scores;
}

// Turns scores into the numerators of softmax.
void Exp2OfDifferences(std::vector<float>& scores) {
  float largest = -std::numeric_limits<float>::infinity();
  for (const float score : scores) {
    if (!(score <= largest)) largest = score;
    if (std::isnan(largest)) break;  // so that all become NaN
  }
  for (float& score : scores) score = Exp2(score - largest);
}

// sum_j weights[j] * value(j), exact for each kRowsSummed rows.
template <class Value>
float WeightedSum(std::span<const int32_t> weights, Value value) {
  float total = 0.0f;
  for (size_t first = 0; first < weights.size(); first += kRowsSummed) {
    int32_t sum = 0;
    for (size_t j = first; j < std::min(first + kRowsSummed, weights.size()); ++j) {
      sum += weights[j] * value(j);
    }
    total = first == 0 ? static_cast<float>(sum) : total + static_cast<float>(sum);
  }
  return total;
}

}  // namespace

std::vector<float> AttendHeadsI8(std::span<const float> query, size_t heads, const I8Heads& table,
                                 std::span<const int32_t> ids) {
  const size_t part = table.dim / heads;
  std::vector<float> value_factors;
  for (const int32_t id : ids)
    value_factors.push_back(table.value_factors[static_cast<size_t>(id)]);
  const RowScale value_scale = ScaleOf(value_factors, kWeightSteps);
  std::vector<float> out;
  for (size_t h = 0; h < heads; ++h) {
    std::vector<float> numerators = Scores(query.subspan(h * part, part), table.keys,
                                           table.key_factors, table.dim, h * part, ids);
    Exp2OfDifferences(numerators);
    std::array<float, 4> sums = {0};  // rows by turns
    std::vector<int32_t> weights;
    for (size_t j = 0; j < ids.size(); ++j) {
      sums[j % 4] += numerators[j];
      weights.push_back(RoundedProduct(numerators[j], value_factors[j] * value_scale.factor));
    }
    const float factor = value_scale.scale / ((sums[0] + sums[2]) + (sums[1] + sums[3]));
    for (size_t i = h * part; i < (h + 1) * part; ++i) {
      const float sum = WeightedSum(weights, [&](size_t j) {
        return table.values[static_cast<size_t>(ids[j]) * table.dim + i];
      });
      out.push_back(ids.empty() ? 0.0f : sum * factor);
    }
  }
  return out;
}

std::vector<float> AttendAllI8(std::span<const float> query, size_t heads,
                               std::span<const float> keys, std::span<const float> values,
                               size_t dim) {
  const size_t part = dim / heads, count = keys.size() / dim;
  const I8Heads rows = QuantizeHeads(keys, {}, dim);
  std::vector<int32_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> out;
  for (size_t h = 0; h < heads; ++h) {
    std::vector<float> numerators =
        Scores(query.subspan(h * part, part), rows.keys, rows.key_factors, dim, h * part, all);
    Exp2OfDifferences(numerators);
    std::vector<int32_t> weights;
    for (const float e : numerators) weights.push_back(RoundedProduct(e, kWeightSteps));
    const float factor = 1.0f / WeightedSum(weights, [](size_t) { return 1; });
    for (size_t i = h * part; i < (h + 1) * part; ++i) {
      std::vector<float> column;
      for (size_t j = 0; j < count; ++j) column.push_back(values[j * dim + i]);
      std::vector<int8_t> integers;
      const float value_factor = Quantize(std::span<const float>(column), 127.0f, integers);
      const float sum = WeightedSum(weights, [&](size_t j) { return integers[j]; });
      out.push_back(count == 0 ? 0.0f : sum * value_factor * factor);
    }
  }
  return out;
}

}  // namespace eta::reference
