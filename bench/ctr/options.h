// SPDX-License-Identifier: Apache-2.0
// The command line of ctr_bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace eta::bench {

struct CtrOptions {
  std::vector<std::string> models;  // folders
  bool check_only = false;
  size_t candidates = 256;
  size_t length = 1024;
  size_t requests = 200;  // of each model
  size_t rounds = 5;      // in which the models take turns
  uint64_t seed = 1;
  std::string item_tables = "on";     // or "off", or "both": a row for each
  std::string precision = "float32";  // or "int8", or both with a comma: a row for each
  std::string retrieval;  // methods that replace what retrieving models do; "own" is that
  size_t k = 0;           // behaviours attended to; 0: what the model was trained with
  std::string torch;      // JSON lines of scripts/torch_latency.py
  std::string target;     // empty: the best one, or ETA_SIMD_TARGET
  std::string csv;
  std::string json;
  bool has_logits = false;  // whether the JSON has a logit for each test sample
  std::vector<std::string> command_line;
};

// Reads the command line. Nothing when there is no more to do because help or the version was
// printed. Throws std::invalid_argument, one line, on anything that is wrong.
std::optional<CtrOptions> ParseCtrOptions(int argc, char** argv);

}  // namespace eta::bench
