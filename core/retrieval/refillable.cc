// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/refillable.h"

#include <vector>

#include "core/base/check.h"
#include "simd/target.h"

namespace eta {

std::string RefillableRetriever::target() const { return simd::TargetName(simd::ActiveTarget()); }

void RefillableRetriever::Refill(RefillableHistory& history, std::span<const int32_t> items) const {
  Require(items.size() <= history.capacity(), "a history of ", items.size(),
          " behaviours, with room for ", history.capacity());
  RequireItems(items, "history");
  DoRefill(history, items);
  history.set_length(items.size());
}

std::unique_ptr<PreparedHistory> RefillableRetriever::DoPrepare(
    std::span<const int32_t> history) const {
  auto prepared = NewHistory(history.size());
  DoRefill(*prepared, history);
  prepared->set_length(history.size());
  return prepared;
}

std::unique_ptr<Scratch> RefillableRetriever::NewScratch() const {
  return std::make_unique<KernelScratch>();
}

// Serves one request of the largest size, which grows every buffer to what the method needs.
std::unique_ptr<Scratch> RefillableRetriever::NewScratchFor(const RequestLimits& limits) const {
  auto scratch = NewScratch();
  const std::vector<int32_t> items(limits.length), candidates(limits.candidates);
  std::vector<int32_t> positions(limits.candidates * limits.k), counts(limits.candidates);
  Retrieve(*Prepare(items), candidates, limits.k, *scratch, {positions, counts});
  return scratch;
}

}  // namespace eta
