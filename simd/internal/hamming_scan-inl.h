// SPDX-License-Identifier: Apache-2.0
// Hamming distances of whole code blocks.

// clang-format off
#if defined(ETA_SIMD_HAMMING_SCAN_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_HAMMING_SCAN_INL_H_
#undef ETA_SIMD_HAMMING_SCAN_INL_H_
#else
#define ETA_SIMD_HAMMING_SCAN_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"
#include "simd/hamming.h"
#include "simd/internal/planes.h"

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
template <class Emit>
HWY_INLINE void ForDistances64Bits(const PlanesView& rows, const uint8_t* HWY_RESTRICT query,
                                   Emit emit) {
  const PlaneTag d;
  const auto q0 = hn::Set(d, query[0]), q1 = hn::Set(d, query[1]), q2 = hn::Set(d, query[2]),
             q3 = hn::Set(d, query[3]), q4 = hn::Set(d, query[4]), q5 = hn::Set(d, query[5]),
             q6 = hn::Set(d, query[6]), q7 = hn::Set(d, query[7]);
  for (size_t b = 0; b < rows.num_blocks; ++b) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* HWY_RESTRICT planes = rows.data + b * rows.block_bytes + lane;
      auto sum = hn::PopulationCount(hn::Xor(hn::LoadU(d, planes), q0));
      sum = AddDifferences(d, planes + 1 * kBlockRows, q1, sum);
      sum = AddDifferences(d, planes + 2 * kBlockRows, q2, sum);
      sum = AddDifferences(d, planes + 3 * kBlockRows, q3, sum);
      sum = AddDifferences(d, planes + 4 * kBlockRows, q4, sum);
      sum = AddDifferences(d, planes + 5 * kBlockRows, q5, sum);
      sum = AddDifferences(d, planes + 6 * kBlockRows, q6, sum);
      sum = AddDifferences(d, planes + 7 * kBlockRows, q7, sum);
      emit(sum, b, lane);
    }
  }
}

// Distances of whole blocks as bytes: emit(distances, b, lane) gets those of the rows from `lane`
// on of block b. Codes of up to twice kMaxByteDistanceCodeBytes are taken; 255 then stands for 255
// or more.
template <class Emit>
HWY_INLINE void ForDistances(const PlanesView& rows, const uint8_t* HWY_RESTRICT query, Emit emit) {
  const auto [blocks, num_blocks, code_bytes, block_bytes] = rows;
  if (code_bytes == 8) return ForDistances64Bits(rows, query, emit);
  const PlaneTag d;
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
      emit(sum0, b, lane);
      emit(sum1, b + 1, lane);
      emit(sum2, b + 2, lane);
      emit(sum3, b + 3, lane);
    }
  }
  for (; b < num_blocks; ++b) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* block = blocks + b * block_bytes + lane;
      const auto sum = OneBlockDistances(d, block, planes, query);
      const auto rest_sum = OneBlockDistances(d, block + planes * kBlockRows, rest, query + planes);
      emit(hn::SaturatedAdd(sum, rest_sum), b, lane);
    }
  }
}

inline void BlockDistances(const PlanesView& rows, const uint8_t* HWY_RESTRICT query,
                           uint8_t* HWY_RESTRICT distances) {
  ForDistances(rows, query, [distances](PlaneVector sum, size_t b, size_t lane) HWY_ATTR {
    hn::StoreU(sum, PlaneTag(), distances + b * kBlockRows + lane);
  });
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
inline void BlockDistances(const PlanesView& rows, const uint8_t* HWY_RESTRICT query,
                           uint16_t* HWY_RESTRICT distances) {
  const auto [blocks, num_blocks, code_bytes, block_bytes] = rows;
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

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
