// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/pq4.h and simd/pq4_encode.h, on codes that lie one after another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/reference/hamming.h"
#include "simd/views.h"

namespace eta::reference {

// 16 centroids for each of `subspaces` parts of a row of `dim` dimensions. Part s begins at
// dimension dim * s / subspaces, rounded down, and ends where the next begins.
struct Pq4Codebooks {
  size_t dim;
  size_t subspaces;
  std::vector<std::vector<float>> centroids;  // that of part s and number m is centroids[16 s + m]
};

// Codebooks from rows of `width` floats, of which each centroid takes as many as it needs.
Pq4Codebooks MakePq4Codebooks(std::span<const float> rows, size_t width, size_t dim,
                              size_t subspaces);

// For each part the number of the centroid nearest to it, two numbers a byte, the first in the
// lower half. The nearest has the largest <x, c> - |c|^2 / 2; the lowest number wins among equal
// ones, and NaN and -infinity count as the lowest float.
std::vector<uint8_t> Pq4Encode(std::span<const float> x, const Pq4Codebooks& codebooks);

// For each part and number a whole number from 0 to 63, which grows as the inner product of the
// query with the centroid falls below that with the best centroid of the part.
std::vector<uint8_t> Pq4Tables(std::span<const float> query, const Pq4Codebooks& codebooks);

// The sum of what `code` finds in the tables.
uint32_t Pq4Penalty(std::span<const uint8_t> code, std::span<const uint8_t> tables);

// The penalty of each of the codes of tables.size() / 32 bytes in `codes`.
std::vector<uint32_t> Pq4Penalties(std::span<const uint8_t> codes, std::span<const uint8_t> tables);

// The min(k, n) codes of smallest penalty, given as distance, smallest first, equal ones in `ties`
// order.
std::vector<HammingNeighbor> Pq4TopK(std::span<const uint8_t> codes,
                                     std::span<const uint8_t> tables, size_t k,
                                     simd::TieOrder ties);

}  // namespace eta::reference
