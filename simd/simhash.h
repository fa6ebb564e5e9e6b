// SPDX-License-Identifier: Apache-2.0
// SimHash: bits that are the signs of projections on hyperplanes (Charikar, "Similarity estimation
// techniques from rounding algorithms", 2002; ETA, arXiv 2108.04468, section 3).
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Hyperplanes of a panel: the bits of one 64-bit word.
inline constexpr size_t kPanelBits = 64;

// Bytes of a code of `bits` bits.
constexpr size_t CodeBytes(size_t bits) { return bits / 8 + (bits % 8 != 0 ? 1 : 0); }

// Floats that PackHyperplanes writes: `bits` rounded up to whole panels.
constexpr size_t PackedHyperplanesSize(size_t dim, size_t bits) {
  const size_t panels = bits / kPanelBits + (bits % kPanelBits != 0 ? 1 : 0);
  return SaturatingProduct(SaturatingProduct(dim, panels), kPanelBits);
}

// Hyperplanes as PackHyperplanes lays them out: a dim x bits matrix R.
struct PackedHyperplanes {
  const float* data;
  size_t dim;
  size_t bits;
};

// Reorders the dim x bits matrix `planes`, `dim` rows of `bits` floats, into panels of 64
// hyperplanes: element (d, b) goes to packed[((b / 64) * dim + d) * 64 + b % 64], and columns past
// `bits` become 0. Writes PackedHyperplanesSize(dim, bits) floats. Preconditions: dim, bits >= 1;
// no overlap. Any alignment of `packed`; SimHashEncode is fastest where it is 64 bytes.
ETA_SIMD_API void PackHyperplanes(const RowsView<float>& planes, float* packed);

// Writes the code of row r of x at codes + r * code_stride: CodeBytes(planes.bits) bytes, bit j in
// byte j / 8 at j % 8, tail bits 0. Bit j is 1 iff sum_d x_r[d] * R[d][j] > 0, where the sum starts
// at 0 and adds d = 0, 1, ... by fused multiply-add in float32: the same bits on every target. 0,
// -0.0 and NaN sums give 0.
// Preconditions: planes.dim, planes.bits >= 1; x.width == planes.dim; x.stride >= x.width;
// code_stride >= CodeBytes(planes.bits); `codes` overlaps nothing that is read. Any alignment.
ETA_SIMD_API void SimHashEncode(const RowsView<float>& x, const PackedHyperplanes& planes,
                                uint8_t* codes, size_t code_stride);

}  // namespace eta::simd
