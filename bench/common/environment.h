// SPDX-License-Identifier: Apache-2.0
// What a report says about the machine and its settings.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace eta::bench {

// The machine and its settings: what is needed to repeat a measurement. A text that cannot be found
// out is "unknown"; a variable that is not set is "not set".
struct Environment {
  std::string date;                 // and time in UTC, ISO 8601
  std::string cpu;                  // model
  int logical_cpus;                 // of the machine
  int usable_cpus;                  // on which this process was started
  std::optional<double> cpu_quota;  // CPUs' time that its control group grants
  std::string governor;             // clock governor of the first CPU
  std::optional<double> mhz_start;  // clock speed, mean over CPUs
  std::optional<double> mhz_end;
  std::string counters;  // "cycles, instructions", or why they do not count
  std::string kernel;    // operating system
  double load_average;   // of the last minute, at the start; -1 if unknown
  std::vector<std::pair<std::string, std::string>> variables;  // that steer OpenMP, BLAS or us
};

// The variables as an object.
nlohmann::ordered_json VariablesJson(const Environment& environment);

// Reads all but `mhz_end` and `counters`, which the caller fills in. Never fails.
Environment ReadEnvironment();

}  // namespace eta::bench
