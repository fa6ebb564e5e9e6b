// SPDX-License-Identifier: Apache-2.0
// What PyTorch took, as scripts/torch_latency.py writes it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/ctr/options.h"

namespace eta::bench {

// PyTorch's time for the same requests, from scripts/torch_latency.py; means over `runs` lines.
struct TorchRow {
  std::string model;
  std::string torch;  // version
  std::string form;  // the fastest, such as "torchscript_int8"; several with '+' where lines differ
  double p50_us = 0;
  double p99_us = 0;
  double candidates_per_s = 0;
  size_t runs = 0;
};

// Reads the JSON lines of --torch, one row for each model; none without --torch. Throws DataError
// when a line is malformed, or was measured with other candidates, history length or threads.
std::vector<TorchRow> ReadTorchRows(const CtrOptions& options);

}  // namespace eta::bench
