// SPDX-License-Identifier: Apache-2.0
// --cells: a file of the finished cells of a sweep, from which an interrupted one goes on.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/retrieval/rows.h"
#include "bench/retrieval/run.h"
#include "bench/retrieval/sweep/sweep.h"

namespace eta::bench {

// A cell that has been measured.
struct FinishedCell {
  SweepCell cell;
  std::string data_digest;
  RequestSummary requests;
  double seconds;  // that it took
  std::vector<std::string> notes;
  std::vector<Row> rows;
};

// Everything that decides what a cell measures beside the values of the cell itself: options, data,
// binary and machine. Only cells with equal keys are put together.
nlohmann::ordered_json SweepKey(const Options& options, const std::string& data_digest,
                                const Machine& machine);

nlohmann::ordered_json CellJson(const FinishedCell& cell);

// The cells of a file; none where it does not exist or `path` is empty. Throws DataError when the
// file is damaged or of another key, naming the first setting that differs.
std::vector<FinishedCell> ReadCells(const std::string& path, const nlohmann::ordered_json& key);

// Replaces the file as a whole; does nothing where `path` is empty. Throws DataError.
void WriteCells(const std::string& path, const nlohmann::ordered_json& key,
                const std::vector<FinishedCell>& cells);

}  // namespace eta::bench
