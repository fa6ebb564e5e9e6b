// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/common/output.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/run.h"
#include "bench/retrieval/sweep/cells.h"

namespace eta::bench {

struct SweepReport {
  const Options& options;
  const Machine& machine;
  nlohmann::ordered_json key;
  size_t cells;                        // of the whole sweep
  std::vector<FinishedCell> finished;  // those that are done, in the order of the sweep
  std::exception_ptr failure;          // of the cell after them, which ended the sweep
};

// Measures the cells that --cells does not hold yet and writes that file after each. At least one
// is measured; none is begun that would end after --time-budget, going by what the finished ones
// took. What RunBenchmark throws ends the sweep: thrown before any cell is finished, else part of
// the report, so that the finished ones are not lost. Throws DataError for a file of another sweep.
SweepReport RunSweep(const Options& options, const Machine& machine, Progress& progress);

// Notes of all cells, and one about cells that are missing.
std::vector<std::string> SweepNotes(const SweepReport& report);
std::string SweepTableText(const SweepReport& report);
// As CsvText, with a column sweep_NAME at the end for each axis but bits.
std::string SweepCsvText(const SweepReport& report);
std::string SweepJsonText(const SweepReport& report);

}  // namespace eta::bench
