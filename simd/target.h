// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::simd {

// Highway targets (HWY_* bits) that are both compiled into this library and supported by this CPU.
int64_t SupportedTargets();

// Highway targets compiled into this library, supported here or not.
int64_t CompiledTargets();

// Name of one target bit, such as "AVX3_DL"; "Unknown" for anything else.
const char* TargetName(int64_t target);

// The target whose code the kernels run now.
int64_t ActiveTarget();

// Makes all kernels run the named target ("AVX2", case sensitive), or the best one again for null
// or an empty name. False, changing nothing, when the target is not compiled in or not supported by
// the CPU. Not for use while other threads run kernels.
bool ForceTarget(const char* name);

}  // namespace eta::simd
