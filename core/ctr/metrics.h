// SPDX-License-Identifier: Apache-2.0
// How well logits rank and predict clicks: the measures of docs/models.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/base/export.h"

namespace eta {

// All functions throw std::invalid_argument when sizes differ, a label is not 0 or 1 or a logit is
// NaN.

// AUC: the probability that a click's logit is above a non-click's; equal logits count half.
// Nothing when all labels are equal.
ETA_CORE_API std::optional<double> Auc(std::span<const float> logits,
                                       std::span<const int32_t> labels);

// Mean AUC of users, weighted by their samples; users with clicks only or none are left out.
// Nothing when that leaves nobody.
ETA_CORE_API std::optional<double> GroupAuc(std::span<const float> logits,
                                            std::span<const int32_t> labels,
                                            std::span<const int32_t> users);

// Mean of -log of the probability given to the label, natural logarithm. Nothing without samples.
ETA_CORE_API std::optional<double> LogLoss(std::span<const float> logits,
                                           std::span<const int32_t> labels);

}  // namespace eta
