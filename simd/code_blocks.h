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
constexpr size_t CodeBlocksBytes(size_t n, size_t code_bytes) {
  return SaturatingProduct(PaddedRows(n), code_bytes);
}

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

// Copies the rows.n codes to the blocks at `copy`, of CodeBlocksBytes(rows.n, rows.code_bytes)
// bytes; unused rows of its last block become 0. Reads these codes and nothing else, which a scan
// does not promise. So one thread may append while others copy and scan what they copied, without a
// lock, given blocks with room for all codes and a std::atomic<size_t> count:
//   append:  const size_t n = count.load(std::memory_order_relaxed);
//            SetBlockCode(blocks, code_bytes, n, code);
//            count.store(n + 1, std::memory_order_release);
//   scan:    const size_t n = count.load(std::memory_order_acquire);
//            CopyCodeBlocks({blocks, n, code_bytes}, copy);
// A code that was counted must not be written again while others may copy it.
ETA_SIMD_API void CopyCodeBlocks(const CodeBlocksView& rows, uint8_t* copy);

}  // namespace eta::simd
