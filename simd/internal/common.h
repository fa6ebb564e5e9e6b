// SPDX-License-Identifier: Apache-2.0
// What all kernels share: which Highway targets they are compiled for, what each of them can do,
// which compiler flags are refused, and how preconditions are checked; then, without SIMD, the
// layout of the scratch that a caller hands them, which may have any alignment, top-K calls that
// need no scan, and the planes of code blocks. Include it before any Highway header. Every file
// that includes Highway needs the same settings: each file has its own table of targets, and one
// that lacks a target silently runs a lesser one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/views.h"

// Codes, scores and ties are promised bit for bit, NaN and infinities included. GCC takes back its
// claim of IEC 559 for any part of -ffast-math that changes results, such as -freciprocal-math;
// clang hides the parts but -ffinite-math-only. Contraction changes nothing: kernels fuse where
// they say so, products that they add otherwise are exact, and tests/copy/run.sh compares the
// results.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    (defined(__GCC_IEC_559) && __GCC_IEC_559 == 0)
#error "simd/ does not work with -ffast-math, -Ofast or any part of them that changes results"
#endif

// Compile every target that the compiler knows and the portable fallback, even those below the
// compiler's own baseline: tests run all of them, and ETA_SIMD_TARGET can force any of them.
#ifndef HWY_COMPILE_ALL_ATTAINABLE
#define HWY_COMPILE_ALL_ATTAINABLE
#endif

// Highway leaves AVX3_DL out unless asked (AVX-512 with VPOPCNTDQ, BITALG and VBMI2: Ice Lake,
// Zen 4 and later). There a byte popcount is one instruction; on AVX3 it takes about six.
#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif

// Leave out SSE2 (bit 14 on x86). The last CPUs that have it but not SSSE3 were sold about 2012;
// those run EMU128. SSSE3 is for virtual machines: Highway's SSE4 also asks for AES and PCLMUL, and
// where a hypervisor hides them EMU128 would be left.
#if !defined(HWY_DISABLED_TARGETS) && (defined(__x86_64__) || defined(__i386__))
#define HWY_DISABLED_TARGETS (1LL << 14)
#endif

// Keep EMU128 as the portable fallback on all compilers. Before GCC 12.3 Highway replaces it by the
// one-lane SCALAR target, because GCC bug 106322 vectorises the high half of products wrongly. No
// kernel here takes the high half of a product, and the tests compare EMU128 with the scalar twins.
#ifndef HWY_BROKEN_EMU128
#define HWY_BROKEN_EMU128 0
#endif

// What the target at hand can do. Kernels ask for a capability, never for a target by name: later
// Highway versions put supersets of a target above it (AVX3_ZEN4 and AVX3_SPR above AVX3_DL).
// Better targets have smaller numbers. The macros are expanded, once per target, where they stand.

// No vector instructions: Highway's vectors are arrays.
#define ETA_SIMD_IS_EMULATED (HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR)
// Highway's vectors hold one x86 register, .raw.
#define ETA_SIMD_HAS_X86_VECTORS (HWY_ARCH_X86 && !ETA_SIMD_IS_EMULATED)
// AVX2 and SVE: hn::MaskedLoad leaves the masked-off lanes alone. Elsewhere it loads all, then
// blends.
#define ETA_SIMD_HAS_MASKED_LOAD (HWY_HAVE_SCALABLE || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2))
// AVX-512: masks are registers of bits.
#define ETA_SIMD_HAS_MASK_REGISTERS (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
// AVX-512 VBMI2: 8- and 16-bit lanes can be compressed, and bytes permuted across a vector.
#define ETA_SIMD_HAS_BYTE_COMPRESS (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL)
// AVX-512 VNNI: four products of bytes are added to a 32-bit lane by one instruction.
#define ETA_SIMD_HAS_VNNI (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL)
// AVX-512 BITALG, NEON, SVE: one instruction counts the bits of each byte.
#define ETA_SIMD_HAS_BYTE_POPCOUNT \
  ((HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL) || (HWY_ARCH_ARM && !ETA_SIMD_IS_EMULATED))
// BMI2: bits of a word are scattered to set bits of another (PDEP).
#define ETA_SIMD_HAS_BIT_SCATTER (HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX2)
// AVX2: vectors of 32 bytes, and 32-bit lanes permuted across them.
#define ETA_SIMD_HAS_WIDE_VECTORS (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2)
// AVX-512 and SVE: one instruction compresses 32-bit lanes.
#define ETA_SIMD_HAS_COMPRESS (ETA_SIMD_HAS_MASK_REGISTERS || HWY_HAVE_SCALABLE)

// Checks a precondition in builds without NDEBUG, optimised or not, and with ETA_SIMD_CHECKED: ends
// the process with the condition, file and line.
#if !defined(NDEBUG) || defined(ETA_SIMD_CHECKED)
#define ETA_SIMD_REQUIRE(condition) HWY_ASSERT(condition)
#else
#define ETA_SIMD_REQUIRE(condition) static_cast<void>(sizeof(!(condition)))
#endif

namespace eta::simd {

// A cache line, and the largest vector that is loaded or stored aligned.
inline constexpr size_t kCacheLineBytes = 64;

constexpr size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// All bits set if the condition holds, else none. Compilers do not see through it and so make no
// branch of it, which in a search by halves would be wrong every other time: with one, requests for
// the Hamming top-K of 64 bits and L 1,024 take 1.2 times the time (Zen 4, GCC 12).
inline size_t MaskIf(bool condition) {
  size_t mask = size_t{0} - static_cast<size_t>(condition);
#if HWY_COMPILER_GCC_ACTUAL || HWY_COMPILER_CLANG
  __asm__("" : "+r"(mask));
#endif
  return mask;
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

// The most rows that are ranked: positions are int32_t.
inline constexpr size_t kMaxRankedRows = 0x7FFFFFFF;

// The widest codes that are ranked.
inline constexpr size_t kMaxRankedCodeBytes = 512;

// What a ...ScratchBytes function returns for sizes that its kernel does not take.
inline constexpr size_t kNoScratch = SIZE_MAX;

// Whether the rows have a width, a stride that holds it, and a size in bytes that exists.
template <typename T>
constexpr bool AreRows(const RowsView<T>& rows) {
  return rows.width >= 1 && rows.stride >= rows.width &&
         SaturatingProduct(SaturatingProduct(rows.count, rows.stride), sizeof(T)) < SIZE_MAX;
}

// Whether all ids name one of `rows` rows.
inline bool AreIds(IdsView ids, size_t rows) {
  for (size_t i = 0; i < ids.count; ++i) {
    if (ids.data[i] < 0 || static_cast<size_t>(ids.data[i]) >= rows) return false;
  }
  return true;
}

// Whether rows are chosen for `queries` queries, each of the table and at most as many as there is
// scratch for.
inline bool AreChosen(const ChosenRows& rows, size_t queries) {
  for (size_t q = 0; q < queries; ++q) {
    if (rows.counts[q] < 0) return false;
    const IdsView ids{rows.ids_of(q), static_cast<size_t>(rows.counts[q])};
    if (!AreIds(ids, rows.table.count)) return false;
  }
  return true;
}

// The largest of `count` counts.
inline size_t LargestCount(const int32_t* counts, size_t count) {
  int32_t largest = 0;
  for (size_t i = 0; i < count; ++i) largest = counts[i] > largest ? counts[i] : largest;
  return static_cast<size_t>(largest);
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
