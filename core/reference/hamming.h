// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/hamming.h, on codes that lie one after another, not in blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "simd/views.h"

namespace eta::reference {

// Number of bits in which two codes of equal length differ.
uint32_t HammingDistance(std::span<const uint8_t> a, std::span<const uint8_t> b);

// Distance from `query` to each of the codes of query.size() bytes in `codes`.
std::vector<uint32_t> HammingDistances(std::span<const uint8_t> codes,
                                       std::span<const uint8_t> query);

struct HammingNeighbor {
  int32_t position;
  uint32_t distance;

  bool operator==(const HammingNeighbor&) const = default;
};

// The min(k, n) smallest of n distances, smallest first, equal ones in `ties` order.
std::vector<HammingNeighbor> NearestOf(std::span<const uint32_t> distances, size_t k,
                                       simd::TieOrder ties);

// The min(k, n) codes nearest to `query`, nearest first, equal distances in `ties` order.
std::vector<HammingNeighbor> HammingTopK(std::span<const uint8_t> codes,
                                         std::span<const uint8_t> query, size_t k,
                                         simd::TieOrder ties);

}  // namespace eta::reference
