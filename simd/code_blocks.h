// SPDX-License-Identifier: Apache-2.0
// Code blocks: the scan layout. 64 codes a block, byte-planar: byte p of code i lies at
// blocks[(i / 64) * 64 * code_bytes + p * 64 + i % 64]. One XOR, byte popcount and byte add per
// plane gives 64 distances in lane order with no shuffle.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::simd {

inline constexpr size_t kBlockRows = 64;

constexpr size_t NumBlocks(size_t n) { return (n + kBlockRows - 1) / kBlockRows; }
constexpr size_t PaddedRows(size_t n) { return NumBlocks(n) * kBlockRows; }
constexpr size_t CodeBlocksBytes(size_t n, size_t code_bytes) { return PaddedRows(n) * code_bytes; }

// Lays out n codes (code i at codes + i * stride) as CodeBlocksBytes(n, code_bytes) bytes at
// `blocks`. The unused rows of the last block are written as 0; no kernel depends on them.
void PackCodeBlocks(const uint8_t* codes, size_t n, size_t code_bytes, size_t stride,
                    uint8_t* blocks);

// The same for the codes of a list of item ids: code i is table + ids[i] * stride. Reads exactly
// code_bytes bytes per id. Precondition: every id names a row of the table.
void GatherCodeBlocks(const uint8_t* table, size_t code_bytes, size_t stride, const int32_t* ids,
                      size_t n, uint8_t* blocks);

// Writes the code of row `i` in place: an append when i is the next row, a re-hash otherwise.
inline void SetBlockCode(uint8_t* blocks, size_t code_bytes, size_t i, const uint8_t* code) {
  uint8_t* block = blocks + (i / kBlockRows) * kBlockRows * code_bytes + i % kBlockRows;
  for (size_t p = 0; p < code_bytes; ++p) block[p * kBlockRows] = code[p];
}

// Reads the code of row `i` back.
inline void GetBlockCode(const uint8_t* blocks, size_t code_bytes, size_t i, uint8_t* code) {
  const uint8_t* block = blocks + (i / kBlockRows) * kBlockRows * code_bytes + i % kBlockRows;
  for (size_t p = 0; p < code_bytes; ++p) code[p] = block[p * kBlockRows];
}

}  // namespace eta::simd
