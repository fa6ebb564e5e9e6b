// SPDX-License-Identifier: Apache-2.0
#include "simd/target.h"

#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/target.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

int64_t ThisTarget() { return HWY_TARGET; }

Capabilities ThisTargetsCapabilities() {
  Capabilities c;
  c.fma = HWY_NATIVE_FMA != 0;
  c.avx2 = ETA_SIMD_HAS_WIDE_VECTORS;
  c.avx512 = ETA_SIMD_HAS_MASK_REGISTERS;
  c.byte_popcount = ETA_SIMD_HAS_BYTE_POPCOUNT;
  c.vbmi2 = ETA_SIMD_HAS_BYTE_COMPRESS;
  c.vnni = ETA_SIMD_HAS_VNNI;
  return c;
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(ThisTarget);
HWY_EXPORT(ThisTargetsCapabilities);

int64_t CompiledTargets() { return HWY_TARGETS; }

int64_t SupportedTargets() {
  // Asked of the CPU once: a forced target narrows what Highway reports afterwards.
  static const int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  return supported;
}

const char* TargetName(int64_t target) { return hwy::TargetName(target); }

int64_t ActiveTarget() { return HWY_DYNAMIC_DISPATCH(ThisTarget)(); }

Capabilities ActiveCapabilities() { return HWY_DYNAMIC_DISPATCH(ThisTargetsCapabilities)(); }

bool ForceTargetForTest(const char* name) {
  const int64_t supported = SupportedTargets();
  int64_t chosen = 0;
  if (name != nullptr && *name != '\0') {
    for (int64_t rest = supported; rest != 0; rest &= rest - 1) {
      const int64_t target = rest & -rest;
      if (std::strcmp(TargetName(target), name) == 0) chosen = target;
    }
    if (chosen == 0) return false;
  }
  hwy::SetSupportedTargetsForTest(chosen);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return true;
}

}  // namespace eta::simd
#endif  // HWY_ONCE
