// SPDX-License-Identifier: Apache-2.0
// Top-K by scores in float32 that a scorer computes for a few queries at a time.

// clang-format off
#if defined(ETA_SIMD_FLOAT_TOPK_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_FLOAT_TOPK_INL_H_
#undef ETA_SIMD_FLOAT_TOPK_INL_H_
#else
#define ETA_SIMD_FLOAT_TOPK_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"
#include "simd/internal/common.h"
#include "simd/internal/float_select-inl.h"
#include "simd/views.h"

#ifndef ETA_SIMD_FLOAT_TOPK_TYPES_
#define ETA_SIMD_FLOAT_TOPK_TYPES_
namespace eta::simd {

// Queries scored together: a history beyond the L2 cache is read once for all of them, and their
// scores still fit it (24 x 1,024 x 4 bytes = 96 KiB). A multiple of the 6 queries that the float
// and the VNNI kernels score at once, and of the 4 of the int8 kernel without VNNI.
inline constexpr size_t kFloatTopKTile = 24;

// Scratch of FloatTopK for n rows: the selector's, which needs the wider alignment, then scores.
constexpr size_t FloatTopKScratchBytes(size_t n) {
  return sizeof(uint64_t) + FloatSelectScratchBytes(n) +
         kFloatTopKTile * PaddedRows(n) * sizeof(float);
}

}  // namespace eta::simd
#endif  // ETA_SIMD_FLOAT_TOPK_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// score(first, count, scores, stride) writes the scores of queries [first, first + count) with the
// n rows, those of one query `stride` = PaddedRows(n) floats after those of the one before. n, k
// and num_queries are at least 1; `scratch` is of FloatTopKScratchBytes(n) bytes.
template <class Score>
HWY_INLINE void FloatTopK(size_t n, size_t num_queries, const TopKOptions& options, void* scratch,
                          const TopKResult<float>& result, Score score) {
  const size_t stride = PaddedRows(n);
  auto* select_scratch = static_cast<uint8_t*>(AlignUp(scratch, sizeof(uint64_t)));
  auto* scores = reinterpret_cast<float*>(select_scratch + FloatSelectScratchBytes(n));
  FloatSelector selector(n, options, select_scratch);
  for (size_t q = 0; q < num_queries; q += kFloatTopKTile) {
    const size_t tile = HWY_MIN(kFloatTopKTile, num_queries - q);
    score(q, tile, scores, stride);
    for (size_t i = 0; i < tile; ++i) {
      const size_t row = (q + i) * options.k;
      selector.Select(scores + i * stride, result.positions + row,
                      result.values == nullptr ? nullptr : result.values + row);
    }
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
