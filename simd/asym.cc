// SPDX-License-Identifier: Apache-2.0
#include "simd/asym.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "simd/internal/block_topk_layout.h"
#include "simd/internal/common.h"
#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/asym.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/block_topk-inl.h"

#ifndef ETA_SIMD_ASYM_TYPES_
#define ETA_SIMD_ASYM_TYPES_
namespace eta::simd {

// Two tables of 16 penalties a byte of a code: of its lower four bits, then of its upper four.
inline constexpr size_t kAsymTableBytes = 32;
inline constexpr size_t kMaxAsymCodeBytes = 512;

// Queries whose tables are made together: those that share a pass over the history.
inline constexpr size_t kAsymTile = BlockTopKLayout::kMaxTile;

inline BlockTopKLayout AsymLayout(size_t n, size_t code_bytes, size_t k) {
  return {n, code_bytes, k, code_bytes <= kMaxBytePenaltyCodeBytes ? size_t{1} : size_t{2},
          MaxPenalty(code_bytes)};
}

}  // namespace eta::simd
#endif  // ETA_SIMD_ASYM_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// At most one plane of a block.
using AsymTag = hn::CappedTag<uint8_t, kBlockRows>;
using AsymVector = hn::Vec<AsymTag>;

// The tables of a query. Entry m of a table is the penalty of the four bits m: a bit that is not
// (weight > 0) adds |weight|. That is the sum of the positive weights, minus the weights whose bit
// is 1.
HWY_INLINE void MakePenaltyTables(const int8_t* HWY_RESTRICT weights, size_t code_bytes,
                                  uint8_t* HWY_RESTRICT tables) {
  const hn::FixedTag<uint8_t, 16> d;
  const auto entry = hn::Iota(d, 0);
  const auto has = [&](uint8_t bit) HWY_ATTR {
    return hn::VecFromMask(d, hn::Eq(hn::And(entry, hn::Set(d, bit)), hn::Set(d, bit)));
  };
  const auto has0 = has(1), has1 = has(2), has2 = has(4), has3 = has(8);
  for (size_t t = 0; t < 2 * code_bytes; ++t, weights += 4, tables += 16) {
    const int all = HWY_MAX(weights[0], 0) + HWY_MAX(weights[1], 0) + HWY_MAX(weights[2], 0) +
                    HWY_MAX(weights[3], 0);
    const auto weight = [&](size_t j)
                            HWY_ATTR { return hn::Set(d, static_cast<uint8_t>(weights[j])); };
    auto sum = hn::Set(d, static_cast<uint8_t>(all));
    sum = hn::Sub(sum, hn::And(has0, weight(0)));
    sum = hn::Sub(sum, hn::And(has1, weight(1)));
    sum = hn::Sub(sum, hn::And(has2, weight(2)));
    sum = hn::Sub(sum, hn::And(has3, weight(3)));
    hn::StoreU(sum, d, tables);
  }
}

// The penalties of a vector's width of one plane.
HWY_INLINE AsymVector PlanePenalties(AsymTag d, const uint8_t* plane, AsymVector lower,
                                     AsymVector upper) {
  const auto v = hn::LoadU(d, plane);
  const auto low = hn::And(v, hn::Set(d, uint8_t{0x0F}));
  return hn::Add(hn::TableLookupBytes(lower, low),
                 hn::TableLookupBytes(upper, hn::ShiftRight<4>(v)));
}

// Penalties of whole blocks as bytes. Four blocks at once share the loads of the tables.
inline void BlockPenalties(const uint8_t* HWY_RESTRICT blocks, size_t num_blocks, size_t code_bytes,
                           const uint8_t* HWY_RESTRICT tables, uint8_t* HWY_RESTRICT penalties) {
  const AsymTag d;
  const size_t block_bytes = code_bytes * kBlockRows;
  size_t b = 0;
  for (; b + 4 <= num_blocks; b += 4) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* HWY_RESTRICT plane = blocks + b * block_bytes + lane;
      auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
      for (size_t p = 0; p < code_bytes; ++p, plane += kBlockRows) {
        const auto lower = hn::LoadDup128(d, tables + p * kAsymTableBytes);
        const auto upper = hn::LoadDup128(d, tables + p * kAsymTableBytes + 16);
        sum0 = hn::Add(sum0, PlanePenalties(d, plane, lower, upper));
        sum1 = hn::Add(sum1, PlanePenalties(d, plane + block_bytes, lower, upper));
        sum2 = hn::Add(sum2, PlanePenalties(d, plane + 2 * block_bytes, lower, upper));
        sum3 = hn::Add(sum3, PlanePenalties(d, plane + 3 * block_bytes, lower, upper));
      }
      uint8_t* out = penalties + b * kBlockRows + lane;
      hn::StoreU(sum0, d, out);
      hn::StoreU(sum1, d, out + kBlockRows);
      hn::StoreU(sum2, d, out + 2 * kBlockRows);
      hn::StoreU(sum3, d, out + 3 * kBlockRows);
    }
  }
  for (; b < num_blocks; ++b) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* HWY_RESTRICT plane = blocks + b * block_bytes + lane;
      auto sum = hn::Zero(d);
      for (size_t p = 0; p < code_bytes; ++p, plane += kBlockRows) {
        sum = hn::Add(sum, PlanePenalties(d, plane, hn::LoadDup128(d, tables + p * kAsymTableBytes),
                                          hn::LoadDup128(d, tables + p * kAsymTableBytes + 16)));
      }
      hn::StoreU(sum, d, penalties + b * kBlockRows + lane);
    }
  }
}

using WideAsymTag = hn::Repartition<uint16_t, AsymTag>;

// Adds byte sums to 16-bit sums of the even rows and of the odd ones: no lane moves.
HWY_INLINE void AddWidenedPenalties(AsymVector sum, hn::Vec<WideAsymTag>& even,
                                    hn::Vec<WideAsymTag>& odd) {
  const WideAsymTag d16;
  const auto pairs = hn::BitCast(d16, sum);
  even = hn::Add(even, hn::And(pairs, hn::Set(d16, uint16_t{0x00FF})));
  odd = hn::Add(odd, hn::ShiftRight<8>(pairs));
}

// Penalties of a vector's width of rows of two blocks, `block_bytes` apart. Two planes fit a byte:
// 16 weights of 15.
HWY_INLINE void TwoBlockPenalties16(const uint8_t* HWY_RESTRICT plane, size_t block_bytes,
                                    size_t code_bytes, const uint8_t* HWY_RESTRICT tables,
                                    uint16_t* HWY_RESTRICT out, uint16_t* HWY_RESTRICT out1) {
  const AsymTag d;
  const WideAsymTag d16;
  auto even = hn::Zero(d16), odd = even, even1 = even, odd1 = even;
  const auto step = [&](AsymVector& sum, AsymVector& sum1) HWY_ATTR {
    const auto lower = hn::LoadDup128(d, tables), upper = hn::LoadDup128(d, tables + 16);
    sum = hn::Add(sum, PlanePenalties(d, plane, lower, upper));
    sum1 = hn::Add(sum1, PlanePenalties(d, plane + block_bytes, lower, upper));
    plane += kBlockRows;
    tables += kAsymTableBytes;
  };
  size_t p = 0;
  for (; p + 2 <= code_bytes; p += 2) {
    auto sum = hn::Zero(d), sum1 = sum;
    step(sum, sum1);
    step(sum, sum1);
    AddWidenedPenalties(sum, even, odd);
    AddWidenedPenalties(sum1, even1, odd1);
  }
  if (p != code_bytes) {
    auto sum = hn::Zero(d), sum1 = sum;
    step(sum, sum1);
    AddWidenedPenalties(sum, even, odd);
    AddWidenedPenalties(sum1, even1, odd1);
  }
  hn::StoreInterleaved2(even, odd, d16, out);
  hn::StoreInterleaved2(even1, odd1, d16, out1);
}

// Penalties of whole blocks in 16 bits.
inline void BlockPenalties(const uint8_t* HWY_RESTRICT blocks, size_t num_blocks, size_t code_bytes,
                           const uint8_t* HWY_RESTRICT tables, uint16_t* HWY_RESTRICT penalties) {
  const size_t block_bytes = code_bytes * kBlockRows;
  for (size_t b = 0; b < num_blocks; b += 2) {
    // A last block without a partner is computed twice, into the same place.
    const size_t next = b + 1 < num_blocks ? 1 : 0;
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(AsymTag())) {
      uint16_t* out = penalties + b * kBlockRows + lane;
      TwoBlockPenalties16(blocks + b * block_bytes + lane, next * block_bytes, code_bytes, tables,
                          out, out + next * kBlockRows);
    }
  }
}

// What BlockTopK scans with. A query is its tables.
struct AsymScan {
  static constexpr bool kMaySaturate = false;
  static size_t MaxDistance(size_t code_bytes) { return MaxPenalty(code_bytes); }
  template <typename T>
  static HWY_INLINE void Distances(const CodeBlocksView& rows, const uint8_t* tables,
                                   T* penalties) {
    BlockPenalties(rows.data, NumBlocks(rows.n), rows.code_bytes, tables, penalties);
  }
};

template <typename T>
HWY_INLINE void ComputePenalties(const CodeBlocksView& rows, const int8_t* weights, T* penalties) {
  HWY_ALIGN uint8_t tables[kMaxAsymCodeBytes * kAsymTableBytes];
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
  const size_t stride = rows.code_bytes * kAsymTableBytes;
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
  HWY_DASSERT(bits >= 1 && bits <= 8 * kMaxAsymCodeBytes);
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
  HWY_DASSERT(rows.code_bytes >= 1 && rows.code_bytes <= kMaxBytePenaltyCodeBytes);
  HWY_DYNAMIC_DISPATCH(AsymPenalties8OnTarget)(rows, weights, penalties);
}

void AsymPenalties(const CodeBlocksView& rows, const int8_t* weights, uint16_t* penalties) {
  HWY_DASSERT(rows.code_bytes > kMaxBytePenaltyCodeBytes && rows.code_bytes <= kMaxAsymCodeBytes);
  HWY_DYNAMIC_DISPATCH(AsymPenalties16OnTarget)(rows, weights, penalties);
}

size_t AsymTopKScratchBytes(size_t n, size_t code_bytes, size_t k) {
  return kAsymTile * code_bytes * kAsymTableBytes + AsymLayout(n, code_bytes, k).bytes();
}

size_t AsymTopK(const CodeBlocksView& rows, const Queries<int8_t>& weights,
                const TopKOptions& options, void* scratch, const TopKResult<uint16_t>& result) {
  HWY_DASSERT(rows.code_bytes >= 1 && rows.code_bytes <= kMaxAsymCodeBytes && options.k >= 1);
  HWY_DASSERT(weights.stride >= WeightBytes(rows.code_bytes));
  HWY_DASSERT(rows.n <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
  if (!AnsweredWithoutScan(rows.n, weights.count, options, result)) {
    HWY_DYNAMIC_DISPATCH(AsymTopKOnTarget)(rows, weights, options, scratch, result);
  }
  return std::min(options.k, rows.n);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
