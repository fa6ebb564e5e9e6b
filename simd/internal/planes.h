// SPDX-License-Identifier: Apache-2.0
// The planes of code blocks that a kernel scans, which may be fewer than a block has.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/views.h"

namespace eta::simd {

// The first code_bytes planes of each of num_blocks blocks, block b at data + b * block_bytes.
struct PlanesView {
  const uint8_t* data;
  size_t num_blocks;
  size_t code_bytes;
  size_t block_bytes;
};

// All planes of code blocks.
inline PlanesView AllPlanes(const CodeBlocksView& rows) {
  return {rows.data, NumBlocks(rows.n), rows.code_bytes, rows.code_bytes * kBlockRows};
}

}  // namespace eta::simd
