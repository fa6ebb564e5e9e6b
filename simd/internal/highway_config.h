// SPDX-License-Identifier: Apache-2.0
// Which Highway targets the kernels are compiled for, what each of them can do, and which compiler
// flags are refused. Include it before any Highway header. Every file that includes Highway needs
// the same settings: each file has its own table of targets, and one that lacks a target silently
// runs a lesser one.
#pragma once

// Codes, scores and ties are promised bit for bit, NaN and infinities included.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "simd/ does not work with -ffast-math, -Ofast or -ffinite-math-only"
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

// Leave out SSSE3 and SSE2 (bits 12 and 14 on x86). The last CPUs that have them but not SSE4 were
// sold in 2008; those run EMU128.
#if !defined(HWY_DISABLED_TARGETS) && (defined(__x86_64__) || defined(__i386__))
#define HWY_DISABLED_TARGETS ((1LL << 12) | (1LL << 14))
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
