// SPDX-License-Identifier: Apache-2.0
// SimHash with structured hyperplanes: random signs and fast Walsh-Hadamard transforms take the
// place of a dense product, bits * log2(dim) steps instead of bits * dim (Ailon and Chazelle, "The
// fast Johnson-Lindenstrauss transform", 2009; Andoni et al., "Practical and optimal LSH for
// angular distance", 2015, who found three rounds enough).
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

inline constexpr size_t kHadamardRounds = 3;
inline constexpr size_t kHadamardMinSize = 64;
inline constexpr size_t kHadamardMaxSize = 4096;  // of a transform: buffers are on the stack

// Size of the transforms: the power of two >= dim. At least 64, so that bit groups fill words and
// hyperplanes stay distinct.
constexpr size_t HadamardSize(size_t dim) {
  size_t size = kHadamardMinSize;
  while (size < dim && size <= SIZE_MAX / 2) size *= 2;
  return size;
}

// Random signs that codes of `bits` bits need: kHadamardRounds * HadamardSize(dim) for each group
// of HadamardSize(dim) bits, the last of which may be used in part.
constexpr size_t HadamardSignCount(size_t dim, size_t bits) {
  const size_t size = HadamardSize(dim);
  const size_t groups = bits / size + (bits % size != 0 ? 1 : 0);
  return SaturatingProduct(SaturatingProduct(groups, kHadamardRounds), size);
}

// Signs as PackHadamardSigns lays them out, for codes of `bits` bits: HadamardSignCount(dim, bits)
// words.
struct HadamardSigns {
  const uint32_t* signs;
  size_t bits;
};

// Expands `count` packed sign bits (bit i in byte i / 8 at i % 8; 1 means minus) to the words that
// the encoder reads: 0x80000000 for minus, 0 for plus. Any alignment; HadamardEncode is fastest
// where `signs` is aligned to 64 bytes.
ETA_SIMD_API void PackHadamardSigns(const uint8_t* sign_bits, size_t count, uint32_t* signs);

// Writes the code of row r of x at codes + r * code_stride: (bits + 7) / 8 bytes, bit j in byte
// j / 8 at j % 8, tail bits 0. With dim = x.width and P = HadamardSize(dim), bits [g * P, (g + 1) *
// P) are those of y_j > 0, where y starts as the row and P - dim zeros, and for round r = 0, 1, 2
//   y_i changes its sign if sign (g * 3 + r) * P + i is minus, then
//   for h = 1, 2, 4, ..., P / 2 (in round 1: P / 2, ..., 2, 1) each pair (y_i, y_(i + h)), i & h
//   == 0, becomes (y_i + y_(i + h), y_i - y_(i + h)) in float32.
// Every sum is one rounding of two values in a fixed order, so codes are the same bits on every
// target. 0, -0.0 and NaN give 0. A row with a NaN or an infinity has code 0: the second round
// subtracts infinities from each other. Rows of length below 2^127 / P^1.5 cannot overflow; in
// longer rows a sum may become infinite, which counts as an infinity in the row.
// Preconditions: 1 <= x.width <= kHadamardMaxSize; bits >= 1; x.stride >= x.width;
// code_stride >= (bits + 7) / 8; `codes` overlaps nothing that is read. Any alignment. Uses
// 36 KB of stack.
ETA_SIMD_API void HadamardEncode(const RowsView<float>& x, const HadamardSigns& signs,
                                 uint8_t* codes, size_t code_stride);

}  // namespace eta::simd
