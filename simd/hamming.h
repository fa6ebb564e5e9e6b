// SPDX-License-Identifier: Apache-2.0
// Hamming distances and top-K over code blocks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/code_blocks.h"
#include "simd/topk.h"

namespace eta::simd {

inline constexpr size_t kMaxByteDistanceCodeBytes = 31;  // 248 bits: the distance fits a byte

// distances[i] = number of differing bits between `query` (code_bytes bytes) and code i of
// `blocks`. Writes PaddedRows(n) values, of which the first n mean something. The byte form needs
// code_bytes <= kMaxByteDistanceCodeBytes, the other code_bytes <= 8,191.
void HammingDistances(const uint8_t* blocks, size_t n, size_t code_bytes, const uint8_t* query,
                      uint8_t* distances);
void HammingDistances(const uint8_t* blocks, size_t n, size_t code_bytes, const uint8_t* query,
                      uint16_t* distances);

// Bytes of scratch that HammingTopK needs, whatever the number of queries. Any alignment; 64 bytes
// is faster. Contents need not be initialised and mean nothing afterwards.
size_t HammingTopKScratchBytes(size_t n, size_t code_bytes, size_t k);

struct HammingTopKResult {
  int32_t* positions;   // num_queries x k: row q starts at positions + q * k
  uint16_t* distances;  // num_queries x k, or null when not wanted
};

// For each query code (query q at queries + q * query_stride) the min(k, n) positions nearest by
// Hamming distance; ties at the border go to the positions that come first in `ties`.
// Returns min(k, n), the number of valid entries in every row; the rest of a row is left untouched.
// Preconditions: code_bytes in [1, 512]; n < 2^31; k >= 1; scratch of HammingTopKScratchBytes.
size_t HammingTopK(const uint8_t* blocks, size_t n, size_t code_bytes, const uint8_t* queries,
                   size_t num_queries, size_t query_stride, size_t k, TieOrder ties,
                   ResultOrder order, void* scratch, HammingTopKResult result);

}  // namespace eta::simd
