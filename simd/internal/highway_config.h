// SPDX-License-Identifier: Apache-2.0
// Which Highway targets the kernels are compiled for, and which compiler flags are refused. Include
// it before any Highway header. Every file that includes Highway needs the same settings: each file
// has its own table of targets, and one that lacks a target silently runs a lesser one.
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
