// SPDX-License-Identifier: Apache-2.0
#include "core/reference/cross_features.h"

#include <array>
#include <cmath>

namespace eta::reference {

CrossedRow CrossFeatures(std::span<const float> c, std::span<const float> given,
                         std::span<const float> weights) {
  const size_t dim = c.size();
  CrossedRow row;
  std::array<float, 16> sums = {0};
  for (size_t p = 0; p < weights.size(); ++p) {
    const auto x = given.subspan(p * dim, dim);
    row.features.insert(row.features.end(), x.begin(), x.end());
    std::array<float, 16> partials = {0};
    for (size_t i = 0; i < dim; ++i) {
      row.features.push_back(c[i] * x[i]);
      partials[i % 16] = std::fma(c[i], x[i], partials[i % 16]);
    }
    for (size_t i = dim; i % 16 != 0; ++i) {  // makes 0 of -0
      partials[i % 16] = std::fma(0.0f, 0.0f, partials[i % 16]);
    }
    for (size_t k = 0; k < 16; ++k) sums[k] = std::fma(weights[p], partials[k], sums[k]);
  }
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t k = 0; k < half; ++k) sums[k] += sums[k + half];
  }
  row.sum = sums[0];
  return row;
}

}  // namespace eta::reference
