// SPDX-License-Identifier: Apache-2.0
// What this machine can do at best: the loads and arithmetic of a kernel, without its output and
// without anything else. Each function runs on the active SIMD target. What it returns depends on
// all that it did, so that the compiler cannot drop any of it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::bench {

// Reads `bytes` bytes (a multiple of 512) with vector loads.
uint64_t LimitLoad(const uint8_t* data, size_t bytes);

// Load, XOR, byte popcount and byte add over `bytes` bytes (a multiple of 512): a Hamming scan that
// keeps its sums in registers.
uint64_t LimitPopcount(const uint8_t* data, size_t bytes, uint8_t query);

// Load, two lookups in 16-byte tables (by the lower and by the upper four bits of each byte) and
// two byte adds over `bytes` bytes (a multiple of 512): a scan of simd/asym.h that keeps its tables
// and sums in registers. Reads 32 bytes at `tables`.
uint64_t LimitLookup(const uint8_t* data, size_t bytes, const uint8_t* tables);

// Independent chains of float32 FMAs in registers, starting from *result, which becomes a value
// that depends on all of them. Returns the number of multiply-adds, one a lane.
uint64_t LimitFma(size_t rounds, float* result);

// Reads one word of every cache line of n rows of a table, in the order of `ids`: the least that a
// gather of codes must do. Row id starts at table + id * row_bytes. The same for every SIMD target.
uint64_t LimitRandomRead(const uint8_t* table, size_t row_bytes, const int32_t* ids, size_t n);

}  // namespace eta::bench
