// SPDX-License-Identifier: Apache-2.0
// What this machine can do at best: the same loads and arithmetic as the kernels, without their
// output and without anything else. Each runs the SIMD target that is active.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::bench {

// Reads `bytes` bytes (a multiple of 512) with vector loads. Returns a value that depends on all.
uint64_t LimitLoad(const uint8_t* data, size_t bytes);

// Load, XOR, byte popcount and byte add over `bytes` bytes (a multiple of 512): a Hamming scan
// whose sums stay in registers.
uint64_t LimitPopcount(const uint8_t* data, size_t bytes, uint8_t query);

// Load, two byte shuffles of 16-byte tables (by the lower and the upper four bits) and two byte
// adds over `bytes` bytes (a multiple of 512): the scan of simd/asym.h with its tables and sums in
// registers. Reads 32 bytes at `tables`.
uint64_t LimitLookup(const uint8_t* data, size_t bytes, const uint8_t* tables);

// Independent float32 FMAs in registers; returns how many multiply-adds (lanes) it did.
uint64_t LimitFma(size_t rounds, float* result);

// Reads one word of every cache line of n rows of a table, in the order of `ids`: what a gather of
// codes cannot do without. Row id at table + id * row_bytes. Not specific to a SIMD target.
uint64_t LimitRandomRead(const uint8_t* table, size_t row_bytes, const int32_t* ids, size_t n);

}  // namespace eta::bench
