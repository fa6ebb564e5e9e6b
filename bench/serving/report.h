// SPDX-License-Identifier: Apache-2.0
// What a run of serving_bench says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/common/environment.h"
#include "bench/serving/data.h"
#include "bench/serving/options.h"
#include "bench/serving/phase.h"
#include "bench/serving/ratios.h"

namespace eta::bench {

struct ServingReport {
  const ServingOptions& options;
  std::string target;
  Environment environment;
  size_t users = 0;
  size_t dim = 0;
  FillResult fill{};
  uint64_t store_bytes = 0;  // on disk, before the phases
  ServingRatios ratios{};
  std::vector<PhaseResult> phases{};  // two of each kind of request are quiet
  std::vector<AppendRow> appends{};
  CacheCounts cache{};                     // at the end
  std::optional<uint64_t> memory_bytes{};  // most that the process has held
};

// Whether every checked answer is that of the version it names, and no request missed an append.
bool AllRight(const ServingReport& report);

// What p99 of a phase is compared with: the lowest of the quiet phases with requests of its kind.
double QuietP99(const ServingReport& report, const PhasePlan& plan);

// "retrieve" or "score".
const char* RequestName(RequestKind kind);

// Tables, and both as files: the CSV has the phases, the JSON all.
std::string ServingText(const ServingReport& report);
std::string ServingCsv(const ServingReport& report);
std::string ServingJson(const ServingReport& report);

}  // namespace eta::bench
