// SPDX-License-Identifier: Apache-2.0
// What every top-K kernel is asked and what it answers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::simd {

// Which of several equally near positions comes first. Position 0 is the oldest behaviour; FAISS's
// flat indexes are observed to keep the oldest.
enum class TieOrder { kNewestFirst, kOldestFirst };

// kSorted: nearest first, ties in TieOrder. kAny: exactly the same set in unspecified order.
enum class ResultOrder { kSorted, kAny };

struct TopKOptions {
  size_t k;  // at least 1
  TieOrder ties = TieOrder::kNewestFirst;
  ResultOrder order = ResultOrder::kAny;
};

// Where the answers go: those of query q at positions + q * k and values + q * k. A call returns
// min(k, n), the number of valid entries in every row; it leaves the rest of a row untouched.
template <typename Value>
struct TopKResult {
  int32_t* positions;       // queries x k
  Value* values = nullptr;  // queries x k distances, penalties or scores; null when not wanted
};

// True where nothing needs to be compared: all n positions are wanted, in any order, without their
// distances or scores. Fills the result rows (k apart) with 0 to n - 1 then. Histories of up to K
// behaviours are common: on MovieLens more than half.
inline bool WroteAllPositions(size_t n, size_t num_queries, size_t k, ResultOrder order,
                              bool values_wanted, int32_t* positions) {
  if (n > k || order != ResultOrder::kAny || values_wanted) return false;
  for (size_t q = 0; q < num_queries; ++q) {
    for (size_t i = 0; i < n; ++i) positions[q * k + i] = static_cast<int32_t>(i);
  }
  return true;
}

}  // namespace eta::simd
