// SPDX-License-Identifier: Apache-2.0
// Parity: do served logits agree with those of the training program?
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/base/export.h"
#include "core/ctr/export.h"
#include "core/ctr/model.h"

namespace eta {

// The largest differences that pass.
struct ETA_CORE_API CtrTolerance {
  double logit;
  double auc;
};

// In float32 the rounding of sums in another order; in eight bits what quantisation may cost
// (docs/serving.md). Where the AUC is of few samples, it moves by more than that when each changes
// places with a neighbour: 2 / samples.
constexpr CtrTolerance ToleranceOf(Precision precision, size_t samples) {
  if (precision == Precision::kFloat32) return {1e-4, 1e-4};
  return {0.25, samples < 4000 ? 2.0 / static_cast<double>(samples) : 5e-4};
}

// Our predictions of an export's test samples beside those of the training program.
struct ETA_CORE_API CtrCheck {
  Precision precision = Precision::kFloat32;  // of what was served
  std::vector<float> logits;
  double largest_difference = 0;  // of logits; NaN where one of them is NaN
  std::optional<double> auc, gauc,
      log_loss;                        // ours; nothing where core/ctr/metrics.h gives nothing
  std::optional<double> exported_auc;  // of the exported logits

  bool agrees() const;  // within both tolerances of the precision
};

// Predicts every test sample of `model` with `served`, which must be made of it; the samples of one
// window in one call.
ETA_CORE_API CtrCheck CheckCtrModel(const CtrExport& model, const CtrModel& served);

}  // namespace eta
