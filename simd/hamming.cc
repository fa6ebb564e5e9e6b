// SPDX-License-Identifier: Apache-2.0
#include "simd/hamming.h"

#include <algorithm>
#include <limits>

#include "simd/internal/block_topk_layout.h"
#include "simd/internal/common.h"
#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/hamming.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/block_topk-inl.h"

#ifndef ETA_SIMD_HAMMING_TYPES_
#define ETA_SIMD_HAMMING_TYPES_
namespace eta::simd {

// Codes of up to this many bytes (384 bits) are ranked by distances of one byte, which saturate
// beyond 248 bits. Their K-th nearest is hardly ever that far; a query for which it is runs again
// with 16 bits.
inline constexpr size_t kMaxSaturatedCodeBytes = 48;

}  // namespace eta::simd
#endif  // ETA_SIMD_HAMMING_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

namespace {
namespace hn = hwy::HWY_NAMESPACE;

// At most one plane of a block.
using PlaneTag = hn::CappedTag<uint8_t, kBlockRows>;
using PlaneVector = hn::Vec<PlaneTag>;

// Adds the number of bits in which `planes` (a vector's width of one plane) differs from q.
HWY_INLINE PlaneVector AddDifferences(PlaneTag d, const uint8_t* planes, PlaneVector q,
                                      PlaneVector sum) {
  return hn::Add(sum, hn::PopulationCount(hn::Xor(hn::LoadU(d, planes), q)));
}

// Sums over `num_planes` <= 31 planes of four blocks, `block_bytes` apart. The broadcast of a query
// byte costs a shuffle, which four vectors share.
HWY_INLINE void FourBlockDistances(PlaneTag d, const uint8_t* HWY_RESTRICT block,
                                   size_t block_bytes, size_t num_planes,
                                   const uint8_t* HWY_RESTRICT query, PlaneVector& sum0,
                                   PlaneVector& sum1, PlaneVector& sum2, PlaneVector& sum3) {
  sum0 = sum1 = sum2 = sum3 = hn::Zero(d);
  for (size_t p = 0; p < num_planes; ++p) {
    const auto q = hn::Set(d, query[p]);
    const uint8_t* plane = block + p * kBlockRows;
    sum0 = AddDifferences(d, plane, q, sum0);
    sum1 = AddDifferences(d, plane + block_bytes, q, sum1);
    sum2 = AddDifferences(d, plane + 2 * block_bytes, q, sum2);
    sum3 = AddDifferences(d, plane + 3 * block_bytes, q, sum3);
  }
}

HWY_INLINE PlaneVector OneBlockDistances(PlaneTag d, const uint8_t* HWY_RESTRICT block,
                                         size_t num_planes, const uint8_t* HWY_RESTRICT query) {
  auto sum = hn::Zero(d);
  for (size_t p = 0; p < num_planes; ++p) {
    sum = AddDifferences(d, block + p * kBlockRows, hn::Set(d, query[p]), sum);
  }
  return sum;
}

// 64-bit codes: the eight broadcast query bytes stay in registers for the whole history.
inline void BlockDistances64Bits(const uint8_t* HWY_RESTRICT blocks, size_t num_blocks,
                                 const uint8_t* HWY_RESTRICT query,
                                 uint8_t* HWY_RESTRICT distances) {
  const PlaneTag d;
  const auto q0 = hn::Set(d, query[0]), q1 = hn::Set(d, query[1]), q2 = hn::Set(d, query[2]),
             q3 = hn::Set(d, query[3]), q4 = hn::Set(d, query[4]), q5 = hn::Set(d, query[5]),
             q6 = hn::Set(d, query[6]), q7 = hn::Set(d, query[7]);
  for (size_t b = 0; b < num_blocks; ++b) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* planes = blocks + b * 8 * kBlockRows + lane;
      auto sum = hn::PopulationCount(hn::Xor(hn::LoadU(d, planes), q0));
      sum = AddDifferences(d, planes + 1 * kBlockRows, q1, sum);
      sum = AddDifferences(d, planes + 2 * kBlockRows, q2, sum);
      sum = AddDifferences(d, planes + 3 * kBlockRows, q3, sum);
      sum = AddDifferences(d, planes + 4 * kBlockRows, q4, sum);
      sum = AddDifferences(d, planes + 5 * kBlockRows, q5, sum);
      sum = AddDifferences(d, planes + 6 * kBlockRows, q6, sum);
      sum = AddDifferences(d, planes + 7 * kBlockRows, q7, sum);
      hn::StoreU(sum, d, distances + b * kBlockRows + lane);
    }
  }
}

// Distances of whole blocks as bytes. Codes of up to twice kMaxByteDistanceCodeBytes are taken; 255
// then stands for 255 or more.
inline void BlockDistances(const uint8_t* HWY_RESTRICT blocks, size_t num_blocks, size_t code_bytes,
                           const uint8_t* HWY_RESTRICT query, uint8_t* HWY_RESTRICT distances) {
  if (code_bytes == 8) return BlockDistances64Bits(blocks, num_blocks, query, distances);
  const PlaneTag d;
  const size_t block_bytes = code_bytes * kBlockRows;
  const size_t planes = HWY_MIN(code_bytes, kMaxByteDistanceCodeBytes), rest = code_bytes - planes;
  size_t b = 0;
  for (; b + 4 <= num_blocks; b += 4) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* block = blocks + b * block_bytes + lane;
      PlaneVector sum0, sum1, sum2, sum3;
      FourBlockDistances(d, block, block_bytes, planes, query, sum0, sum1, sum2, sum3);
      if (rest != 0) {
        PlaneVector rest0, rest1, rest2, rest3;
        FourBlockDistances(d, block + planes * kBlockRows, block_bytes, rest, query + planes, rest0,
                           rest1, rest2, rest3);
        sum0 = hn::SaturatedAdd(sum0, rest0);
        sum1 = hn::SaturatedAdd(sum1, rest1);
        sum2 = hn::SaturatedAdd(sum2, rest2);
        sum3 = hn::SaturatedAdd(sum3, rest3);
      }
      uint8_t* out = distances + b * kBlockRows + lane;
      hn::StoreU(sum0, d, out);
      hn::StoreU(sum1, d, out + kBlockRows);
      hn::StoreU(sum2, d, out + 2 * kBlockRows);
      hn::StoreU(sum3, d, out + 3 * kBlockRows);
    }
  }
  for (; b < num_blocks; ++b) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* block = blocks + b * block_bytes + lane;
      const auto sum = OneBlockDistances(d, block, planes, query);
      const auto rest_sum = OneBlockDistances(d, block + planes * kBlockRows, rest, query + planes);
      hn::StoreU(hn::SaturatedAdd(sum, rest_sum), d, distances + b * kBlockRows + lane);
    }
  }
}

// Widens byte sums and adds them to, or with kFirst stores them as, 16-bit distances.
template <bool kFirst>
HWY_INLINE void AccumulateDistances16(PlaneVector sum, uint16_t* HWY_RESTRICT distances) {
  const hn::Half<PlaneTag> dh;
  const hn::Rebind<uint16_t, hn::Half<PlaneTag>> d16;
  auto lower = hn::PromoteTo(d16, hn::LowerHalf(dh, sum));
  auto upper = hn::PromoteTo(d16, hn::UpperHalf(dh, sum));
  uint16_t* HWY_RESTRICT out_upper = distances + hn::Lanes(d16);
  if constexpr (!kFirst) {
    lower = hn::Add(lower, hn::LoadU(d16, distances));
    upper = hn::Add(upper, hn::LoadU(d16, out_upper));
  }
  hn::StoreU(lower, d16, distances);
  hn::StoreU(upper, d16, out_upper);
}

// Adds (or with kFirst stores) the distances over `num_planes` <= 31 planes of four blocks.
template <bool kFirst>
HWY_INLINE void FourBlockDistances16(const uint8_t* block, size_t block_bytes, size_t num_planes,
                                     const uint8_t* query, uint16_t* distances) {
  const PlaneTag d;
  for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
    PlaneVector sum0, sum1, sum2, sum3;
    FourBlockDistances(d, block + lane, block_bytes, num_planes, query, sum0, sum1, sum2, sum3);
    AccumulateDistances16<kFirst>(sum0, distances + lane);
    AccumulateDistances16<kFirst>(sum1, distances + lane + kBlockRows);
    AccumulateDistances16<kFirst>(sum2, distances + lane + 2 * kBlockRows);
    AccumulateDistances16<kFirst>(sum3, distances + lane + 3 * kBlockRows);
  }
}

template <bool kFirst>
HWY_INLINE void OneBlockDistances16(const uint8_t* block, size_t num_planes, const uint8_t* query,
                                    uint16_t* distances) {
  const PlaneTag d;
  for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
    AccumulateDistances16<kFirst>(OneBlockDistances(d, block + lane, num_planes, query),
                                  distances + lane);
  }
}

// Distances of whole blocks in 16 bits, any width: byte sums over at most 31 planes (248 bits),
// then widened.
inline void BlockDistances(const uint8_t* HWY_RESTRICT blocks, size_t num_blocks, size_t code_bytes,
                           const uint8_t* HWY_RESTRICT query, uint16_t* HWY_RESTRICT distances) {
  const size_t block_bytes = code_bytes * kBlockRows;
  const size_t first_planes = HWY_MIN(code_bytes, kMaxByteDistanceCodeBytes);
  for (size_t b = 0; b < num_blocks;) {
    const bool four = b + 4 <= num_blocks;
    const uint8_t* block = blocks + b * block_bytes;
    uint16_t* out = distances + b * kBlockRows;
    if (four) {
      FourBlockDistances16<true>(block, block_bytes, first_planes, query, out);
    } else {
      OneBlockDistances16<true>(block, first_planes, query, out);
    }
    for (size_t p = first_planes; p < code_bytes; p += kMaxByteDistanceCodeBytes) {
      const size_t planes = HWY_MIN(kMaxByteDistanceCodeBytes, code_bytes - p);
      if (four) {
        FourBlockDistances16<false>(block + p * kBlockRows, block_bytes, planes, query + p, out);
      } else {
        OneBlockDistances16<false>(block + p * kBlockRows, planes, query + p, out);
      }
    }
    b += four ? 4 : 1;
  }
}

// What BlockTopK scans with.
struct HammingScan {
  static constexpr bool kMaySaturate = true;
  static size_t MaxDistance(size_t code_bytes) { return code_bytes * 8; }
  template <typename T>
  static HWY_INLINE void Distances(const CodeBlocksView& rows, const uint8_t* query, T* distances) {
    BlockDistances(rows.data, NumBlocks(rows.n), rows.code_bytes, query, distances);
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
  HWY_DASSERT(rows.code_bytes >= 1 && rows.code_bytes <= kMaxByteDistanceCodeBytes);
  HWY_DYNAMIC_DISPATCH(HammingDistances8OnTarget)(rows, query, distances);
}

void HammingDistances(const CodeBlocksView& rows, const uint8_t* query, uint16_t* distances) {
  HWY_DASSERT(rows.code_bytes >= 1 && rows.code_bytes <= 8191);
  HWY_DYNAMIC_DISPATCH(HammingDistances16OnTarget)(rows, query, distances);
}

size_t HammingTopKScratchBytes(size_t n, size_t code_bytes, size_t k) {
  // Where bytes may saturate, room for the run with 16 bits.
  const size_t distance_bytes = code_bytes <= kMaxByteDistanceCodeBytes ? 1 : 2;
  return BlockTopKLayout(n, code_bytes, k, distance_bytes, code_bytes * 8).bytes();
}

size_t HammingTopK(const CodeBlocksView& rows, const Queries<uint8_t>& queries,
                   const TopKOptions& options, void* scratch, const TopKResult<uint16_t>& result) {
  HWY_DASSERT(rows.code_bytes >= 1 && rows.code_bytes <= 512 && options.k >= 1);
  HWY_DASSERT(rows.n <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
  if (!AnsweredWithoutScan(rows.n, queries.count, options, result)) {
    HWY_DYNAMIC_DISPATCH(HammingTopKOnTarget)(rows, queries, options, scratch, result);
  }
  return std::min(options.k, rows.n);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
