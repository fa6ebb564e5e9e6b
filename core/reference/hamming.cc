// SPDX-License-Identifier: Apache-2.0
#include "core/reference/hamming.h"

#include <algorithm>
#include <bit>

namespace eta::reference {

uint32_t HammingDistance(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  uint32_t distance = 0;
  for (size_t p = 0; p < a.size(); ++p) {
    const auto differing = static_cast<uint8_t>(a[p] ^ b[p]);
    distance += static_cast<uint32_t>(std::popcount(differing));
  }
  return distance;
}

std::vector<uint32_t> HammingDistances(std::span<const uint8_t> codes,
                                       std::span<const uint8_t> query) {
  std::vector<uint32_t> distances;
  for (size_t begin = 0; begin < codes.size(); begin += query.size()) {
    distances.push_back(HammingDistance(codes.subspan(begin, query.size()), query));
  }
  return distances;
}

std::vector<HammingNeighbor> NearestOf(std::span<const uint32_t> distances, size_t k,
                                       simd::TieOrder ties) {
  std::vector<HammingNeighbor> neighbors;
  for (size_t i = 0; i < distances.size(); ++i) {
    neighbors.push_back({static_cast<int32_t>(i), distances[i]});
  }
  // A stable sort keeps equal distances in the order in which it finds them, so the order before
  // the sort is the tie order.
  if (ties == simd::TieOrder::kNewestFirst) std::ranges::reverse(neighbors);
  std::ranges::stable_sort(neighbors, {}, &HammingNeighbor::distance);
  neighbors.resize(std::min(k, neighbors.size()));
  return neighbors;
}

std::vector<HammingNeighbor> HammingTopK(std::span<const uint8_t> codes,
                                         std::span<const uint8_t> query, size_t k,
                                         simd::TieOrder ties) {
  return NearestOf(HammingDistances(codes, query), k, ties);
}

}  // namespace eta::reference
