// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/factors.h, on codes that lie one after another, each followed by its
// factor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace eta::reference {

// The length of a row.
float NormFactor(std::span<const float> row);

// What turns the sum of a code's signs times a candidate's projections into an estimate of the
// inner product: the squared length of the row over the sum of the magnitudes of its projections.
float AsymFactor(std::span<const float> row, std::span<const float> projections);

// The factor in whole units, 0 to 255; NaN and negative factors give 0.
uint8_t QuantizeFactor(float factor, float unit);

// Distances of 1 to 254 that fall as the estimate factor * (largest - 2 * penalty) grows, where
// `largest` is the largest penalty that the query can give. They are spread over the estimates that
// the largest factor of the history allows. `bytes` says that penalties are of one byte, 255 for
// those that are larger.
std::vector<uint32_t> FactorDistances(std::span<const uint32_t> penalties,
                                      std::span<const uint8_t> factors, size_t largest, bool bytes);

// The distances of `rows`, codes of ceil(bits / 8) bytes and their factors, from a query code.
std::vector<uint32_t> NormDistances(std::span<const uint8_t> rows, size_t bits,
                                    std::span<const uint8_t> query);

// The same from a candidate's weights, one for each bit of the bytes of a code.
std::vector<uint32_t> AsymFactorDistances(std::span<const uint8_t> rows, size_t bits,
                                          std::span<const int8_t> weights);

}  // namespace eta::reference
