// SPDX-License-Identifier: Apache-2.0
// The command line of serving_bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/thread_priority.h"
#include "core/data/generator.h"
#include "core/store/history_store.h"

namespace eta::bench {

struct ServingOptions {
  std::string ctr;     // folder of a CTR export whose scores are measured too; empty: none
  std::string bundle;  // empty: that of `ctr`, or generated data
  GeneratorOptions generator;

  size_t bits = 64;
  size_t k = 64;
  size_t b = 256;             // candidates of a request
  uint64_t seed = 1;          // hyperplanes, arrivals, users and candidates
  double zipf = 1;            // the user of rank r has a share of 1 / r^zipf
  size_t cache_mib = 64;      // of prepared histories
  size_t max_history = 1000;  // newest behaviours that a request sees

  double rate = 500;        // requests per second
  double seconds = 5;       // of each phase
  int threads = 1;          // that answer requests
  size_t appends = 20'000;  // behaviours per second
  size_t batch = 100;       // behaviours of an append
  std::vector<Durability> durabilities{Durability::kNone, Durability::kFlushed,
                                       Durability::kSynced};
  double swap_seconds = 2;  // between the starts of two rebuilds
  int swap_threads = 1;     // that hash the items
  std::vector<ThreadPriority> swap_priorities{ThreadPriority::kIdle};  // that they have
  size_t samples = 50;  // responses of a phase that the scalar oracle checks

  std::string csv;
  std::string json;
  std::vector<std::string> command_line;
};

// "none", "flushed" or "synced".
const char* DurabilityName(Durability durability);

// "idle" or "normal".
const char* PriorityName(ThreadPriority priority);

// Reads the command line. Nothing when there is no more to do because help or the version was
// printed. Throws std::invalid_argument, one line, on anything that is wrong.
std::optional<ServingOptions> ParseServingOptions(int argc, char** argv);

}  // namespace eta::bench
