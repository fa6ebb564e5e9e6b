// SPDX-License-Identifier: Apache-2.0
// Asymmetric top-K: the candidate's own projections against the 1-bit codes of the behaviours. A
// bit in which a code differs from the candidate's counts as much as the candidate is far from that
// hyperplane: a behaviour's penalty is the sum of |projection_j| over the differing bits j. With
// the candidate fixed, that orders behaviours as sum_j projection_j * (2 * bit_j - 1) does: the
// estimate of an inner product that RaBitQ makes (Gao and Long, "RaBitQ", SIGMOD 2024, section 3.3,
// which quantises the query to 4 bits as well). The codes stay as they are, in code blocks.
//
// |projection_j| is quantised to a weight of 0 to 15, so that the penalty of each value of 4 bits
// is a byte in a table of 16, which a byte shuffle looks up for all rows of a vector at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// The largest magnitude of a weight: the penalty of 4 bits is then at most 60, and two of them fit
// a byte.
inline constexpr size_t kMaxWeight = 15;

// Up to 128 bits the weights of a candidate add up to at most 254, and a penalty fits a byte.
inline constexpr size_t kMaxBytePenaltyCodeBytes = 16;

// The largest penalty of codes of this many bytes.
constexpr size_t MaxPenalty(size_t code_bytes) {
  return code_bytes <= kMaxBytePenaltyCodeBytes ? 254 : code_bytes * 8 * kMaxWeight;
}

// Weights of one candidate: one byte per bit of a code.
constexpr size_t WeightBytes(size_t code_bytes) { return SaturatingProduct(code_bytes, 8); }

// weights[j] = projections[j] / scale, rounded to the nearest integer, halves away from 0, for j <
// bits; then 0 up to WeightBytes(ceil(bits / 8)). The sign is the candidate's bit. scale is the
// larger of max_j |projections[j]| / 15 and, up to 128 bits, sum_j |projections[j]| / (254 - bits /
// 2), all in double and summed in order. So |weight| <= 15, up to 128 bits the magnitudes add up to
// at most 254, and a weight times scale is off by at most scale / 2: a penalty by at most bits *
// scale / 2. NaN counts as 0 and an infinity as the largest float. The result is the same on every
// target, because no SIMD is used. Precondition: bits in [1, 4096].
ETA_SIMD_API void QuantizeProjections(const float* projections, size_t bits, int8_t* weights);

// penalties[i] = sum of |weights[j]| over the bits j of code i that are not (weights[j] > 0).
// Writes PaddedRows(rows.n) values: the first rows.n are valid, the rest unspecified. The byte form
// needs code_bytes <= kMaxBytePenaltyCodeBytes, the other code_bytes in [17, 512]. Preconditions:
// WeightBytes(code_bytes) weights; |weights[j]| <= 15; in the byte form their magnitudes add up to
// at most 254. Any alignment. Uses 17 KB of stack.
ETA_SIMD_API void AsymPenalties(const CodeBlocksView& rows, const int8_t* weights,
                                uint8_t* penalties);
ETA_SIMD_API void AsymPenalties(const CodeBlocksView& rows, const int8_t* weights,
                                uint16_t* penalties);

// Bytes of scratch that AsymTopK needs, for any number of queries. Any alignment; 64 bytes is
// fastest. The contents need not be initialised and are unspecified afterwards.
ETA_SIMD_API size_t AsymTopKScratchBytes(size_t n, size_t code_bytes, size_t k);

// For each query (WeightBytes(rows.code_bytes) weights) the min(options.k, rows.n) positions of
// smallest penalty, with the order, ties, results and preconditions of HammingTopK; the values are
// penalties, and the weights meet the preconditions of AsymPenalties. `scratch` has
// AsymTopKScratchBytes(n, code_bytes, k) bytes and is not kept.
ETA_SIMD_API size_t AsymTopK(const CodeBlocksView& rows, const Queries<int8_t>& weights,
                             const TopKOptions& options, ScratchView scratch,
                             const TopKResult<uint16_t>& result);

}  // namespace eta::simd
