// SPDX-License-Identifier: Apache-2.0
// The command line of retrieval_bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/retrieval/sweep/sweep.h"
#include "core/data/generator.h"
#include "core/retrieval/batch.h"
#include "core/retrieval/hyperplanes.h"

namespace eta::bench {

// The largest values that the command line accepts.
inline constexpr uint64_t kMaxK = 1'000'000;
inline constexpr uint64_t kMaxCandidates = 1'000'000;

// What is measured, and how.
struct Options {
  // Data.
  std::string data;  // bundle folder; empty: use the generator
  GeneratorOptions generator;
  bool normalize = false;

  // Requests.
  size_t requests = 200;
  size_t b = 256;
  size_t held_out = 8;
  size_t max_history = 0;  // 0: no limit
  // Users with fewer behaviours are left out; nothing: as ChooseUsers decides.
  std::optional<size_t> min_history;
  uint64_t seed = 1;  // of the choice of users and candidates, and of the hyperplanes

  // Methods.
  std::vector<std::string> methods;
  bool methods_are_default = true;
  size_t k = 64;
  double temperature = 1;  // of the softmax of attention mass
  // Nothing: those of the bundle for codes of their width, else what each method takes by default.
  std::optional<HyperplaneKind> hyperplanes;

  // Measuring.
  int threads = 1;
  Split split = Split::kAuto;
  size_t repeats = 9;
  bool pin = false;    // one CPU per thread
  std::string target;  // empty: the best one, or ETA_SIMD_TARGET
  bool is_cold = false;
  size_t llc_mb = 0;          // size of the last-level cache; 0: ask the system
  size_t cold_memory_mb = 0;  // for the prepared histories; 0: half of the memory

  // Load.
  std::vector<double> load_rates;  // requests per second; empty: no --load
  double load_seconds = 5;         // of arrivals, per rate and method
  double slo_ms = 0;               // limit of p99; 0: no search
  double slo_seconds = 60;         // of the search, per method
  std::string load_csv;

  // Sweep.
  std::vector<SweepAxis> sweep;  // empty: no sweep
  double time_budget = 0;        // seconds; 0: no limit
  std::string cells;             // file of finished cells

  // Output.
  std::string csv;
  std::string json;
  std::string per_request;
  std::string dump;  // folder to make
  bool quiet = false;

  std::vector<std::string> command_line;
};

// Fewer expected arrivals in --load-seconds are refused.
inline constexpr double kFewestArrivals = 20;

// Reads the command line. Nothing when there is no more to do because help, the version or the list
// of methods was printed. Throws std::invalid_argument, one line, on anything that is wrong.
std::optional<Options> ParseOptions(int argc, char** argv);

}  // namespace eta::bench
