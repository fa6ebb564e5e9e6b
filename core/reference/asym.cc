// SPDX-License-Identifier: Apache-2.0
#include "core/reference/asym.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace eta::reference {

std::vector<int8_t> QuantizeProjections(std::span<const float> projections) {
  std::vector<double> values;
  for (const float x : projections) {
    constexpr float kMost = std::numeric_limits<float>::max();
    values.push_back(std::isnan(x) ? 0.0f : std::clamp(x, -kMost, kMost));
  }
  double largest = 0, sum = 0;
  for (const double x : values) {
    largest = std::max(largest, std::abs(x));
    sum += std::abs(x);
  }
  double step = largest / 15;
  // Rounding adds at most a half for each bit.
  const auto bits = static_cast<double>(values.size());
  if (bits <= 128) step = std::max(step, sum / (254 - bits / 2));
  std::vector<int8_t> weights((values.size() + 7) / 8 * 8, 0);
  for (size_t j = 0; j < values.size(); ++j) {
    if (step > 0) weights[j] = static_cast<int8_t>(std::round(values[j] / step));
  }
  return weights;
}

uint32_t AsymPenalty(std::span<const uint8_t> code, std::span<const int8_t> weights) {
  int penalty = 0;
  for (size_t j = 0; j < weights.size(); ++j) {
    const bool bit = (code[j / 8] >> (j % 8) & 1) != 0;
    const bool wanted = weights[j] > 0;
    if (bit != wanted) penalty += std::abs(weights[j]);
  }
  return static_cast<uint32_t>(penalty);
}

std::vector<uint32_t> AsymPenalties(std::span<const uint8_t> codes,
                                    std::span<const int8_t> weights) {
  const size_t code_bytes = weights.size() / 8;
  std::vector<uint32_t> penalties;
  for (size_t begin = 0; begin < codes.size(); begin += code_bytes) {
    penalties.push_back(AsymPenalty(codes.subspan(begin, code_bytes), weights));
  }
  return penalties;
}

std::vector<HammingNeighbor> AsymTopK(std::span<const uint8_t> codes,
                                      std::span<const int8_t> weights, size_t k,
                                      simd::TieOrder ties) {
  return NearestOf(AsymPenalties(codes, weights), k, ties);
}

}  // namespace eta::reference
