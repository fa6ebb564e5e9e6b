// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/buckets.h, on the buckets of one behaviour after another, not in planes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace eta::reference {

// For each behaviour the number of hashing rounds in which it has the query's bucket. `query` has a
// bucket per round; `buckets` has query.size() for each behaviour, oldest first.
// Precondition: query.size() is from 1 to 2^16 - 1.
std::vector<uint16_t> CountSharedBuckets(std::span<const uint16_t> buckets,
                                         std::span<const uint16_t> query);

}  // namespace eta::reference
