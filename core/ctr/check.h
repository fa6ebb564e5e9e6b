// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/ctr/export.h"
#include "core/ctr/model.h"

namespace eta {

inline constexpr double kLogitTolerance = 1e-4;
inline constexpr double kAucTolerance = 1e-4;

// Our predictions of an export's test samples beside those of the training program.
struct CtrCheck {
  std::vector<float> logits;
  double largest_difference = 0;              // of logits
  std::optional<double> auc, gauc, log_loss;  // ours
  std::optional<double> exported_auc;         // of the exported logits

  bool agrees() const;  // within both tolerances
};

// Predicts every test sample of `model`, those of one window in one call.
CtrCheck CheckCtrModel(const CtrExport& model, const CtrModel& served);

}  // namespace eta
