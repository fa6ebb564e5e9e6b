// SPDX-License-Identifier: Apache-2.0
// The scans of code blocks. By Hamming distance: XOR, byte popcount and byte add for each plane. By
// tables: each half of a byte of a code looks up one of 16 bytes, and a row's sum over all of them
// is its distance. Methods differ in how they fill the tables. Byte shuffles as look-up: Andre,
// Kermarrec and Le Scouarnec, "Cache locality is not enough: High-performance nearest neighbor
// search with product quantization fast scan", VLDB 2015.

// clang-format off
#if defined(ETA_SIMD_CODE_SCAN_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_CODE_SCAN_INL_H_
#undef ETA_SIMD_CODE_SCAN_INL_H_
#else
#define ETA_SIMD_CODE_SCAN_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"
#include "simd/internal/common.h"
#include "simd/views.h"

#ifndef ETA_SIMD_CODE_SCAN_TYPES_
#define ETA_SIMD_CODE_SCAN_TYPES_
namespace eta::simd {

// The most planes whose Hamming distances fit a byte: 248 bits.
inline constexpr size_t kMaxByteDistancePlanes = 31;

// Two tables of 16 bytes for a byte of a code: of its lower four bits, then of its upper four.
inline constexpr size_t kNibbleTableBytes = 32;

// The most planes for which the weights of asym.h add up to a byte: 128 bits.
inline constexpr size_t kMaxByteWeightPlanes = 16;

}  // namespace eta::simd
#endif  // ETA_SIMD_CODE_SCAN_TYPES_

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
// on of block b. Codes of up to twice kMaxByteDistancePlanes are taken; 255 then stands for 255
// or more.
template <class Emit>
HWY_INLINE void ForDistances(const PlanesView& rows, const uint8_t* HWY_RESTRICT query, Emit emit) {
  const auto [blocks, num_blocks, code_bytes, block_bytes] = rows;
  if (code_bytes == 8) return ForDistances64Bits(rows, query, emit);
  const PlaneTag d;
  const size_t planes = HWY_MIN(code_bytes, kMaxByteDistancePlanes), rest = code_bytes - planes;
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
  const size_t first_planes = HWY_MIN(code_bytes, kMaxByteDistancePlanes);
  for (size_t b = 0; b < num_blocks;) {
    const bool four = b + 4 <= num_blocks;
    const uint8_t* block = blocks + b * block_bytes;
    uint16_t* out = distances + b * kBlockRows;
    if (four) {
      FourBlockDistances16<true>(block, block_bytes, first_planes, query, out);
    } else {
      OneBlockDistances16<true>(block, first_planes, query, out);
    }
    for (size_t p = first_planes; p < code_bytes; p += kMaxByteDistancePlanes) {
      const size_t planes = HWY_MIN(kMaxByteDistancePlanes, code_bytes - p);
      if (four) {
        FourBlockDistances16<false>(block + p * kBlockRows, block_bytes, planes, query + p, out);
      } else {
        OneBlockDistances16<false>(block + p * kBlockRows, planes, query + p, out);
      }
    }
    b += four ? 4 : 1;
  }
}

// The sums of a vector's width of one plane: of two looked-up bytes a row. Each vector of a table
// repeats its 16 bytes.
HWY_INLINE PlaneVector PlaneSums(PlaneTag d, const uint8_t* plane, PlaneVector lower,
                                 PlaneVector upper) {
  const auto v = hn::LoadU(d, plane);
#if ETA_SIMD_HAS_BYTE_COMPRESS
  // Permutes whole vectors, of which the four tables in one are equal, so that upper bits do not
  // matter: five operations in place of seven with the sum over planes.
  const __m512i shifted = _mm512_srli_epi16(v.raw, 4);
  return hn::Add(PlaneVector{_mm512_permutexvar_epi8(v.raw, lower.raw)},
                 PlaneVector{_mm512_permutexvar_epi8(shifted, upper.raw)});
#else
  const auto low = hn::And(v, hn::Set(d, uint8_t{0x0F}));
  return hn::Add(hn::TableLookupBytes(lower, low),
                 hn::TableLookupBytes(upper, hn::ShiftRight<4>(v)));
#endif
}

// Sums over the planes of whole blocks as bytes, 255 for those of 255 and more; the sum of one
// plane must fit a byte. emit(sums, b, lane) gets those of the rows from `lane` on of block b. Four
// blocks at once share the loads of the tables.
template <class Emit>
HWY_INLINE void ForNibbleSums(const PlanesView& rows, const uint8_t* HWY_RESTRICT tables,
                              Emit emit) {
  const auto [blocks, num_blocks, code_bytes, block_bytes] = rows;
  const PlaneTag d;
  size_t b = 0;
  for (; b + 4 <= num_blocks; b += 4) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* HWY_RESTRICT plane = blocks + b * block_bytes + lane;
      auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
      for (size_t p = 0; p < code_bytes; ++p, plane += kBlockRows) {
        const auto lower = hn::LoadDup128(d, tables + p * kNibbleTableBytes);
        const auto upper = hn::LoadDup128(d, tables + p * kNibbleTableBytes + 16);
        sum0 = hn::SaturatedAdd(sum0, PlaneSums(d, plane, lower, upper));
        sum1 = hn::SaturatedAdd(sum1, PlaneSums(d, plane + block_bytes, lower, upper));
        sum2 = hn::SaturatedAdd(sum2, PlaneSums(d, plane + 2 * block_bytes, lower, upper));
        sum3 = hn::SaturatedAdd(sum3, PlaneSums(d, plane + 3 * block_bytes, lower, upper));
      }
      emit(sum0, b, lane);
      emit(sum1, b + 1, lane);
      emit(sum2, b + 2, lane);
      emit(sum3, b + 3, lane);
    }
  }
  for (; b < num_blocks; ++b) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* HWY_RESTRICT plane = blocks + b * block_bytes + lane;
      auto sum = hn::Zero(d);
      for (size_t p = 0; p < code_bytes; ++p, plane += kBlockRows) {
        sum = hn::SaturatedAdd(
            sum, PlaneSums(d, plane, hn::LoadDup128(d, tables + p * kNibbleTableBytes),
                           hn::LoadDup128(d, tables + p * kNibbleTableBytes + 16)));
      }
      emit(sum, b, lane);
    }
  }
}

inline void NibbleSums(const PlanesView& rows, const uint8_t* HWY_RESTRICT tables,
                       uint8_t* HWY_RESTRICT sums) {
  ForNibbleSums(rows, tables, [sums](PlaneVector sum, size_t b, size_t lane) HWY_ATTR {
    hn::StoreU(sum, PlaneTag(), sums + b * kBlockRows + lane);
  });
}

using WidePlaneTag = hn::Repartition<uint16_t, PlaneTag>;

// Adds byte sums to 16-bit sums of the even rows and of the odd ones: no lane moves.
HWY_INLINE void AddWidened(PlaneVector sum, hn::Vec<WidePlaneTag>& even,
                           hn::Vec<WidePlaneTag>& odd) {
  const WidePlaneTag d16;
  const auto pairs = hn::BitCast(d16, sum);
  even = hn::Add(even, hn::And(pairs, hn::Set(d16, uint16_t{0x00FF})));
  odd = hn::Add(odd, hn::ShiftRight<8>(pairs));
}

// Sums of a vector's width of rows of two blocks, `block_bytes` apart. Two planes fit a byte.
HWY_INLINE void TwoBlockSums16(const uint8_t* HWY_RESTRICT plane, size_t block_bytes,
                               size_t code_bytes, const uint8_t* HWY_RESTRICT tables,
                               uint16_t* HWY_RESTRICT out, uint16_t* HWY_RESTRICT out1) {
  const PlaneTag d;
  const WidePlaneTag d16;
  auto even = hn::Zero(d16), odd = even, even1 = even, odd1 = even;
  const auto step = [&](PlaneVector& sum, PlaneVector& sum1) HWY_ATTR {
    const auto lower = hn::LoadDup128(d, tables), upper = hn::LoadDup128(d, tables + 16);
    sum = hn::Add(sum, PlaneSums(d, plane, lower, upper));
    sum1 = hn::Add(sum1, PlaneSums(d, plane + block_bytes, lower, upper));
    plane += kBlockRows;
    tables += kNibbleTableBytes;
  };
  size_t p = 0;
  for (; p + 2 <= code_bytes; p += 2) {
    auto sum = hn::Zero(d), sum1 = sum;
    step(sum, sum1);
    step(sum, sum1);
    AddWidened(sum, even, odd);
    AddWidened(sum1, even1, odd1);
  }
  if (p != code_bytes) {
    auto sum = hn::Zero(d), sum1 = sum;
    step(sum, sum1);
    AddWidened(sum, even, odd);
    AddWidened(sum1, even1, odd1);
  }
  hn::StoreInterleaved2(even, odd, d16, out);
  hn::StoreInterleaved2(even1, odd1, d16, out1);
}

// The same in 16 bits. The sum of two planes must fit a byte.
inline void NibbleSums(const PlanesView& rows, const uint8_t* HWY_RESTRICT tables,
                       uint16_t* HWY_RESTRICT sums) {
  const auto [blocks, num_blocks, code_bytes, block_bytes] = rows;
  for (size_t b = 0; b < num_blocks; b += 2) {
    // A last block without a partner is computed twice, into the same place.
    const size_t next = b + 1 < num_blocks ? 1 : 0;
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(PlaneTag())) {
      uint16_t* out = sums + b * kBlockRows + lane;
      TwoBlockSums16(blocks + b * block_bytes + lane, next * block_bytes, code_bytes, tables, out,
                     out + next * kBlockRows);
    }
  }
}

// What BlockTopK scans with (block_topk-inl.h). A query is its tables, whose sums are at most
// kMaxSum(code_bytes). kSaturates: that may be more than a byte holds.
template <size_t (*kMaxSum)(size_t code_bytes), bool kSaturates = false>
struct NibbleScan {
  static constexpr bool kMaySaturate = kSaturates;
  static size_t MaxDistance(size_t code_bytes) { return kMaxSum(code_bytes); }
  template <typename T>
  static HWY_INLINE void Distances(const CodeBlocksView& rows, const uint8_t* tables, T* sums) {
    NibbleSums(AllPlanes(rows), tables, sums);
  }
};

// The tables of a candidate's weights (asym.h). Entry m of a table is the penalty of the four bits
// m: a bit that is not (weight > 0) adds |weight|. That is the sum of the positive weights, minus
// the weights whose bit is 1.
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

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
