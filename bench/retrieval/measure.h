// SPDX-License-Identifier: Apache-2.0
// Runs all methods on the same requests and keeps what was measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/common/machine.h"
#include "bench/common/output.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/requests.h"
#include "core/retrieval/batch.h"
#include "core/retrieval/metrics.h"
#include "core/retrieval/retriever.h"

namespace eta::bench {

// What was measured of one method.
struct Measurements {
  // Seconds; one per request and repeat.
  std::vector<double> latencies;
  std::vector<double> latencies_per_candidate;
  // The latencies of each repeat, one per request, in their order.
  std::vector<std::vector<double>> repeat_latencies;
  double retrieve_seconds = 0;  // wall time of all timed runs
  std::optional<int> threads;   // the fewest that OpenMP ran at any time
  size_t candidates = 0;        // answered in that time
  size_t codes = 0;             // candidates x behaviours, summed over all timed requests
  // During the timed runs.
  ContextSwitches switches;
  std::optional<uint64_t> cycles;
  std::optional<uint64_t> instructions;
  double build_seconds = 0;
  size_t builds = 0;
  size_t user_bytes = 0;  // of all histories that were prepared
  size_t behaviours = 0;
  // One per request, in their order: means over its candidates. Nothing without history.
  std::vector<std::optional<Quality>> quality;
  // Equal where the same positions were returned for every candidate, in whatever order.
  uint64_t positions_digest = 0;
};

// One method among those that are compared.
class Contender {
 public:
  // `counters`, if any, must outlive the contender; they count the calling thread only.
  Contender(std::unique_ptr<Retriever> retriever, const BatchOptions& options,
            const CpuCounters* counters);

  Retriever& retriever() { return *retriever_; }
  const Retriever& retriever() const { return *retriever_; }
  Measurements& measurements() { return measurements_; }
  const Measurements& measurements() const { return measurements_; }
  const BatchResult& result() const { return result_; }  // of the last batch

  // Prepares the histories of the requests and adds the time to the measurements.
  std::vector<std::unique_ptr<PreparedHistory>> Prepare(std::span<const UserRequest> requests);
  // Answers a batch untimed.
  void WarmUp(std::span<const Request> batch, size_t k) { driver_.Run(batch, k, result_); }
  // Answers a batch and adds its times to the measurements, as those of a repeat, numbered from 0.
  void Answer(std::span<const Request> batch, size_t k, size_t repeat);

 private:
  std::unique_ptr<Retriever> retriever_;
  BatchDriver driver_;
  BatchResult result_;
  const CpuCounters* counters_;
  Measurements measurements_;
};

// Builds the methods. `data` must outlive them. A method of the default list that the data cannot
// support is left out, with a line in `notes`. Throws std::invalid_argument when a method that was
// asked for cannot be built.
std::vector<Contender> MakeContenders(const Options& options, const DataSet& data,
                                      size_t num_requests, const CpuCounters* counters,
                                      std::vector<std::string>& notes);

// Lets every method calibrate itself on the request with the median history.
void Calibrate(std::vector<Contender>& contenders, std::span<const UserRequest> requests, size_t k);

// Requests that a method answers in a row: kTurn, or more where threads share out users.
size_t TurnSize(const Options& options, size_t num_requests);

// So many that branch predictors and the nearest caches cannot hold one request.
inline constexpr size_t kTurn = 16;

// Where threads share out users: enough per thread that they seldom wait for the longest history.
// All histories of a turn are in memory, so there are no more.
inline constexpr size_t kTurnPerThread = 8;
inline constexpr size_t kFewestSharedTurn = 64;

// Repeats of a turn before the next method has its turn.
inline constexpr size_t kRepeatsPerTurn = 3;

class QualityMeter;

// Measures all methods interleaved: a turn of requests goes through all methods, once for every
// kRepeatsPerTurn repeats, in an order that rotates, so that drift of clock speed or of other load
// hits all alike. A method first answers its turn once untimed. Where histories are long a turn has
// fewer requests, two at least, to bound the memory that they take. `quality` is told of every
// request, in their order.
void Measure(std::vector<Contender>& contenders, const DataSet& data,
             std::span<const UserRequest> requests, const Options& options, QualityMeter& quality,
             Progress& progress);

}  // namespace eta::bench
