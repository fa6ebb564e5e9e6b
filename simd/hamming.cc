// SPDX-License-Identifier: Apache-2.0
#include "simd/hamming.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "simd/internal/block_topk_layout.h"
#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/hamming.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/block_topk-inl.h"
#include "simd/internal/hamming-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

void Distances8(const uint8_t* blocks, size_t n, size_t code_bytes, const uint8_t* query,
                uint8_t* distances) {
  BlockDistances(blocks, NumBlocks(n), code_bytes, query, distances);
}

void Distances16(const uint8_t* blocks, size_t n, size_t code_bytes, const uint8_t* query,
                 uint16_t* distances) {
  BlockDistances(blocks, NumBlocks(n), code_bytes, query, distances);
}

void TopK(const HammingTopKArguments& args) {
  if (args.code_bytes <= kMaxSaturatedCodeBytes) {
    HammingTopKRun<uint8_t>(args).Run();
  } else {
    HammingTopKRun<uint16_t>(args).Run();
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(Distances8);
HWY_EXPORT(Distances16);
HWY_EXPORT(TopK);

void HammingDistances(const uint8_t* blocks, size_t n, size_t code_bytes, const uint8_t* query,
                      uint8_t* distances) {
  HWY_DASSERT(code_bytes >= 1 && code_bytes <= kMaxByteDistanceCodeBytes);
  HWY_DYNAMIC_DISPATCH(Distances8)(blocks, n, code_bytes, query, distances);
}

void HammingDistances(const uint8_t* blocks, size_t n, size_t code_bytes, const uint8_t* query,
                      uint16_t* distances) {
  HWY_DASSERT(code_bytes >= 1 && code_bytes <= 8191);
  HWY_DYNAMIC_DISPATCH(Distances16)(blocks, n, code_bytes, query, distances);
}

size_t HammingTopKScratchBytes(size_t n, size_t code_bytes, size_t k) {
  return HammingTopKLayout(n, code_bytes, k).bytes();
}

size_t HammingTopK(const uint8_t* blocks, size_t n, size_t code_bytes, const uint8_t* queries,
                   size_t num_queries, size_t query_stride, size_t k, TieOrder ties,
                   ResultOrder order, void* scratch, HammingTopKResult result) {
  HWY_DASSERT(code_bytes >= 1 && code_bytes <= 512 && k >= 1);
  HWY_DASSERT(n <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
  const size_t count = std::min(k, n);
  if (count == 0 || num_queries == 0) return count;
  if (WroteAllPositions(n, num_queries, k, order, result.distances != nullptr, result.positions)) {
    return count;
  }
  const HammingTopKArguments args = {blocks, n,    code_bytes, queries, num_queries, query_stride,
                                     k,      ties, order,      scratch, result};
  HWY_DYNAMIC_DISPATCH(TopK)(args);
  return count;
}

}  // namespace eta::simd
#endif  // HWY_ONCE
