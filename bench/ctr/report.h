// SPDX-License-Identifier: Apache-2.0
// What a run of ctr_bench says.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/common/environment.h"
#include "bench/ctr/measure.h"
#include "bench/ctr/options.h"
#include "bench/ctr/torch_rows.h"

namespace eta::bench {

struct CtrReport {
  const CtrOptions& options;
  const std::vector<CtrContender>& contenders;
  std::vector<TorchRow> torch;
  std::string target;
  Environment environment;
};

// Our logits against the exported ones; one line for each model.
std::string CheckText(const std::vector<CtrContender>& contenders);

// One line for each model, then one for each of PyTorch's. The CSV and the JSON hold the same
// values, the JSON those of quality in full.
std::string CtrTableText(const CtrReport& report);
std::string CtrCsvText(const CtrReport& report);
std::string CtrJsonText(const CtrReport& report);

}  // namespace eta::bench
