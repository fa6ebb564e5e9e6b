// SPDX-License-Identifier: Apache-2.0
#include "simd/asym.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "simd/internal/block_topk_layout.h"
#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/asym.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/block_topk-inl.h"
#include "simd/internal/code_scan-inl.h"

#ifndef ETA_SIMD_ASYM_TYPES_
#define ETA_SIMD_ASYM_TYPES_
namespace eta::simd {

// Queries whose tables are made together: those that share a pass over the history.
inline constexpr size_t kAsymTile = BlockTopKLayout::kMaxTile;

inline BlockTopKLayout AsymLayout(size_t n, size_t code_bytes, size_t k) {
  return {n, code_bytes, k, code_bytes <= kMaxBytePenaltyCodeBytes ? size_t{1} : size_t{2},
          MaxPenalty(code_bytes)};
}

static_assert(kMaxBytePenaltyCodeBytes == kMaxByteWeightPlanes);

}  // namespace eta::simd
#endif  // ETA_SIMD_ASYM_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

using AsymScan = NibbleScan<MaxPenalty>;

template <typename T>
HWY_INLINE void ComputePenalties(const CodeBlocksView& rows, const int8_t* weights, T* penalties) {
  HWY_ALIGN uint8_t tables[kMaxRankedCodeBytes * kNibbleTableBytes];
  MakePenaltyTables(weights, rows.code_bytes, tables);
  AsymScan::Distances(rows, tables, penalties);
}

void AsymPenalties8OnTarget(const CodeBlocksView& rows, const int8_t* weights, uint8_t* penalties) {
  ComputePenalties(rows, weights, penalties);
}

void AsymPenalties16OnTarget(const CodeBlocksView& rows, const int8_t* weights,
                             uint16_t* penalties) {
  ComputePenalties(rows, weights, penalties);
}

// Queries are taken a tile at a time, so that the scratch for their tables is bounded.
void AsymTopKOnTarget(const CodeBlocksView& rows, const Queries<int8_t>& weights,
                      const TopKOptions& options, void* scratch,
                      const TopKResult<uint16_t>& result) {
  auto* tables = static_cast<uint8_t*>(scratch);
  const size_t stride = rows.code_bytes * kNibbleTableBytes;
  void* rest = tables + kAsymTile * stride;
  for (size_t q = 0; q < weights.count; q += kAsymTile) {
    const size_t count = HWY_MIN(kAsymTile, weights.count - q);
    for (size_t i = 0; i < count; ++i) {
      MakePenaltyTables(weights.query(q + i), rows.code_bytes, tables + i * stride);
    }
    const Queries<uint8_t> queries = {tables, count, stride};
    const TopKResult<uint16_t> results = result.from(q, options.k);
    if (rows.code_bytes <= kMaxBytePenaltyCodeBytes) {
      BlockTopK<uint8_t, AsymScan>(rows, queries, options, rest, results).Run();
    } else {
      BlockTopK<uint16_t, AsymScan>(rows, queries, options, rest, results).Run();
    }
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(AsymPenalties8OnTarget);
HWY_EXPORT(AsymPenalties16OnTarget);
HWY_EXPORT(AsymTopKOnTarget);

void QuantizeProjections(const float* projections, size_t bits, int8_t* weights) {
  ETA_SIMD_REQUIRE(bits >= 1 && bits <= 8 * kMaxRankedCodeBytes);
  const size_t code_bytes = (bits + 7) / 8;
  const auto finite = [&](size_t j) {
    constexpr double kMost = std::numeric_limits<float>::max();
    const double x = projections[j];
    return std::isnan(x) ? 0.0 : std::clamp(x, -kMost, kMost);
  };
  double most = 0, sum = 0;
  for (size_t j = 0; j < bits; ++j) {
    most = std::max(most, std::abs(finite(j)));
    sum += std::abs(finite(j));
  }
  double scale = most / static_cast<double>(kMaxWeight);
  if (code_bytes <= kMaxBytePenaltyCodeBytes) {
    const double budget =
        static_cast<double>(MaxPenalty(code_bytes)) - static_cast<double>(bits) / 2;
    scale = std::max(scale, sum / budget);
  }
  for (size_t j = 0; j < WeightBytes(code_bytes); ++j) {
    const double weight = j < bits && scale > 0 ? std::round(finite(j) / scale) : 0;
    weights[j] = static_cast<int8_t>(weight);
  }
}

void AsymPenalties(const CodeBlocksView& rows, const int8_t* weights, uint8_t* penalties) {
  ETA_SIMD_REQUIRE(rows.code_bytes >= 1);
  HWY_ASSERT(rows.code_bytes <= kMaxBytePenaltyCodeBytes);  // else penalties may not fit a byte
  HWY_DYNAMIC_DISPATCH(AsymPenalties8OnTarget)(rows, weights, penalties);
}

void AsymPenalties(const CodeBlocksView& rows, const int8_t* weights, uint16_t* penalties) {
  HWY_ASSERT(rows.code_bytes > kMaxBytePenaltyCodeBytes && rows.code_bytes <= kMaxRankedCodeBytes);
  HWY_DYNAMIC_DISPATCH(AsymPenalties16OnTarget)(rows, weights, penalties);
}

size_t AsymTopKScratchBytes(size_t n, size_t code_bytes, size_t k) {
  if (!HasBlockTopKScratch(n, code_bytes)) return kNoScratch;
  return kAsymTile * code_bytes * kNibbleTableBytes + AsymLayout(n, code_bytes, k).bytes();
}

size_t AsymTopK(const CodeBlocksView& rows, const Queries<int8_t>& weights,
                const TopKOptions& options, ScratchView scratch,
                const TopKResult<uint16_t>& result) {
  ETA_SIMD_REQUIRE(HasBlockTopKScratch(rows.n, rows.code_bytes) && options.k >= 1);
  ETA_SIMD_REQUIRE(weights.stride >= WeightBytes(rows.code_bytes));
  ETA_SIMD_REQUIRE(scratch.bytes >= AsymTopKScratchBytes(rows.n, rows.code_bytes, options.k));
  if (!AnsweredWithoutScan(rows.n, weights.count, options, result)) {
    HWY_DYNAMIC_DISPATCH(AsymTopKOnTarget)(rows, weights, options, scratch.data, result);
  }
  return std::min(options.k, rows.n);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
