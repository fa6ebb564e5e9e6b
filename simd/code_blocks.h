// SPDX-License-Identifier: Apache-2.0
// Code blocks: the layout in which codes are scanned. A block holds 64 codes in byte planes: byte p
// of code i lies at blocks[(i / 64) * 64 * code_bytes + p * 64 + i % 64]. One XOR, byte popcount
// and byte add per plane give 64 distances in lane order, without a shuffle.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/views.h"

namespace eta::simd {

inline constexpr size_t kBlockRows = 64;

// Blocks that n rows take, the last one perhaps in part.
constexpr size_t NumBlocks(size_t n) { return (n + kBlockRows - 1) / kBlockRows; }

// n rounded up to whole blocks: the number of distances or scores that a scan writes.
constexpr size_t PaddedRows(size_t n) { return NumBlocks(n) * kBlockRows; }

// Bytes that the blocks of n codes take.
constexpr size_t CodeBlocksBytes(size_t n, size_t code_bytes) { return PaddedRows(n) * code_bytes; }

// n codes of code_bytes bytes each, oldest first, in CodeBlocksBytes(n, code_bytes) bytes of any
// alignment (64 bytes is fastest).
struct CodeBlocksView {
  const uint8_t* data;
  size_t n;
  size_t code_bytes;
};

// Lays out codes.count codes of codes.width >= 1 bytes as code blocks. Writes
// CodeBlocksBytes(codes.count, codes.width) bytes at `blocks`, which must not overlap the codes.
// The unused rows of the last block become 0; no kernel depends on them.
void PackCodeBlocks(const RowsView<uint8_t>& codes, uint8_t* blocks);

// The same for the codes of a list of items: code i is row ids.data[i] of `table`. Writes
// CodeBlocksBytes(ids.count, table.width) bytes; reads exactly table.width bytes per id.
void GatherCodeBlocks(const RowsView<uint8_t>& table, IdsView ids, uint8_t* blocks);

// Writes the code_bytes bytes at `code` as the code of row i, which may be the next row: `blocks`
// must have CodeBlocksBytes(i + 1, code_bytes) bytes.
inline void SetBlockCode(uint8_t* blocks, size_t code_bytes, size_t i, const uint8_t* code) {
  uint8_t* block = blocks + (i / kBlockRows) * kBlockRows * code_bytes + i % kBlockRows;
  for (size_t p = 0; p < code_bytes; ++p) block[p * kBlockRows] = code[p];
}

// Reads the code of row i into the code_bytes bytes at `code`.
inline void GetBlockCode(const uint8_t* blocks, size_t code_bytes, size_t i, uint8_t* code) {
  const uint8_t* block = blocks + (i / kBlockRows) * kBlockRows * code_bytes + i % kBlockRows;
  for (size_t p = 0; p < code_bytes; ++p) code[p] = block[p * kBlockRows];
}

}  // namespace eta::simd
