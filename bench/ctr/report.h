// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/common/environment.h"
#include "bench/ctr/measure.h"
#include "bench/ctr/options.h"

namespace eta::bench {

// PyTorch's time of the same request, from scripts/torch_latency.py.
struct TorchRow {
  std::string model;
  std::string torch;  // version
  double p50_us = 0;
  double p99_us = 0;
  double candidates_per_s = 0;
  size_t runs = 0;
};

// Reads JSON lines. Throws DataError when a line is malformed, or is of other candidates, history
// length or threads than this run.
std::vector<TorchRow> ReadTorchRows(const CtrOptions& options);

struct CtrReport {
  const CtrOptions& options;
  const std::vector<CtrContender>& contenders;
  std::vector<TorchRow> torch;
  std::string target;
  Environment environment;
};

// Our logits against the exported ones; one line a model.
std::string CheckText(const std::vector<CtrContender>& contenders);

std::string CtrTableText(const CtrReport& report);
std::string CtrCsvText(const CtrReport& report);
std::string CtrJsonText(const CtrReport& report);

}  // namespace eta::bench
