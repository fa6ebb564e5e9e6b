// SPDX-License-Identifier: Apache-2.0
// What the service costs beside the bare kernels, without load: the parts of serving_bench that
// need no clock but that of one thread.
#pragma once

#include <cstddef>
#include <vector>

#include "bench/serving/data.h"
#include "bench/serving/options.h"
#include "bench/serving/server.h"
#include "bench/serving/traffic.h"

namespace eta::bench {

// Processor time on one thread: the least of rounds in which the two of a pair take turns.
struct ServingRatios {
  // All items hashed into memory that is there, and ItemCodes::Rebuild, after which the model is
  // served.
  size_t items = 0;
  double rehash_ms = 0, rebuild_ms = 0;
  // A request: the retriever `eta` on a prepared history, as retrieval_bench times it, and the
  // service with the history in its cache; `eta_gather`, and the service when it must read the
  // history from the store, whose blocks are in RocksDB's cache.
  size_t users = 0;       // whose requests were timed; 0: none has a behaviour
  double behaviours = 0;  // mean of their histories
  double eta_us = 0, cached_us = 0;
  double gather_us = 0, cold_us = 0;
  // Scores: CtrModel on the history's items, and the service with the history in its cache; 0
  // without a CTR model.
  double ctr_us = 0, scored_us = 0;
};

// Checks some answers of the server by core/reference beforehand; throws Mismatch. `server` still
// has its first model.
ServingRatios MeasureRatios(Server& server, const ServingData& data, HistoryStore& store,
                            const Traffic& traffic, const ServingOptions& options);

// Appends one after the other by one thread, without requests.
struct AppendRow {
  Durability durability;
  double per_second;  // behaviours
  double p50_us, p99_us, max_us;
};

// A row for each durability, `seconds` long.
std::vector<AppendRow> MeasureAppends(Server& server, Traffic& traffic,
                                      const ServingOptions& options, double seconds);

}  // namespace eta::bench
