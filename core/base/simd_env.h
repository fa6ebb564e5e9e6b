// SPDX-License-Identifier: Apache-2.0
// Choosing the SIMD target from outside a program.
#pragma once

#include <string>

#include "core/base/export.h"

namespace eta {

// Forces the SIMD target that the environment variable ETA_SIMD_TARGET names, if it is set and not
// empty. Returns the name of the target that will run. Throws std::invalid_argument, listing the
// targets there are, when it names none of them. Call before threads run kernels.
ETA_CORE_API std::string ApplyTargetFromEnvironment();

// What instructions the active target has, as the names of simd::Capabilities' members, separated
// by blanks: "fma avx2".
ETA_CORE_API std::string CapabilityNames();

// Forces the target that `name` names, such as the value of a flag. Throws as above.
ETA_CORE_API void ForceTargetOrThrow(const std::string& name);

}  // namespace eta
