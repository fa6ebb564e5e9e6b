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

// The largest difference that passes as the rounding of sums in another order.
inline constexpr double kLogitTolerance = 1e-4;
inline constexpr double kAucTolerance = 1e-4;

// Our predictions of an export's test samples beside those of the training program.
struct ETA_CORE_API CtrCheck {
  std::vector<float> logits;
  double largest_difference = 0;  // of logits; NaN where one of them is NaN
  std::optional<double> auc, gauc,
      log_loss;                        // ours; nothing where core/ctr/metrics.h gives nothing
  std::optional<double> exported_auc;  // of the exported logits

  bool agrees() const;  // within both tolerances
};

// Predicts every test sample of `model` with `served`, which must be made of it; the samples of one
// window in one call.
ETA_CORE_API CtrCheck CheckCtrModel(const CtrExport& model, const CtrModel& served);

}  // namespace eta
