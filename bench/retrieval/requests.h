// SPDX-License-Identifier: Apache-2.0
// The data set of a run and the requests drawn from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/retrieval/options.h"
#include "core/data/bundle.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/pq4_codebooks.h"

namespace eta::bench {

// Lengths of the item embeddings. Sign codes see directions alone, so that lengths that differ cost
// them recall.
struct NormSpread {
  double p5;
  double p50;
  double p95;
};

// What all requests are drawn from. Moving it keeps the contents in place that spans point into.
struct DataSet {
  Bundle bundle;
  std::string digest;                      // of the bundle as read, before --normalize
  std::optional<Hyperplanes> hyperplanes;  // the bundle's own, unless --hyperplanes overrides them
  std::optional<Pq4Codebooks> codebooks;   // the bundle's own
  std::optional<NormSpread> norms;         // after --normalize; nothing where none is finite
};

// Reads the bundle or generates one, and normalises embeddings if asked.
// Throws DataError or std::invalid_argument.
DataSet LoadData(const Options& options);

// Which users requests are drawn from, by how many behaviours they have. Held-out behaviours do not
// count, those that --max-history cuts off do.
struct UserChoice {
  size_t users;        // of the data set
  size_t median;       // behaviours, over all users
  bool is_default;     // the rule of ChooseUsers decided, not --min-history
  size_t asked_for;    // behaviours that --min-history or the rule asks for
  size_t qualifying;   // users with so many
  size_t min_history;  // behaviours that a user must have in the end: asked_for, or 0
};

// Applies --min-history. Without it users need more than 2 K behaviours where the median user has
// fewer than 2 K: in a request with K behaviours or fewer nothing is to be chosen, and a median
// over such requests says nothing of the methods. Where that leaves fewer users than the requests
// that are wanted and than kFewestUsers, all are taken.
UserChoice ChooseUsers(const DataSet& data, const Options& options);

// The 95th percentile of fewer requests is just the slowest one.
inline constexpr size_t kFewestUsers = 20;

struct UserRequest {
  size_t user;
  std::span<const int32_t> history;  // part of the bundle
  std::vector<int32_t> candidates;   // distinct, at least one
};

// Draws the requests: users with `min_history` behaviours or more, in an order given by the seed,
// each at most once. Where the bundle has candidates the first `b` of a user are taken, and users
// without any are left out. Otherwise the last `held_out` behaviours leave the history and become
// candidates, the soonest first, and items drawn by their number of occurrences in all histories
// join them up to min(b, items) distinct candidates. A user's request depends on nothing but the
// data, the user, seed, b, held_out and max_history. `data` must outlive the requests. Throws
// std::invalid_argument when no user qualifies.
std::vector<UserRequest> DrawRequests(const DataSet& data, const Options& options,
                                      size_t min_history);

}  // namespace eta::bench
