// SPDX-License-Identifier: Apache-2.0
#include "core/reference/dot_i8.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "core/reference/code_blocks.h"

namespace eta::reference {
namespace {

constexpr size_t kDimsPerGroup = 4;

// A NaN compares false with everything, so a sort needs a number in its place.
float RankOf(const DotNeighbor& neighbor) {
  return std::isnan(neighbor.score) ? -std::numeric_limits<float>::infinity() : neighbor.score;
}

float Finite(float x) {
  constexpr float kMost = std::numeric_limits<float>::max();
  return std::isnan(x) ? 0.0f : std::clamp(x, -kMost, kMost);
}

size_t RoundUpToGroups(size_t dim) {
  return (dim + kDimsPerGroup - 1) / kDimsPerGroup * kDimsPerGroup;
}

}  // namespace

I8Matrix QuantizeI8(std::span<const float> rows, size_t dim) {
  I8Matrix matrix;
  for (size_t begin = 0; begin < rows.size(); begin += dim) {
    const std::span<const float> row = rows.subspan(begin, dim);
    float most = 0.0f;
    for (const float x : row) most = std::max(most, std::abs(Finite(x)));
    const float scale = most / 127.0f;
    for (const float x : row) {
      // A scale among the denormals is so coarse that the quotient can exceed 127.
      const float quotient = scale == 0.0f ? 0.0f : std::clamp(Finite(x) / scale, -127.0f, 127.0f);
      matrix.values.push_back(static_cast<int8_t>(std::nearbyint(quotient)));  // halves to even
    }
    matrix.scales.push_back(scale);
  }
  return matrix;
}

size_t I8BlockIndex(size_t i, size_t d, size_t dim) {
  const size_t block = i / kRowsPerBlock;
  const size_t group = d / kDimsPerGroup;
  return block * kRowsPerBlock * RoundUpToGroups(dim) + group * kRowsPerBlock * kDimsPerGroup +
         i % kRowsPerBlock * kDimsPerGroup + d % kDimsPerGroup;
}

std::vector<uint8_t> PackI8Blocks(std::span<const int8_t> values, size_t dim) {
  const size_t n = values.size() / dim;
  std::vector<uint8_t> blocks(RoundUpToBlocks(n) * RoundUpToGroups(dim), 128);
  for (size_t i = 0; i < n; ++i) {
    for (size_t d = 0; d < dim; ++d) {
      blocks[I8BlockIndex(i, d, dim)] = static_cast<uint8_t>(values[i * dim + d] + 128);
    }
  }
  return blocks;
}

int32_t DotI8(std::span<const int8_t> a, std::span<const int8_t> b) {
  int32_t sum = 0;
  for (size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
  return sum;
}

std::vector<float> DotI8Scores(const I8Matrix& rows, const I8Matrix& queries, size_t q,
                               size_t dim) {
  const std::span<const int8_t> query(queries.values.data() + q * dim, dim);
  std::vector<float> scores;
  for (size_t i = 0; i < rows.scales.size(); ++i) {
    const auto sum = static_cast<float>(DotI8({rows.values.data() + i * dim, dim}, query));
    const float scaled = sum * rows.scales[i];
    scores.push_back(scaled * queries.scales[q]);
  }
  return scores;
}

std::vector<DotNeighbor> DotI8TopK(const I8Matrix& rows, const I8Matrix& queries, size_t q,
                                   size_t dim, size_t k, simd::TieOrder ties) {
  const std::vector<float> scores = DotI8Scores(rows, queries, q, dim);
  std::vector<DotNeighbor> neighbors;
  for (size_t i = 0; i < scores.size(); ++i) {
    neighbors.push_back({static_cast<int32_t>(i), scores[i]});
  }
  // As in DotTopK, the order before the stable sort is the tie order.
  if (ties == simd::TieOrder::kNewestFirst) std::ranges::reverse(neighbors);
  std::ranges::stable_sort(neighbors, std::greater<float>(), RankOf);
  neighbors.resize(std::min(k, neighbors.size()));
  return neighbors;
}

}  // namespace eta::reference
