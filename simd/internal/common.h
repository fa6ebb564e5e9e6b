// SPDX-License-Identifier: Apache-2.0
// What kernels share that needs no SIMD: the layout of the scratch that a caller hands them, which
// may have any alignment, top-K calls that need no scan, and the planes of code blocks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/views.h"

namespace eta::simd {

// A cache line, and the largest vector that is loaded or stored aligned.
inline constexpr size_t kCacheLineBytes = 64;

constexpr size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// The first multiple of `alignment` bytes at or after p: at most alignment - 1 bytes are skipped,
// for which the scratch must have room.
inline void* AlignUp(void* p, size_t alignment) {
  return reinterpret_cast<void*>(RoundUp(reinterpret_cast<uintptr_t>(p), alignment));
}

// The floats that start at the first cache line of the scratch.
inline float* AlignedFloats(void* scratch) {
  return static_cast<float*>(AlignUp(scratch, kCacheLineBytes));
}

// Answers a call that needs no comparison, and says whether it was one: there are no rows or no
// queries, or all n <= k rows are wanted in any order without their values. Then every result row
// is 0 to n - 1. Histories of up to K behaviours are common: on MovieLens more than half.
template <typename Value>
bool AnsweredWithoutScan(size_t n, size_t num_queries, const TopKOptions& options,
                         const TopKResult<Value>& result) {
  if (n == 0 || num_queries == 0) return true;
  if (n > options.k || options.order != ResultOrder::kAny || result.values != nullptr) return false;
  for (size_t q = 0; q < num_queries; ++q) {
    int32_t* positions = result.positions + q * options.k;
    for (size_t i = 0; i < n; ++i) positions[i] = static_cast<int32_t>(i);
  }
  return true;
}

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
