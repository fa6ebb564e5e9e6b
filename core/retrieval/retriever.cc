// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/retriever.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "core/base/check.h"

namespace eta {

void Retriever::RequireItems(std::span<const int32_t> ids, const char* what) const {
  constexpr size_t kMost = std::numeric_limits<int32_t>::max();  // positions are int32
  if (ids.size() > kMost) {
    throw TooLongError(Cat(what, " has ", ids.size(), " ids, must have at most ", kMost));
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    Require(ids[i] >= 0 && static_cast<size_t>(ids[i]) < num_items_, what, "[", i, "] = ", ids[i],
            " is not an item id; there are ", num_items_, " items");
  }
}

std::unique_ptr<PreparedHistory> Retriever::Prepare(std::span<const int32_t> history) const {
  RequireItems(history, "history");
  return DoPrepare(history);
}

void Retriever::Retrieve(const PreparedHistory& history, std::span<const int32_t> candidates,
                         size_t k, Scratch& scratch, RetrievedView out) const {
  Require(k >= 1, "k must be at least 1");
  RequireItems(candidates, "candidates");
  Require(out.positions.size() == candidates.size() * k, "positions has ", out.positions.size(),
          " entries for ", candidates.size(), " candidates and k = ", k);
  Require(out.counts.size() == candidates.size(), "counts has ", out.counts.size(), " entries for ",
          candidates.size(), " candidates");
  std::ranges::fill(out.positions, -1);
  std::ranges::fill(out.counts, 0);
  if (history.length() == 0 || candidates.empty()) return;
  DoRetrieve(history, candidates, k, scratch, out);
}

}  // namespace eta
