// SPDX-License-Identifier: Apache-2.0
// --load and --slo-ms: every method under requests that arrive at a set rate.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/common/output.h"
#include "bench/retrieval/load/open_loop.h"
#include "bench/retrieval/measure.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/requests.h"

namespace eta::bench {

// One method at one rate.
struct LoadRow {
  std::string method;
  size_t bits;
  double rate;  // requests per second
  OpenLoopResult result;
};

// The highest rate of one method that keeps p99 within --slo-ms.
struct SloRow {
  std::string method;
  size_t bits;
  double capacity;  // threads / mean service time, measured beforehand without a queue
  HighestRate found;
};

struct LoadReport {
  std::vector<LoadRow> rows;  // by rate, then by method
  std::vector<SloRow> slo;
};

// Each method in turn at each rate, then the search per method. A request is served whole by one of
// --threads workers, first come, first served; arrivals (the same for all methods) and which of the
// requests arrives are drawn with the seed. Histories are prepared beforehand, as in the closed
// loop, and every worker has served some requests before the time begins. An empty report where
// neither --load nor --slo-ms is given. Throws what a method throws.
LoadReport MeasureLoad(std::vector<Contender>& contenders, std::span<const UserRequest> requests,
                       const Options& options, const std::vector<int>& cpus, Progress& progress);

}  // namespace eta::bench
