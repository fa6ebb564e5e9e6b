// SPDX-License-Identifier: Apache-2.0
// --cache cold: every timed request has a prepared history that is in no cache.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "bench/retrieval/measure.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/requests.h"

namespace eta::bench {

// The cache nearest to memory.
struct LastLevelCache {
  size_t bytes;
  std::string source;  // sysfs, sysconf or --llc-mb
};

// Throws std::invalid_argument when its size is not given and the system does not tell it.
LastLevelCache FindLastLevelCache(const Options& options);

// How a run kept its requests cold. Each method holds so many copies of all prepared histories that
// they exceed kColdFactor times the cache, and uses them in turn: between two uses of one history
// the whole ring has passed through the cache. Where that takes too much memory, a method holds one
// copy, and a buffer of kColdFactor times the cache is read before each of its turns.
struct ColdReport {
  LastLevelCache cache;
  size_t memory_limit;    // in bytes, of all prepared histories
  bool is_flushed;        // by reading a buffer; else by using copies in turn
  size_t turn;            // requests that a method answers in a row
  size_t prepared_bytes;  // of all methods and copies
};

inline constexpr size_t kColdFactor = 2;

// As Measure, but cold. All histories are prepared first. Passes then go over all requests; the
// first one is untimed, and recall is judged by it. What all users share (code table, embeddings)
// is as warm as the requests of the other users leave it. Throws std::invalid_argument when the
// memory limit is too low.
ColdReport MeasureCold(std::vector<Contender>& contenders, std::span<const UserRequest> requests,
                       const Options& options, QualityMeter& quality, Progress& progress);

}  // namespace eta::bench
