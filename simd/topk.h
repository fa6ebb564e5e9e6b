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

// How many rows a query gets, and in which order.
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

  // Where the answers of query `first` and those after it go.
  TopKResult from(size_t first, size_t k) const {
    return {positions + first * k, values == nullptr ? nullptr : values + first * k};
  }
};

}  // namespace eta::simd
