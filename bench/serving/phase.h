// SPDX-License-Identifier: Apache-2.0
// One phase of serving_bench: requests at a set rate, with or without appends and new models beside
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/common/open_loop.h"
#include "bench/serving/options.h"
#include "bench/serving/server.h"
#include "bench/serving/traffic.h"
#include "core/store/history_store.h"

namespace eta::bench {

enum class RequestKind { kRetrieve, kScore };

// What is asked for, and what happens beside the requests.
struct PhasePlan {
  std::string name;
  RequestKind kind = RequestKind::kRetrieve;
  std::optional<Durability> appends = {};
  std::optional<ThreadPriority> swaps = {};  // at which new models are hashed; of scores, kNormal

  bool is_quiet() const { return !appends && !swaps; }
};

// A new model; seconds since the phase began.
struct ModelSwap {
  double begin;
  double end;
  uint64_t version;
};

// Latencies of the requests that arrived within a part of the phase, which is not empty.
struct LatencySlice {
  double begin;  // seconds since the phase began
  size_t requests;
  double p50_us, p99_us, max_us;
};

// How old something was when a request was answered, in seconds; nearest-rank over requests.
struct Ages {
  size_t requests;
  double p50, p99, max;
};

// What the process has had the system read from disks, not from its cache of files, and write to
// them, at once or later.
struct DiskBytes {
  uint64_t read, written;
};

// What the threads that answer took of processors, and how long they waited for one. Waiting is not
// in a request's processor time, but in its latency.
struct ProcessorTimes {
  double p50_us, p99_us;                 // of a request; nearest-rank
  std::optional<double> waited_seconds;  // of all threads; nothing where the system does not say
};

struct PhaseResult {
  PhasePlan plan;
  OpenLoopResult requests;
  ProcessorTimes processor{};
  std::optional<OpenLoopResult> appends;  // of batches
  double appended_per_second = 0;         // behaviours
  std::vector<ModelSwap> swaps;
  std::vector<LatencySlice> slices;
  double slice_seconds = 0;
  uint64_t hits = 0, misses = 0;                // of the cache
  uint64_t drops = 0, unkept = 0, gathers = 0;  // likewise, as in CacheCounts
  std::optional<DiskBytes> disk;                // nothing where the system does not say
  std::optional<Ages> behaviour_age;            // the user's newest one, where it is of this run
  std::optional<Ages> model_age;                // since it was published
  size_t stale = 0;  // requests that missed an append which had returned before they began
  // Answers compared with the scalar reference of the version they name; of scores, with the model,
  // as all versions are the same one.
  size_t checked = 0;
  size_t wrong = 0;  // of these; a mixture of versions is wrong under each
};

// Runs one phase; `number` draws its requests. Then checks options.samples of the answers: the
// store's history up to the newest behaviour that was seen, hashed by core/reference. Throws what
// the server throws.
PhaseResult RunPhase(Server& server, Traffic& traffic, const HistoryStore& store,
                     const ServingData& data, const ServingOptions& options, const PhasePlan& plan,
                     uint64_t number);

}  // namespace eta::bench
