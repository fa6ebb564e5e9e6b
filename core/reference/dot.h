// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/dot.h, on rows that lie one after another, not in blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "simd/views.h"

namespace eta::reference {

// sum_d a[d] * b[d]. The sum starts at 0 and takes d = 0, 1, ... in turn, each step one fused
// multiply-add, because the last bit of a float sum depends on its order and its roundings.
float Dot(std::span<const float> a, std::span<const float> b);

// Inner product of `query` with each of the rows of query.size() floats in `rows`.
std::vector<float> DotScores(std::span<const float> rows, std::span<const float> query);

struct DotNeighbor {
  int32_t position;
  float score;
};

// The min(k, n) rows of largest inner product with `query`, largest first, equal scores in `ties`
// order. Zeros of both signs are equal. NaN ranks as -infinity, equal to a true -infinity.
std::vector<DotNeighbor> DotTopK(std::span<const float> rows, std::span<const float> query,
                                 size_t k, simd::TieOrder ties);

}  // namespace eta::reference
