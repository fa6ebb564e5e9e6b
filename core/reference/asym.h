// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/asym.h, on codes that lie one after another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/reference/hamming.h"
#include "simd/views.h"

namespace eta::reference {

// A candidate's projections as whole numbers from -15 to 15, one per bit of a code, 0 for the
// unused bits of its last byte. The largest magnitude becomes 15, or less where otherwise the
// magnitudes of up to 128 bits could add up to more than 254. NaN counts as 0, an infinity as the
// largest float.
std::vector<int8_t> QuantizeProjections(std::span<const float> projections);

// The magnitudes of the weights whose sign `code` disagrees with: a positive weight wants a 1, any
// other a 0.
uint32_t AsymPenalty(std::span<const uint8_t> code, std::span<const int8_t> weights);

// The penalty of each of the codes of weights.size() / 8 bytes in `codes`.
std::vector<uint32_t> AsymPenalties(std::span<const uint8_t> codes,
                                    std::span<const int8_t> weights);

// The min(k, n) codes of smallest penalty, given as distance, smallest first, equal ones in `ties`
// order.
std::vector<HammingNeighbor> AsymTopK(std::span<const uint8_t> codes,
                                      std::span<const int8_t> weights, size_t k,
                                      simd::TieOrder ties);

}  // namespace eta::reference
