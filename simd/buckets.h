// SPDX-License-Identifier: Apache-2.0
// Counts shared hash buckets: Reformer's LSH (Kitaev et al., arXiv 2001.04451, section 2), in which
// a vector gets one bucket number per hashing round.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// The buckets of n behaviours, oldest first, as one plane per round: behaviour i's bucket in round
// r is data[r * PaddedRows(n) + i]. BucketPlanesSize(n, rounds) values of any alignment; those past
// behaviour n - 1 are read but never matter.
struct BucketPlanesView {
  const uint16_t* data;
  size_t n;
  size_t rounds;
};

// Number of uint16_t values in the planes.
constexpr size_t BucketPlanesSize(size_t n, size_t rounds) {
  return SaturatingProduct(PaddedRows(n), rounds);
}

// counts[i] = number of rounds r in which behaviour i has the bucket query[r]. Writes
// PaddedRows(planes.n) values: the first planes.n are valid, the rest unspecified. Preconditions:
// `query` has planes.rounds values; planes.rounds < 2^16.
ETA_SIMD_API void CountSharedBuckets(const BucketPlanesView& planes, const uint16_t* query,
                                     uint16_t* counts);

}  // namespace eta::simd
