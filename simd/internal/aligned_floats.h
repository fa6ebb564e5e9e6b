// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace eta::simd {

// The first cache line at or after p, of scratch that is 64 bytes larger than what is kept there.
inline float* AlignedFloats(void* p) {
  constexpr uintptr_t kBytes = 64;
  return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(p) + kBytes - 1) / kBytes * kBytes);
}

}  // namespace eta::simd
