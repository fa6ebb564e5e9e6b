// SPDX-License-Identifier: Apache-2.0
// Recall and AUC over the snapshots of a training run, and what keeping an index fresh costs.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/freshness/options.h"

namespace eta::bench {

// One method at one snapshot.
struct FreshnessRow {
  // eta, eta:stale, pq4:kept, pq4:retrained, sim_soft:stale, sim_soft:R, sim_soft:fresh
  std::string method;
  size_t step = 0;        // of the snapshot
  size_t index_step = 0;  // whose embeddings the codes, codebooks (pq4) or index are of
  // Means over the test samples; nothing where there are none.
  std::optional<double> recall{};       // recall@K by position
  std::optional<double> recall_ties{};  // the same with ties forgiven
  std::optional<double> auc{}, gauc{}, log_loss{};
};

// One row for each method and snapshot, in the order of the snapshots. `progress` is called with a
// text for each snapshot. Throws DataError when there is no snapshot from options.from on, or they
// are not of one training run of an eta model.
std::vector<FreshnessRow> MeasureFreshness(const FreshnessOptions& options,
                                           const std::function<void(const std::string&)>& progress);

// What it takes to renew codes or index: milliseconds per million items on one thread, with the
// dimension and bits of the first snapshot.
struct FreshnessCosts {
  size_t dim = 0;
  size_t bits = 0;
  double rehash_ms = 0;  // SimHash codes of all items
  // Product codes, encoded by codebooks that are there; nothing where pq4_bits is 0, because dim
  // and bits allow none.
  size_t pq4_bits = 0;
  double pq4_encode_ms = 0;
  double pq4_train_ms = 0;  // codebooks once, for a table of any size, because of its sample
  double rebuild_ms = 0;  // SIM soft's index: the table quantised to int8, the least an index takes
};
// Throws DataError as MeasureFreshness does.
FreshnessCosts MeasureCosts(const FreshnessOptions& options);

}  // namespace eta::bench
