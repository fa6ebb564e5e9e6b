// SPDX-License-Identifier: Apache-2.0
// What the target at hand can do. Kernels ask for a capability, never for a target by name: later
// Highway versions put supersets of a target above it (AVX3_ZEN4 and AVX3_SPR above AVX3_DL).
// Better targets have smaller numbers.

// clang-format off
#if defined(ETA_SIMD_CAPABILITIES_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_CAPABILITIES_INL_H_
#undef ETA_SIMD_CAPABILITIES_INL_H_
#else
#define ETA_SIMD_CAPABILITIES_INL_H_
#endif
// clang-format on

#include "hwy/highway.h"

// Macros guard code that other targets cannot compile; they are expanded, per target, where they
// stand. For all else there is a constant of the same meaning.

#ifndef ETA_SIMD_IS_EMULATED
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
// BMI2: bits of a word are scattered to set bits of another (PDEP).
#define ETA_SIMD_HAS_BIT_SCATTER (HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX2)
// AVX2: vectors of 32 bytes, and 32-bit lanes permuted across them.
#define ETA_SIMD_HAS_WIDE_VECTORS (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2)
// AVX-512 and SVE: one instruction compresses 32-bit lanes.
#define ETA_SIMD_HAS_COMPRESS (ETA_SIMD_HAS_MASK_REGISTERS || HWY_HAVE_SCALABLE)
#endif

// The attribute of functions that use VNNI, and of those that such are inlined into; empty without
// VNNI. Highway takes AVX3_DL for present only where CPUID reports AVX512_VNNI (bit 11 of leaf 7's
// ECX, one of the flags its group of that name asks for, in 1.0.3 as in later versions), but the
// string that 1.0.3 compiles the target with lacks it.
#undef ETA_SIMD_VNNI_ATTR
#if ETA_SIMD_HAS_VNNI
#define ETA_SIMD_VNNI_ATTR __attribute__((target(HWY_TARGET_STR ",avx512vnni")))
#else
#define ETA_SIMD_VNNI_ATTR
#endif

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

HWY_MAYBE_UNUSED constexpr bool kHasMaskRegisters = ETA_SIMD_HAS_MASK_REGISTERS;
HWY_MAYBE_UNUSED constexpr bool kHasByteCompress = ETA_SIMD_HAS_BYTE_COMPRESS;
HWY_MAYBE_UNUSED constexpr bool kHasWideVectors = ETA_SIMD_HAS_WIDE_VECTORS;

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
