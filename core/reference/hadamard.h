// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/hadamard.h: SimHash by random signs and Walsh-Hadamard transforms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace eta::reference {

// The transform's size for embeddings of `dim` floats: a power of two, at least 64.
size_t HadamardSize(size_t dim);

// The transform of `values`, whose number is a power of two, in place and unnormalised: for h = 1,
// 2, 4, ... values h apart become their sum and their difference. With `downwards` h falls: the
// same transform, but rounded differently.
void WalshHadamard(std::span<float> values, bool downwards);

// What the bits [0, size) of a group are the signs of. `sign_bits` holds the packed signs of all
// groups, 1 for minus; the group's own are 3 rounds of `size` from bit group * 3 * size on.
std::vector<float> HadamardProjections(std::span<const float> x, std::span<const uint8_t> sign_bits,
                                       size_t group);

// The codes of rows of `dim` floats one after another, densely packed in the order of the rows.
// Bit j is projection j % size of group j / size, set iff it is greater than 0. Bits past `bits`
// in the last byte are 0.
std::vector<uint8_t> HadamardRows(std::span<const float> rows, size_t dim,
                                  std::span<const uint8_t> sign_bits, size_t bits);

}  // namespace eta::reference
