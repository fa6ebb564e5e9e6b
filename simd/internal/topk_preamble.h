// SPDX-License-Identifier: Apache-2.0
// What every top-K function does before it scans anything; internal to simd/.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/topk.h"

namespace eta::simd {

// Answers a call that needs no comparison, and says whether it was one: there are no rows or no
// queries, or all n <= k rows are wanted in any order without their values. Then every result row
// is 0 to n - 1. Histories of up to K behaviours are common: on MovieLens more than half.
template <typename Value>
bool AnsweredWithoutScan(size_t n, size_t num_queries, const TopKOptions& options,
                         const TopKResult<Value>& result) {
  if (n == 0 || num_queries == 0) return true;
  if (n > options.k || options.order != ResultOrder::kAny || result.values != nullptr) return false;
  for (size_t q = 0; q < num_queries; ++q) {
    int32_t* positions = result.positions + q * options.k;
    for (size_t i = 0; i < n; ++i) positions[i] = static_cast<int32_t>(i);
  }
  return true;
}

}  // namespace eta::simd
