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

namespace eta::bench {

struct DataSet {
  Bundle bundle;
  std::string digest;                      // of the bundle as read, before --normalize
  std::optional<Hyperplanes> hyperplanes;  // the bundle's own, unless --hyperplanes overrides them
};

// Reads the bundle or generates one, and normalises embeddings if asked.
// Throws DataError or std::invalid_argument.
DataSet LoadData(const Options& options);

struct UserRequest {
  size_t user;
  std::span<const int32_t> history;  // part of the bundle
  std::vector<int32_t> candidates;   // distinct, at least one
};

// Draws the requests: users in an order given by the seed, each at most once. Where the bundle has
// candidates the first `b` of a user are taken and users without any are left out. Otherwise the
// last `held_out` behaviours leave the history and become candidates, the soonest first, and items
// drawn by their number of occurrences in all histories join them up to min(b, items) distinct
// candidates. A user's request depends on nothing but the data, the user, seed, b and held_out.
// Throws std::invalid_argument when no user qualifies.
std::vector<UserRequest> DrawRequests(const DataSet& data, const Options& options);

// The bundle must outlive what points into it; moving a DataSet keeps its contents in place.

}  // namespace eta::bench
