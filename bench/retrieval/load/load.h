// SPDX-License-Identifier: Apache-2.0
// --load and --slo-ms: every method under requests that arrive at a set rate.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/common/open_loop.h"
#include "bench/common/output.h"
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

// What was measured under load.
struct LoadReport {
  std::vector<LoadRow> rows;  // by rate, then by method
  std::vector<SloRow> slo;
};

// Runs each method at each rate, then the search for each method. One of --threads workers serves a
// request whole; the first to come is the first served. When requests arrive, and which, is drawn
// with the seed and is the same for all methods. Histories are prepared beforehand, as in the
// closed loop, and every worker has served some requests before the time begins. The report is
// empty where neither
// --load nor --slo-ms is given. Throws what a method throws.
LoadReport MeasureLoad(std::vector<Contender>& contenders, std::span<const UserRequest> requests,
                       const Options& options, const std::vector<int>& cpus, Progress& progress);

}  // namespace eta::bench
