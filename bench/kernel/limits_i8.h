// SPDX-License-Identifier: Apache-2.0
// The limit of int8 inner products; see bench/kernel/limits.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::bench {

// Independent chains of int8 products in registers: VPDPBUSD where the active SIMD target has it,
// elsewhere a product of 16-bit pairs and a 32-bit sum. They start from *result, which becomes a
// value that depends on all of them. Returns the number of multiply-adds.
uint64_t LimitI8Dot(size_t rounds, int32_t* result);

}  // namespace eta::bench
