// SPDX-License-Identifier: Apache-2.0
// How large what a model computes can become.
#pragma once

#include "core/ctr/export.h"

namespace eta {

// The largest activation that is served in eight bits. Far below the largest float, so that the
// sums and products on the way to an activation are finite too.
inline constexpr double kLargestActivation = 1e30;

// Throws std::invalid_argument when a weight of `model` is not finite, or when a feature, an output
// of a layer or a logit could be beyond kLargestActivation for some user, history and candidate.
void RequireFloatActivations(const CtrExport& model);

}  // namespace eta
