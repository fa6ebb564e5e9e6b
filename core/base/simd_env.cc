// SPDX-License-Identifier: Apache-2.0
#include "core/base/simd_env.h"

#include <cstdlib>
#include <utility>

#include "core/base/check.h"
#include "simd/target.h"

namespace eta {

void ForceTargetOrThrow(const std::string& name) {
  if (simd::ForceTargetForTest(name.c_str())) return;
  std::string known;
  for (int64_t rest = simd::SupportedTargets(); rest != 0; rest &= rest - 1) {
    known += Cat(known.empty() ? "" : ", ", simd::TargetName(rest & -rest));
  }
  Require(false, "SIMD target '", name,
          "' is not among those built in and supported here: ", known);
}

std::string CapabilityNames() {
  const simd::Capabilities c = simd::ActiveCapabilities();
  const std::pair<const char*, bool> capabilities[] = {
      {"fma", c.fma},       {"avx2", c.avx2},
      {"avx512", c.avx512}, {"byte_popcount", c.byte_popcount},
      {"vbmi2", c.vbmi2},   {"vnni", c.vnni}};
  std::string names;
  for (const auto& [name, is_there] : capabilities) {
    if (is_there) names += Cat(names.empty() ? "" : " ", name);
  }
  return names;
}

std::string ApplyTargetFromEnvironment() {
  const char* name = std::getenv("ETA_SIMD_TARGET");
  if (name != nullptr && *name != '\0') ForceTargetOrThrow(name);
  return simd::TargetName(simd::ActiveTarget());
}

}  // namespace eta
