// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/cross_features.h.
#pragma once

#include <span>
#include <vector>

namespace eta::reference {

// A candidate's features, and the sum of its weighted products.
struct CrossedRow {
  std::vector<float> features;  // each part's floats before their products
  float sum;
};

// `given` holds as many floats for each of the weights as c has.
CrossedRow CrossFeatures(std::span<const float> c, std::span<const float> given,
                         std::span<const float> weights);

}  // namespace eta::reference
