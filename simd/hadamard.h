// SPDX-License-Identifier: Apache-2.0
// SimHash with structured hyperplanes: random signs and fast Walsh-Hadamard transforms take the
// place of a dense product, bits * log2(dim) steps instead of bits * dim (Ailon and Chazelle, "The
// fast Johnson-Lindenstrauss transform", 2009; Andoni et al., "Practical and optimal LSH for
// angular distance", 2015, who found three rounds enough).
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::simd {

inline constexpr size_t kHadamardRounds = 3;
inline constexpr size_t kHadamardMinSize = 64;
inline constexpr size_t kHadamardMaxSize = 4096;

// Size of the transforms: the power of two >= dim, at least 64. At least, so that a group of bits
// is whole words, and because few signs make few different hyperplanes.
constexpr size_t HadamardSize(size_t dim) {
  size_t size = kHadamardMinSize;
  while (size < dim) size *= 2;
  return size;
}

// Random signs that codes of `bits` bits need: for each group of HadamardSize(dim) bits, the last
// perhaps part used, kHadamardRounds times HadamardSize(dim).
constexpr size_t HadamardSignCount(size_t dim, size_t bits) {
  const size_t size = HadamardSize(dim);
  return (bits + size - 1) / size * kHadamardRounds * size;
}

// Expands `count` packed sign bits (bit i in byte i / 8 at i % 8; 1 means minus) to the words that
// the encoder reads: 0x80000000 for minus, 0 for plus.
void PackHadamardSigns(const uint8_t* sign_bits, size_t count, uint32_t* signs);

// Writes the codes of rows x dim embeddings: row r at x + r * x_stride (floats), its code at
// codes + r * code_stride (bytes), (bits + 7) / 8 bytes, bit j in byte j / 8 at j % 8, tail 0.
// With P = HadamardSize(dim), bits [g * P, (g + 1) * P) are those of y_j > 0, where y starts as the
// row and P - dim zeros, and for round r = 0, 1, 2
//   y_i changes its sign if sign (g * 3 + r) * P + i is minus, then
//   for h = 1, 2, 4, ..., P / 2 (in round 1: P / 2, ..., 2, 1) each pair (y_i, y_(i + h)), i & h
//   == 0, becomes (y_i + y_(i + h), y_i - y_(i + h)) in float32.
// Every sum is one rounding of two values in a fixed order, so codes are the same bits on every
// target. 0, -0.0 and NaN give 0. A row with a NaN or an infinity has code 0: the second round
// subtracts infinities from each other. Rows of length below 2^127 / P^1.5 cannot overflow; what is
// larger may become infinite on the way and then count as such.
// Preconditions: 1 <= dim <= 4096, bits >= 1; x_stride >= dim; code_stride >= (bits + 7) / 8; no
// overlap. `signs` are HadamardSignCount(dim, bits) words from PackHadamardSigns; no alignment is
// required, 64 bytes is faster.
void HadamardEncode(const float* x, size_t rows, size_t dim, size_t x_stride, const uint32_t* signs,
                    size_t bits, uint8_t* codes, size_t code_stride);

}  // namespace eta::simd
