// SPDX-License-Identifier: Apache-2.0
#include "simd/hamming.h"

#include <algorithm>
#include <limits>

#include "simd/internal/block_topk_layout.h"
#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/hamming.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/block_topk-inl.h"
#include "simd/internal/code_scan-inl.h"

#ifndef ETA_SIMD_HAMMING_TYPES_
#define ETA_SIMD_HAMMING_TYPES_
namespace eta::simd {

// Codes of up to this many bytes (384 bits) are ranked by distances of one byte, which saturate
// beyond 248 bits. Their K-th nearest is hardly ever that far; a query for which it is runs again
// with 16 bits.
inline constexpr size_t kMaxSaturatedCodeBytes = 48;

static_assert(kMaxByteDistanceCodeBytes == kMaxByteDistancePlanes);

}  // namespace eta::simd
#endif  // ETA_SIMD_HAMMING_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// What BlockTopK scans with.
struct HammingScan {
  static constexpr bool kMaySaturate = true;
  static size_t MaxDistance(size_t code_bytes) { return code_bytes * 8; }
  template <typename T>
  static HWY_INLINE void Distances(const CodeBlocksView& rows, const uint8_t* query, T* distances) {
    BlockDistances(AllPlanes(rows), query, distances);
  }
};

void HammingDistances8OnTarget(const CodeBlocksView& rows, const uint8_t* query,
                               uint8_t* distances) {
  HammingScan::Distances(rows, query, distances);
}

void HammingDistances16OnTarget(const CodeBlocksView& rows, const uint8_t* query,
                                uint16_t* distances) {
  HammingScan::Distances(rows, query, distances);
}

void HammingTopKOnTarget(const CodeBlocksView& rows, const Queries<uint8_t>& queries,
                         const TopKOptions& options, void* scratch,
                         const TopKResult<uint16_t>& result) {
  if (rows.code_bytes <= kMaxSaturatedCodeBytes) {
    BlockTopK<uint8_t, HammingScan>(rows, queries, options, scratch, result).Run();
  } else {
    BlockTopK<uint16_t, HammingScan>(rows, queries, options, scratch, result).Run();
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(HammingDistances8OnTarget);
HWY_EXPORT(HammingDistances16OnTarget);
HWY_EXPORT(HammingTopKOnTarget);

void HammingDistances(const CodeBlocksView& rows, const uint8_t* query, uint8_t* distances) {
  ETA_SIMD_REQUIRE(rows.code_bytes >= 1);
  HWY_ASSERT(rows.code_bytes <=
             kMaxByteDistanceCodeBytes);  // else distances of 255 and more are lost
  HWY_DYNAMIC_DISPATCH(HammingDistances8OnTarget)(rows, query, distances);
}

void HammingDistances(const CodeBlocksView& rows, const uint8_t* query, uint16_t* distances) {
  ETA_SIMD_REQUIRE(rows.code_bytes >= 1);
  HWY_ASSERT(rows.code_bytes <= 8191);
  HWY_DYNAMIC_DISPATCH(HammingDistances16OnTarget)(rows, query, distances);
}

size_t HammingTopKScratchBytes(size_t n, size_t code_bytes, size_t k) {
  if (!HasBlockTopKScratch(n, code_bytes)) return kNoScratch;
  // Where bytes may saturate, room for the run with 16 bits.
  const size_t distance_bytes = code_bytes <= kMaxByteDistanceCodeBytes ? 1 : 2;
  return BlockTopKLayout(n, code_bytes, k, distance_bytes, code_bytes * 8).bytes();
}

size_t HammingTopK(const CodeBlocksView& rows, const Queries<uint8_t>& queries,
                   const TopKOptions& options, ScratchView scratch,
                   const TopKResult<uint16_t>& result) {
  ETA_SIMD_REQUIRE(HasBlockTopKScratch(rows.n, rows.code_bytes) && options.k >= 1);
  ETA_SIMD_REQUIRE(queries.count <= 1 || queries.stride >= rows.code_bytes);
  ETA_SIMD_REQUIRE(scratch.bytes >= HammingTopKScratchBytes(rows.n, rows.code_bytes, options.k));
  if (!AnsweredWithoutScan(rows.n, queries.count, options, result)) {
    HWY_DYNAMIC_DISPATCH(HammingTopKOnTarget)(rows, queries, options, scratch.data, result);
  }
  return std::min(options.k, rows.n);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
