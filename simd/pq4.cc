// SPDX-License-Identifier: Apache-2.0
#include "simd/pq4.h"

#include <algorithm>
#include <limits>

#include "simd/internal/block_topk_layout.h"
#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/pq4.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/block_topk-inl.h"
#include "simd/internal/code_scan-inl.h"

#ifndef ETA_SIMD_PQ4_TYPES_
#define ETA_SIMD_PQ4_TYPES_
namespace eta::simd {

constexpr size_t MaxPq4Penalty(size_t code_bytes) { return code_bytes * 2 * kPq4MaxEntry; }

}  // namespace eta::simd
#endif  // ETA_SIMD_PQ4_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

using Pq4Scan = NibbleScan<MaxPq4Penalty, /*kSaturates=*/true>;

void Pq4Penalties8OnTarget(const CodeBlocksView& rows, const uint8_t* tables, uint8_t* penalties) {
  Pq4Scan::Distances(rows, tables, penalties);
}

void Pq4Penalties16OnTarget(const CodeBlocksView& rows, const uint8_t* tables,
                            uint16_t* penalties) {
  Pq4Scan::Distances(rows, tables, penalties);
}

void Pq4TopKOnTarget(const CodeBlocksView& rows, const Queries<uint8_t>& tables,
                     const TopKOptions& options, void* scratch,
                     const TopKResult<uint16_t>& result) {
  if (rows.code_bytes <= kPq4MaxByteCodeBytes) {
    BlockTopK<uint8_t, Pq4Scan>(rows, tables, options, scratch, result).Run();
  } else {
    BlockTopK<uint16_t, Pq4Scan>(rows, tables, options, scratch, result).Run();
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(Pq4Penalties8OnTarget);
HWY_EXPORT(Pq4Penalties16OnTarget);
HWY_EXPORT(Pq4TopKOnTarget);

void Pq4Penalties(const CodeBlocksView& rows, const uint8_t* tables, uint8_t* penalties) {
  ETA_SIMD_REQUIRE(rows.code_bytes >= 1);
  HWY_ASSERT(rows.code_bytes <= kPq4MaxByteCodeBytes);
  HWY_DYNAMIC_DISPATCH(Pq4Penalties8OnTarget)(rows, tables, penalties);
}

void Pq4Penalties(const CodeBlocksView& rows, const uint8_t* tables, uint16_t* penalties) {
  ETA_SIMD_REQUIRE(rows.code_bytes >= 1);
  HWY_ASSERT(rows.code_bytes <= kMaxRankedCodeBytes);  // else sums may not fit 16 bits
  HWY_DYNAMIC_DISPATCH(Pq4Penalties16OnTarget)(rows, tables, penalties);
}

size_t Pq4TopKScratchBytes(size_t n, size_t code_bytes, size_t k) {
  if (!HasBlockTopKScratch(n, code_bytes)) return kNoScratch;
  // Penalties that do not fit a byte are ranked in 16 bits, whatever the width.
  return BlockTopKLayout(n, code_bytes, k, 2, MaxPq4Penalty(code_bytes)).bytes();
}

size_t Pq4TopK(const CodeBlocksView& rows, const Queries<uint8_t>& tables,
               const TopKOptions& options, ScratchView scratch,
               const TopKResult<uint16_t>& result) {
  ETA_SIMD_REQUIRE(HasBlockTopKScratch(rows.n, rows.code_bytes) && options.k >= 1);
  ETA_SIMD_REQUIRE(tables.stride >= Pq4TableBytes(rows.code_bytes));
  ETA_SIMD_REQUIRE(scratch.bytes >= Pq4TopKScratchBytes(rows.n, rows.code_bytes, options.k));
  if (!AnsweredWithoutScan(rows.n, tables.count, options, result)) {
    HWY_DYNAMIC_DISPATCH(Pq4TopKOnTarget)(rows, tables, options, scratch.data, result);
  }
  return std::min(options.k, rows.n);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
