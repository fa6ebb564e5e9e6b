// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/simhash.h: SimHash as a loop over bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace eta::reference {

// Bytes of a code of `bits` bits: eight bits a byte, the last byte perhaps part empty.
size_t CodeBytes(size_t bits);

// sum_d x[d] * planes[d * bits + j], the projection of embedding `x` on hyperplane j of the
// x.size() x bits matrix `planes`. The sum starts at 0 and takes d = 0, 1, ... in turn, each step
// one fused multiply-add, because the last bit of a float sum depends on its order and its
// roundings.
float Projection(std::span<const float> x, std::span<const float> planes, size_t bits, size_t j);

// The code of one embedding: bit j lies in byte j / 8 at j % 8 and is 1 iff Projection j is greater
// than 0. Zero of either sign and NaN are not. The bits past `bits` in the last byte are 0.
std::vector<uint8_t> SimHash(std::span<const float> x, std::span<const float> planes, size_t bits);

// The codes of rows of `dim` floats one after another, densely packed in the order of the rows.
std::vector<uint8_t> SimHashRows(std::span<const float> rows, size_t dim,
                                 std::span<const float> planes, size_t bits);

}  // namespace eta::reference
