// SPDX-License-Identifier: Apache-2.0
// SimHash: the sign of projections on hyperplanes (Charikar 2002; ETA, arXiv 2108.04468, section
// 3).
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::simd {

inline constexpr size_t kPanelBits = 64;  // hyperplanes that lie together in packed form

// Bytes of a code of `bits` bits.
constexpr size_t CodeBytes(size_t bits) { return (bits + 7) / 8; }

// Floats that PackHyperplanes writes.
constexpr size_t PackedHyperplanesSize(size_t dim, size_t bits) {
  return dim * ((bits + kPanelBits - 1) / kPanelBits) * kPanelBits;
}

// Reorders a dim x bits matrix (element (d, b) at planes[d * stride + b]) into panels of 64
// hyperplanes: element (d, b) goes to packed[((b / 64) * dim + d) * 64 + b % 64], and columns past
// `bits` become 0.
void PackHyperplanes(const float* planes, size_t dim, size_t bits, size_t stride, float* packed);

// Writes the codes of rows x dim embeddings: row r at x + r * x_stride (floats), its code at
// codes + r * code_stride (bytes), CodeBytes(bits) bytes, bit j in byte j / 8 at j % 8, tail 0.
// Bit j is 1 iff sum_d x[d] * R[d][j] > 0, where the sum starts at 0 and adds d = 0, 1, ... by
// fused multiply-add in float32: the same bits on every target. 0, -0.0 and NaN sums give 0.
// Preconditions: dim, bits >= 1; x_stride >= dim; code_stride >= CodeBytes(bits); no overlap.
// `packed` comes from PackHyperplanes; no alignment is required, 64 bytes is faster.
void SimHashEncode(const float* x, size_t rows, size_t dim, size_t x_stride, const float* packed,
                   size_t bits, uint8_t* codes, size_t code_stride);

}  // namespace eta::simd
