// SPDX-License-Identifier: Apache-2.0
// Top-K of 1-bit codes by an estimate of the inner product. A code alone knows a behaviour's
// direction; one byte more, its factor, brings in the length:
//   norm:  factor |x|, estimate |x| * (bits - 2 * Hamming distance): ETA's distance times the
//          length. The cosine of the angle that the distance stands for, in place of its linear
//          form, changed recall by 0.003 at most.
//   asym:  factor |x|^2 / sum_j |p_j| for projections p = x R, estimate factor * sum_j sign(p_j) *
//          q_j for a candidate with projections q: the estimator of RaBitQ (Gao and Long, "RaBitQ",
//          SIGMOD 2024, section 3.2), with the candidate's projections quantised as in simd/asym.h.
// Both sums are W - 2 * penalty, with W = bits and the Hamming distance as the penalty, or W the
// sum of the magnitudes of the candidate's weights and the penalty that of simd/asym.h.
//
// Scores are whole numbers, so that their order is the same everywhere. First a penalty becomes a
// byte e of at most V:
//   W <= 254:                   e = penalty * 2^t, V = W * 2^t, t the largest with V <= 254 (0 for
//                               W = 0);
//   W > 254, up to 256 bits of  e = min(penalty, 255), V = 256;
//     Hamming distance:
//   else:                       e = floor(penalty * floor(254 * 2^16 / W) / 2^16), V = 254.
// With c the factor byte of a behaviour, C the largest of the history, Q = ceil(C * ceil(V / 2) /
// 2) and g = min(floor((127 * 2^16 - 1) / max(Q, 1)), 32767), its distance is
//   128 + floor(floor(c * (e - floor(V / 2)) / 2) * g / 2^16):
// 1 to 254, less is nearer. One byte for the factor and one for the distance lose up to 0.003 of
// recall@64 at 64 and 128 bits (generated, dim 64, and MovieLens, L 1,024), up to 0.006 at L 16,384
// (4 users), and 0.03 where lengths are log-normal with sigma 1.5 (simulated, 2026-11-26).
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Bytes of a code of `bits` bits with its factor, which is the last of them.
constexpr size_t FactorCodeBytes(size_t bits) { return bits / 8 + (bits % 8 != 0 ? 1 : 0) + 1; }

// The largest distance.
inline constexpr size_t kMaxFactorDistance = 254;

// n codes of `bits` bits with their factors, 1 to 4096, laid out as code blocks of
// FactorCodeBytes(bits) bytes a row (PackCodeBlocks, GatherCodeBlocks, SetBlockCode): a factor is
// one more byte plane. Any alignment; what the unused rows of the last block hold does not matter.
struct FactorBlocksView {
  const uint8_t* data;
  size_t n;
  size_t bits;
};

// The factor of a row of dim >= 1 floats for Hamming distances: its length, summed in double in
// order and rounded to float. The same on every target, because no SIMD is used.
ETA_SIMD_API float NormFactor(const float* row, size_t dim);

// Its factor for asymmetric penalties, given its projections on `bits` >= 1 hyperplanes:
// |row|^2 / sum_j |projections[j]|, both sums in double in order, rounded to float; 0 where the
// divisor is 0. The same on every target, because no SIMD is used.
ETA_SIMD_API float AsymFactor(const float* row, size_t dim, const float* projections, size_t bits);

// factor / unit, rounded to the nearest integer, halves up, and no larger than 255. NaN and
// negative factors give 0. Precondition: unit > 0.
ETA_SIMD_API uint8_t QuantizeFactor(float factor, float unit);

// distances[i] = the distance of behaviour i from the query code of ceil(rows.bits / 8) bytes, as
// above, with Hamming distances as penalties. Writes PaddedRows(rows.n) values: the first rows.n
// are valid, the rest unspecified. Preconditions: bits in [1, 4096]. Any alignment. Uses 20 KB of
// stack.
ETA_SIMD_API void NormDistances(const FactorBlocksView& rows, const uint8_t* query,
                                uint8_t* distances);

// The same for a candidate's WeightBytes(ceil(rows.bits / 8)) weights, with asymmetric penalties.
// Preconditions: those of AsymPenalties on weights, those of the tail bits are 0. Uses 20 KB of
// stack.
ETA_SIMD_API void AsymFactorDistances(const FactorBlocksView& rows, const int8_t* weights,
                                      uint8_t* distances);

// Bytes of scratch that NormTopK and AsymFactorTopK need, for any number of queries. Any alignment;
// 64 bytes is fastest. The contents need not be initialised and are unspecified afterwards.
ETA_SIMD_API size_t NormTopKScratchBytes(size_t n, size_t bits, size_t k);
ETA_SIMD_API size_t AsymFactorTopKScratchBytes(size_t n, size_t bits, size_t k);

// For each query code of ceil(rows.bits / 8) bytes the min(options.k, rows.n) positions of
// smallest distance (NormDistances), with the order, ties, results and preconditions of
// HammingTopK; the values are distances. `scratch` has NormTopKScratchBytes(n, bits, k) bytes and
// is not kept.
ETA_SIMD_API size_t NormTopK(const FactorBlocksView& rows, const Queries<uint8_t>& queries,
                             const TopKOptions& options, ScratchView scratch,
                             const TopKResult<uint16_t>& result);

// The same for candidates' weights and AsymFactorDistances, with scratch of
// AsymFactorTopKScratchBytes(n, bits, k) bytes.
ETA_SIMD_API size_t AsymFactorTopK(const FactorBlocksView& rows, const Queries<int8_t>& weights,
                                   const TopKOptions& options, ScratchView scratch,
                                   const TopKResult<uint16_t>& result);

}  // namespace eta::simd
