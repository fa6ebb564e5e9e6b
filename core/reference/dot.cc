// SPDX-License-Identifier: Apache-2.0
#include "core/reference/dot.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace eta::reference {
namespace {

// A NaN compares false with everything, so a sort needs a number in its place.
float RankOf(const DotNeighbor& neighbor) {
  if (std::isnan(neighbor.score)) return -std::numeric_limits<float>::infinity();
  return neighbor.score;
}

}  // namespace

float Dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0.0f;
  for (size_t d = 0; d < a.size(); ++d) sum = std::fma(a[d], b[d], sum);
  return sum;
}

std::vector<float> DotScores(std::span<const float> rows, std::span<const float> query) {
  std::vector<float> scores;
  for (size_t begin = 0; begin < rows.size(); begin += query.size()) {
    scores.push_back(Dot(query, rows.subspan(begin, query.size())));
  }
  return scores;
}

std::vector<DotNeighbor> DotTopK(std::span<const float> rows, std::span<const float> query,
                                 size_t k, simd::TieOrder ties) {
  const std::vector<float> scores = DotScores(rows, query);
  std::vector<DotNeighbor> neighbors;
  for (size_t i = 0; i < scores.size(); ++i) {
    neighbors.push_back({static_cast<int32_t>(i), scores[i]});
  }
  // As in HammingTopK, the order before the stable sort is the tie order.
  if (ties == simd::TieOrder::kNewestFirst) std::ranges::reverse(neighbors);
  std::ranges::stable_sort(neighbors, std::greater<float>(), RankOf);
  neighbors.resize(std::min(k, neighbors.size()));
  return neighbors;
}

}  // namespace eta::reference
