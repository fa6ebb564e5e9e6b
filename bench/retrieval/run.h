// SPDX-License-Identifier: Apache-2.0
// One measurement: all methods on one data set with one set of options.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/common/environment.h"
#include "bench/common/machine.h"
#include "bench/common/notes.h"
#include "bench/common/output.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/report.h"
#include "bench/retrieval/requests.h"

namespace eta::bench {

// What is known of the machine before any thread is bound to a CPU.
struct Machine {
  std::string target;  // SIMD target that runs
  Environment environment;
  std::vector<int> cpus;
  std::unique_ptr<CpuCounters> counters;  // null where they do not work
  Notes notes;                            // to be printed at the start
};

// Selects the SIMD target. Throws std::invalid_argument when it is unknown or not available.
Machine PrepareMachine(const Options& options);

// Draws the requests, builds the methods, checks them against the scalar reference and measures
// them. `options` and `data` must outlive the report. Throws std::invalid_argument when the options
// do not fit data or machine, and Mismatch when a kernel disagrees with its reference. What --dump
// asks for is written to `dump_folder`, which is empty, unless its name is.
Report RunBenchmark(const Options& options, const DataSet& data, const Machine& machine,
                    const std::filesystem::path& dump_folder, Progress& progress);

}  // namespace eta::bench
