// SPDX-License-Identifier: Apache-2.0
// The scalar twin of core/ctr/model.h: the forward pass of docs/models.md for one candidate.
#pragma once

#include <cstdint>
#include <span>

#include "core/ctr/export.h"
#include "core/reference/attention.h"

namespace eta::reference {

// The logit of `candidate` for `user`, whose behaviours are `history`, oldest first, no longer than
// max_history. All ids must be in range.
double CtrLogit(const CtrExport& model, size_t user, std::span<const int32_t> history,
                int32_t candidate);

// The interest g that the model's long-term unit finds; the unit is not kNone.
Vector LongTermInterest(const CtrExport& model, std::span<const int32_t> history,
                        int32_t candidate);

// The positions that a retrieving unit attends to, best first; ties go to the newest.
std::vector<size_t> RetrievedPositions(const CtrExport& model, std::span<const int32_t> history,
                                       int32_t candidate);

// The output of the MLP in eight bits, the same bits as core/ctr/mlp.h: `features` meet the last
// rows of the first layer's matrix, and `bias` is what its other rows and its bias come to.
float MlpI8(const CtrExport& model, std::span<const float> features, std::span<const float> bias);

}  // namespace eta::reference
