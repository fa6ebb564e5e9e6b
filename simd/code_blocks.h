// SPDX-License-Identifier: Apache-2.0
// Code blocks: the layout in which codes are scanned. A block holds 64 codes in byte planes: byte p
// of code i lies at blocks[(i / 64) * 64 * code_bytes + p * 64 + i % 64]. One XOR, byte popcount
// and byte add per plane give 64 distances in lane order, without a shuffle. views.h has the view.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Bytes that the blocks of n codes take.
constexpr size_t CodeBlocksBytes(size_t n, size_t code_bytes) { return PaddedRows(n) * code_bytes; }

// Lays out codes.count codes of codes.width >= 1 bytes as code blocks. Writes
// CodeBlocksBytes(codes.count, codes.width) bytes at `blocks`, which must not overlap the codes.
// The unused rows of the last block become 0; no kernel depends on them.
ETA_SIMD_API void PackCodeBlocks(const RowsView<uint8_t>& codes, uint8_t* blocks);

// The same for the codes of a list of items: code i is row ids.data[i] of `table`. Writes
// CodeBlocksBytes(ids.count, table.width) bytes; reads exactly table.width bytes per id.
ETA_SIMD_API void GatherCodeBlocks(const RowsView<uint8_t>& table, IdsView ids, uint8_t* blocks);

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
