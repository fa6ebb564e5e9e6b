// SPDX-License-Identifier: Apache-2.0
// --cache cold: every timed request is of a user whose prepared history is in no cache.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "bench/retrieval/measure.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/requests.h"

namespace eta::bench {

// The cache that all memory traffic of a CPU passes last.
struct LastLevelCache {
  size_t bytes;
  std::string source;  // sysfs, sysconf or --llc-mb
};

// Throws std::invalid_argument when its size is neither given nor to be found out.
LastLevelCache FindLastLevelCache(const Options& options);

// How a run kept its requests cold. Prepared histories of all requests and as many copies of them
// as make kColdFactor times the cache are held, per method, and used in turn, so that between two
// uses of one the whole ring has passed through the cache. Where that memory is too much, one copy
// is held and a buffer of kColdFactor times the cache is read before each turn of a method.
struct ColdReport {
  LastLevelCache cache;
  size_t memory_limit;    // bytes
  bool is_flushed;        // by reading a buffer; else by using copies in turn
  size_t turn;            // requests that a method answers in a row
  size_t prepared_bytes;  // of all methods and copies
};

inline constexpr size_t kColdFactor = 2;

// As Measure, but cold. Passes go over all requests; the first one is untimed and judged. Histories
// are prepared before it. What all users share (code table, embeddings) is as warm as the requests
// of the other users leave it. Throws std::invalid_argument when the memory limit is too low.
ColdReport MeasureCold(std::vector<Contender>& contenders, const DataSet& data,
                       std::span<const UserRequest> requests, const Options& options,
                       Progress& progress);

}  // namespace eta::bench
