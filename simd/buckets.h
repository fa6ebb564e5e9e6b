// SPDX-License-Identifier: Apache-2.0
// Counts shared hash buckets (Reformer's LSH, arXiv 2001.04451). Bucket planes: the buckets of
// round r of n behaviours lie at planes + r * PaddedRows(n).
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/code_blocks.h"

namespace eta::simd {

constexpr size_t BucketPlanesSize(size_t n, size_t rounds) { return PaddedRows(n) * rounds; }

// counts[i] = number of rounds r in which planes[r][i] == query[r]. Reads and writes PaddedRows(n)
// values, of which the first n mean something. Precondition: rounds < 2^16.
void CountSharedBuckets(const uint16_t* planes, size_t n, size_t rounds, const uint16_t* query,
                        uint16_t* counts);

}  // namespace eta::simd
