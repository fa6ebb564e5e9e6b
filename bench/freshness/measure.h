// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace eta::bench {

struct FreshnessOptions {
  std::string folder;           // of step_NNNNNN folders, all of an eta model
  size_t from = 0;              // step whose snapshot, or the next one, counts as the first
  std::vector<size_t> rebuild;  // steps between rebuilds of SIM soft's index
  size_t samples = 1000;        // test samples that recall is measured on, at most
  std::string csv;
  std::string json;
  std::vector<std::string> command_line;
};

// Reads the command line. Nothing when help was asked for and printed. Throws
// std::invalid_argument, one line, on anything that is wrong.
std::optional<FreshnessOptions> ParseFreshnessOptions(int argc, char** argv);

// One method at one snapshot.
struct FreshnessRow {
  std::string method;              // eta, eta:stale, sim_soft:stale, sim_soft:R, sim_soft:fresh
  size_t step = 0;                 // of the snapshot
  size_t index_step = 0;           // whose embeddings the codes or the index are of
  std::optional<double> recall{};  // mean recall@K by position
  std::optional<double> recall_ties{};  // with ties forgiven
  std::optional<double> auc{}, gauc{}, log_loss{};
};

// Throws DataError when there are no snapshots from that step on, or they are not of one eta model.
std::vector<FreshnessRow> MeasureFreshness(const FreshnessOptions& options,
                                           const std::function<void(const std::string&)>& progress);

// Milliseconds per million items, one thread, of the first snapshot's width and bits.
struct FreshnessCosts {
  size_t dim = 0;
  size_t bits = 0;
  double rehash_ms = 0;   // SimHash codes of all items
  double rebuild_ms = 0;  // SIM soft's index: the table quantised to int8, the least an index takes
};
FreshnessCosts MeasureCosts(const FreshnessOptions& options);

}  // namespace eta::bench
