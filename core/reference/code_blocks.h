// SPDX-License-Identifier: Apache-2.0
// The scalar twin of the layouts in simd/code_blocks.h and simd/dot.h, written as index formulas.
// Both cut the rows into blocks of 64 and transpose each block, so that a vector load at one byte
// or dimension brings in as many rows as it has lanes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace eta::reference {

inline constexpr size_t kRowsPerBlock = 64;

// n rounded up to whole blocks.
size_t RoundUpToBlocks(size_t n);

// Where byte `p` of code `i` lies among blocks of codes of `code_bytes` bytes. The same formula,
// with dimensions in place of bytes, holds for blocks of floats.
size_t BlockIndex(size_t i, size_t p, size_t code_bytes);

// Blocks of the codes that lie one after another in `codes`. Unused rows of the last block are 0.
std::vector<uint8_t> PackCodeBlocks(std::span<const uint8_t> codes, size_t code_bytes);

// Blocks of the codes of a list of items: code i is row ids[i] of `table`.
std::vector<uint8_t> GatherCodeBlocks(std::span<const uint8_t> table, size_t code_bytes,
                                      std::span<const int32_t> ids);

// Blocks of rows of `dim` floats that lie one after another in `rows`.
std::vector<float> PackFloatBlocks(std::span<const float> rows, size_t dim);

// Blocks of the embeddings of a list of items: row i is row ids[i] of `table`.
std::vector<float> GatherFloatBlocks(std::span<const float> table, size_t dim,
                                     std::span<const int32_t> ids);

}  // namespace eta::reference
