// SPDX-License-Identifier: Apache-2.0
// How kernels lay out the scratch that a caller hands them, which may have any alignment.
#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace eta::simd
