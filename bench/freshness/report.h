// SPDX-License-Identifier: Apache-2.0
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

std::string FreshnessText(const FreshnessReport& report);
std::string FreshnessCsv(const FreshnessReport& report);
std::string FreshnessJson(const FreshnessReport& report);

}  // namespace eta::bench
