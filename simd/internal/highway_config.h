// SPDX-License-Identifier: Apache-2.0
// Which Highway targets the kernels are compiled for. Include before any Highway header; every
// file that includes Highway must see the same setting, because Highway's table of targets is per
// file and a target missing from one file silently falls back there.
#pragma once

// Compile the portable fallback and every target the compiler knows, not only those at or above the
// baseline: tests run each of them, and ETA_SIMD_TARGET can force each of them.
#ifndef HWY_COMPILE_ALL_ATTAINABLE
#define HWY_COMPILE_ALL_ATTAINABLE
#endif

// Highway leaves out AVX3_DL (AVX-512 with VPOPCNTDQ and BITALG: Ice Lake, Zen 4 and later) unless
// asked. A byte popcount is one instruction there and about six on AVX3.
#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif

// SSSE3 and SSE2 (bits 12 and 14 on x86) gain nothing over EMU128 worth their compile time: CPUs
// that have them but lack SSE4 ended in 2008.
#if !defined(HWY_DISABLED_TARGETS) && (defined(__x86_64__) || defined(__i386__))
#define HWY_DISABLED_TARGETS ((1LL << 12) | (1LL << 14))
#endif

// With GCC before 12.3 Highway replaces EMU128 by the one-lane SCALAR target because of GCC bug
// 106322, a wrong vectorisation of the high half of products. No kernel here takes such a half, and
// the tests run EMU128 against the scalar oracle, so keep one portable fallback on all compilers.
#ifndef HWY_BROKEN_EMU128
#define HWY_BROKEN_EMU128 0
#endif
