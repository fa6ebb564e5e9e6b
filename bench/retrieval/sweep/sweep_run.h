// SPDX-License-Identifier: Apache-2.0
// Runs the cells of a sweep, and what is written about them.
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

// What a sweep has measured.
struct SweepReport {
  const Options& options;
  const Machine& machine;
  nlohmann::ordered_json key;
  size_t cells;                        // of the whole sweep
  std::vector<FinishedCell> finished;  // those that are done, in the order of the sweep
  std::exception_ptr failure;          // of the cell after them, which ended the sweep
};

// Measures the cells that --cells does not hold yet and writes that file after each. At least one
// is measured; no further one is begun that would end after --time-budget, judged by the time of
// the finished ones. What RunBenchmark throws ends the sweep: it is thrown on where no cell is
// finished, else kept in the report, so that the finished cells are not lost. Throws DataError when
// --cells names a file of another sweep.
SweepReport RunSweep(const Options& options, const Machine& machine, Progress& progress);

// Notes of all cells, and one about cells that are missing.
std::vector<std::string> SweepNotes(const SweepReport& report);
// One table for each cell.
std::string SweepTableText(const SweepReport& report);
// As CsvText, with a column sweep_NAME at the end for each axis but bits.
std::string SweepCsvText(const SweepReport& report);
std::string SweepJsonText(const SweepReport& report);

}  // namespace eta::bench
