// SPDX-License-Identifier: Apache-2.0
// What a run of freshness_bench says.
#pragma once

#include <string>
#include <vector>

#include "bench/common/environment.h"
#include "bench/freshness/measure.h"

namespace eta::bench {

struct FreshnessReport {
  const FreshnessOptions& options;
  std::string target;
  Environment environment;
  std::vector<FreshnessRow> rows;
  FreshnessCosts costs;
};

// The rows as a table, then one line of costs. The CSV has the rows, the JSON both.
std::string FreshnessText(const FreshnessReport& report);
std::string FreshnessCsv(const FreshnessReport& report);
std::string FreshnessJson(const FreshnessReport& report);

}  // namespace eta::bench
