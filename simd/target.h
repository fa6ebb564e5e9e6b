// SPDX-License-Identifier: Apache-2.0
// Which instruction set (Highway target) the kernels run, and how to force one: for tests, for
// benchmarks of a lesser CPU, and to rule a target out. A target is one HWY_* bit of an int64_t.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::simd {

// The targets that are compiled into this library and supported by this CPU, as a set of bits. A
// forced target does not change it.
int64_t SupportedTargets();

// The targets compiled into this library, supported by this CPU or not, as a set of bits.
int64_t CompiledTargets();

// Name of one target, such as "AVX3_DL"; "Unknown" for anything else. The string is static.
const char* TargetName(int64_t target);

// The target whose code the kernels run now.
int64_t ActiveTarget();

// Makes all kernels of the process run the named target ("AVX2", case sensitive), or the best one
// again for null or an empty name. Returns false and changes nothing when the target is not
// compiled in or not supported by the CPU. No other thread may run kernels meanwhile.
bool ForceTarget(const char* name);

}  // namespace eta::simd
