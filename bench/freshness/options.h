// SPDX-License-Identifier: Apache-2.0
// The command line of freshness_bench.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace eta::bench {

struct FreshnessOptions {
  std::string folder;           // of step_NNNNNN folders, all of an eta model
  size_t from = 0;              // step whose snapshot, or the next one, is taken as the first
  std::vector<size_t> rebuild;  // steps between rebuilds of SIM soft's index
  size_t samples = 1000;        // test samples that recall is measured on, at most
  std::string csv;
  std::string json;
  std::vector<std::string> command_line;
};

// Reads the command line. Nothing when there is no more to do because help or the version was
// printed. Throws std::invalid_argument, one line, on anything that is wrong.
std::optional<FreshnessOptions> ParseFreshnessOptions(int argc, char** argv);

}  // namespace eta::bench
