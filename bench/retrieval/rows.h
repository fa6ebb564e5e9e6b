// SPDX-License-Identifier: Apache-2.0
// What was measured, summed up: one row for each method.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/retrieval/measure.h"
#include "bench/retrieval/requests.h"

namespace eta::bench {

inline constexpr size_t kRecallBins = 20;  // of Row::recall_histogram

// One method; the names and meanings are those of kColumns.
struct Row {
  std::string method;
  size_t bits;
  size_t dim;
  size_t k;
  double l_mean;
  size_t b;
  int threads;
  std::string target;
  std::string cache;  // warm or cold
  // Nothing where no request has a history.
  std::optional<double> recall;
  std::optional<double> recall_p5;
  std::optional<double> recall_ties;
  std::optional<double> attention_mass;
  double p50_us;
  // Nothing where there are fewer repeats than kFewestForInterval.
  std::optional<double> p50_low_us;
  std::optional<double> p50_high_us;
  double p95_us;
  double p99_us;
  double p999_us;
  double candidates_per_s;
  std::optional<double> bytes_per_behaviour;
  double build_us;
  double user_bytes;
  size_t shared_bytes;

  // Not in the CSV.
  double p50_ns_per_candidate;       // median of latency / candidates, over all samples
  std::optional<double> vs_exact;    // p50_us of the method "exact" / p50_us
  std::optional<double> recall_p50;  // median over requests
  size_t table_bytes;                // of the tables that retrieval reads
  size_t samples;                    // latencies
  size_t requests_with_recall;
  uint64_t voluntary_switches;            // context switches of the process during the timed runs
  uint64_t involuntary_switches;          // the same, where another program or thread got the CPU
  std::optional<double> cycles_per_code;  // per candidate and behaviour
  std::optional<double> instructions_per_code;       // the same
  std::vector<double> repeat_p50_us;                 // one per repeat
  std::array<size_t, kRecallBins> recall_histogram;  // requests by recall; 1 is in the last bin
  uint64_t positions_digest;                         // of all positions returned
};

// Which users the requests are of, and how many behaviours and candidates they have.
struct RequestSummary {
  UserChoice choice;
  size_t requests;
  size_t behaviours_min;
  size_t behaviours_median;
  size_t behaviours_max;
  size_t empty_histories;
  double l_mean;
  double b_mean;
};

// `requests` is not empty.
RequestSummary SummarizeRequests(std::span<const UserRequest> requests, const UserChoice& choice);

// Width of the interval of p50_us as a share of p50_us; nothing where there is no interval.
std::optional<double> Spread(const Row& row);

// A spread above this deserves a warning: methods that differ by less cannot be told apart.
inline constexpr double kWideSpread = 0.1;

// One row for each contender, in their order; each has answered at least one timed request.
std::vector<Row> SummarizeMethods(std::span<const Contender> contenders, const DataSet& data,
                                  const RequestSummary& requests, const Options& options);

}  // namespace eta::bench
