// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::bench {

// The int8 products of the active SIMD target in registers: VPDPBUSD on AVX3_DL, elsewhere a 16-bit
// pair product and a 32-bit sum, in independent chains. Returns how many multiply-adds it did.
uint64_t LimitI8Dot(size_t rounds, int32_t* result);

}  // namespace eta::bench
