// SPDX-License-Identifier: Apache-2.0
// Top-K over product codes of 4 bits: a code is, for each of 2 * code_bytes subspaces, the number
// of one of 16 centroids (Jegou, Douze and Schmid, "Product quantization for nearest neighbor
// search", TPAMI 2011). Byte p of a code holds subspace 2p in its lower half and 2p + 1 in its
// upper half. What a query makes of each centroid is a byte in a table of 16, which a byte shuffle
// looks up for all rows of a vector at once (Andre, Kermarrec and Le Scouarnec, "Cache locality is
// not enough: High-performance nearest neighbor search with product quantization fast scan", VLDB
// 2015). pq4_encode.h makes codes and tables.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// The largest entry of a table: four of them fit a byte.
inline constexpr size_t kPq4MaxEntry = 63;

// Up to 128 bits penalties are ranked as bytes, longer codes in 16 bits.
inline constexpr size_t kPq4MaxByteCodeBytes = 16;

// Bytes of the tables of a query: 16 for each subspace, in order.
constexpr size_t Pq4TableBytes(size_t code_bytes) { return SaturatingProduct(code_bytes, 32); }

// penalties[i] = the sum over the subspaces s of tables[16 s + code of row i there]; the byte form
// gives 255 for sums of 255 or more, and needs code_bytes <= kPq4MaxByteCodeBytes. Writes
// PaddedRows(rows.n) values: the first rows.n are valid, the rest unspecified. Preconditions:
// code_bytes in [1, 512]; Pq4TableBytes(code_bytes) entries of at most kPq4MaxEntry. Any alignment.
ETA_SIMD_API void Pq4Penalties(const CodeBlocksView& rows, const uint8_t* tables,
                               uint8_t* penalties);
ETA_SIMD_API void Pq4Penalties(const CodeBlocksView& rows, const uint8_t* tables,
                               uint16_t* penalties);

// Bytes of scratch that Pq4TopK needs, for any number of queries. Any alignment; 64 bytes is
// fastest. The contents need not be initialised and are unspecified afterwards.
ETA_SIMD_API size_t Pq4TopKScratchBytes(size_t n, size_t code_bytes, size_t k);

// For each query (Pq4TableBytes(rows.code_bytes) bytes of tables) the min(options.k, rows.n)
// positions of smallest penalty, with the order, ties, results and preconditions of HammingTopK;
// the values are whole penalties, also where they do not fit a byte. `scratch` has
// Pq4TopKScratchBytes(n, code_bytes, k) bytes and is not kept. Uses 17 KB of stack.
ETA_SIMD_API size_t Pq4TopK(const CodeBlocksView& rows, const Queries<uint8_t>& tables,
                            const TopKOptions& options, ScratchView scratch,
                            const TopKResult<uint16_t>& result);

}  // namespace eta::simd
