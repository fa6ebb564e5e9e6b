// SPDX-License-Identifier: Apache-2.0
// Hamming distances and top-K over code blocks: the retrieval step of ETA (Chen et al., arXiv
// 2108.04468, section 3.2).
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// The widest codes whose distances fit a byte: 248 bits.
inline constexpr size_t kMaxByteDistanceCodeBytes = 31;

// distances[i] = number of differing bits between `query` (rows.code_bytes bytes) and code i.
// Writes PaddedRows(rows.n) values: the first rows.n are valid, the rest unspecified. The byte form
// needs code_bytes <= kMaxByteDistanceCodeBytes, the other code_bytes <= 8,191. Any alignment.
ETA_SIMD_API void HammingDistances(const CodeBlocksView& rows, const uint8_t* query,
                                   uint8_t* distances);
ETA_SIMD_API void HammingDistances(const CodeBlocksView& rows, const uint8_t* query,
                                   uint16_t* distances);

// Bytes of scratch that HammingTopK needs, for any number of queries. Any alignment; 64 bytes is
// fastest. The contents need not be initialised and are unspecified afterwards.
ETA_SIMD_API size_t HammingTopKScratchBytes(size_t n, size_t code_bytes, size_t k);

// For each query code of rows.code_bytes bytes, the min(options.k, rows.n) positions nearest by
// Hamming distance. Among equal distances the positions that come first in options.ties are taken.
// Returns min(k, n), the number of valid entries in every result row; the rest of a row is left
// untouched. Exact on every target. `scratch` has HammingTopKScratchBytes(n, code_bytes, k) bytes
// and is not kept. Uses up to 16 KB of stack. Preconditions: code_bytes in [1, 512]; n < 2^31;
// k >= 1.
ETA_SIMD_API size_t HammingTopK(const CodeBlocksView& rows, const Queries<uint8_t>& queries,
                                const TopKOptions& options, ScratchView scratch,
                                const TopKResult<uint16_t>& result);

}  // namespace eta::simd
