// SPDX-License-Identifier: Apache-2.0
#include "simd/hamming.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "simd/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/hamming.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/hamming-inl.h"
#include "simd/select-inl.h"

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

template <typename T>
HWY_INLINE void TopKOfQueries(const TopKArguments& args) {
  T* distances = static_cast<T*>(args.scratch);
  Selector<T> selector(args, distances);
  for (size_t q = 0; q < args.num_queries; ++q) {
    BlockDistances(args.blocks, NumBlocks(args.n), args.code_bytes,
                   args.queries + q * args.query_stride, distances);
    selector.Select(q);
  }
}

void TopK(const TopKArguments& args) {
  if (args.code_bytes <= kMaxByteDistanceCodeBytes) {
    TopKOfQueries<uint8_t>(args);
  } else {
    TopKOfQueries<uint16_t>(args);
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
  return SelectScratchBytes(n, code_bytes, k);
}

size_t HammingTopK(const uint8_t* blocks, size_t n, size_t code_bytes, const uint8_t* queries,
                   size_t num_queries, size_t query_stride, size_t k, TieOrder ties,
                   ResultOrder order, void* scratch, HammingTopKResult result) {
  HWY_DASSERT(code_bytes >= 1 && code_bytes <= 512 && k >= 1);
  HWY_DASSERT(n <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
  const size_t count = std::min(k, n);
  if (count == 0 || num_queries == 0) return count;
  const TopKArguments args = {blocks, n,    code_bytes, queries, num_queries, query_stride,
                              k,      ties, order,      scratch, result};
  HWY_DYNAMIC_DISPATCH(TopK)(args);
  return count;
}

}  // namespace eta::simd
#endif  // HWY_ONCE
