// SPDX-License-Identifier: Apache-2.0
// Which instruction set (Highway target) the kernels run, and how tests and benchmarks force
// another. A target is one HWY_* bit of an int64_t.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"

namespace eta::simd {

// The targets that are compiled into this library and supported by this CPU, as a set of bits. A
// forced target does not change it.
ETA_SIMD_API int64_t SupportedTargets();

// The targets compiled into this library, supported by this CPU or not, as a set of bits.
ETA_SIMD_API int64_t CompiledTargets();

// What instructions a target has. Ask for these, not for a target by name: later Highway versions
// have supersets of a target under other names (AVX3_ZEN4 and AVX3_SPR are more than AVX3_DL).
struct Capabilities {
  bool fma;     // fused multiply-add; else it is emulated exactly, which is many times slower
  bool avx2;    // x86: vectors of 32 bytes
  bool avx512;  // x86: vectors of 64 bytes and mask registers (F, BW, CD, DQ, VL)
  bool byte_popcount;  // one instruction counts the bits of each byte (AVX-512 BITALG, Arm)
  bool vbmi2;          // AVX-512: bytes are compressed
  bool vnni;           // AVX-512: products of bytes are summed
};

// Those of the target whose code the kernels run now.
ETA_SIMD_API Capabilities ActiveCapabilities();

// Name of one target, such as "AVX3_DL"; "Unknown" for anything else. The string is static.
ETA_SIMD_API const char* TargetName(int64_t target);

// The target whose code the kernels run now.
ETA_SIMD_API int64_t ActiveTarget();

// Makes the process run the named target ("AVX2", case sensitive), or the best one again for null
// or an empty name. Returns false and changes nothing when the target is not compiled in or not
// supported by the CPU. The choice is Highway's own and global: it acts on every user of Highway in
// the process that shares its library, not on these kernels alone. For tests and benchmarks, and at
// the start of a program; no other thread may run code of Highway meanwhile.
ETA_SIMD_API bool ForceTargetForTest(const char* name);

}  // namespace eta::simd
