// SPDX-License-Identifier: Apache-2.0
// The scan of code blocks by tables: each half of a byte of a code looks up one of 16 bytes, and a
// row's sum over all of them is its distance. Methods differ in how they fill the tables. Byte
// shuffles as look-up: Andre, Kermarrec and Le Scouarnec, "Cache locality is not enough:
// High-performance nearest neighbor search with product quantization fast scan", VLDB 2015.

// clang-format off
#if defined(ETA_SIMD_NIBBLE_SCAN_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_NIBBLE_SCAN_INL_H_
#undef ETA_SIMD_NIBBLE_SCAN_INL_H_
#else
#define ETA_SIMD_NIBBLE_SCAN_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"
#include "simd/internal/planes.h"
#include "simd/views.h"

#ifndef ETA_SIMD_NIBBLE_SCAN_TYPES_
#define ETA_SIMD_NIBBLE_SCAN_TYPES_
namespace eta::simd {

// Two tables of 16 bytes for a byte of a code: of its lower four bits, then of its upper four.
inline constexpr size_t kNibbleTableBytes = 32;

}  // namespace eta::simd
#endif  // ETA_SIMD_NIBBLE_SCAN_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// At most one plane of a block.
using NibbleTag = hn::CappedTag<uint8_t, kBlockRows>;
using NibbleVector = hn::Vec<NibbleTag>;

// The sums of a vector's width of one plane: of two looked-up bytes a row.
HWY_INLINE NibbleVector PlaneSums(NibbleTag d, const uint8_t* plane, NibbleVector lower,
                                  NibbleVector upper) {
  const auto v = hn::LoadU(d, plane);
  const auto low = hn::And(v, hn::Set(d, uint8_t{0x0F}));
  return hn::Add(hn::TableLookupBytes(lower, low),
                 hn::TableLookupBytes(upper, hn::ShiftRight<4>(v)));
}

// Sums over the planes of whole blocks as bytes, which must not overflow: emit(sums, b, lane) gets
// those of the rows from `lane` on of block b. Four blocks at once share the loads of the tables.
template <class Emit>
HWY_INLINE void ForNibbleSums(const PlanesView& rows, const uint8_t* HWY_RESTRICT tables,
                              Emit emit) {
  const auto [blocks, num_blocks, code_bytes, block_bytes] = rows;
  const NibbleTag d;
  size_t b = 0;
  for (; b + 4 <= num_blocks; b += 4) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      const uint8_t* HWY_RESTRICT plane = blocks + b * block_bytes + lane;
      auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
      for (size_t p = 0; p < code_bytes; ++p, plane += kBlockRows) {
        const auto lower = hn::LoadDup128(d, tables + p * kNibbleTableBytes);
        const auto upper = hn::LoadDup128(d, tables + p * kNibbleTableBytes + 16);
        sum0 = hn::Add(sum0, PlaneSums(d, plane, lower, upper));
        sum1 = hn::Add(sum1, PlaneSums(d, plane + block_bytes, lower, upper));
        sum2 = hn::Add(sum2, PlaneSums(d, plane + 2 * block_bytes, lower, upper));
        sum3 = hn::Add(sum3, PlaneSums(d, plane + 3 * block_bytes, lower, upper));
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
        sum = hn::Add(sum, PlaneSums(d, plane, hn::LoadDup128(d, tables + p * kNibbleTableBytes),
                                     hn::LoadDup128(d, tables + p * kNibbleTableBytes + 16)));
      }
      emit(sum, b, lane);
    }
  }
}

inline void NibbleSums(const PlanesView& rows, const uint8_t* HWY_RESTRICT tables,
                       uint8_t* HWY_RESTRICT sums) {
  ForNibbleSums(rows, tables, [sums](NibbleVector sum, size_t b, size_t lane) HWY_ATTR {
    hn::StoreU(sum, NibbleTag(), sums + b * kBlockRows + lane);
  });
}

using WideNibbleTag = hn::Repartition<uint16_t, NibbleTag>;

// Adds byte sums to 16-bit sums of the even rows and of the odd ones: no lane moves.
HWY_INLINE void AddWidened(NibbleVector sum, hn::Vec<WideNibbleTag>& even,
                           hn::Vec<WideNibbleTag>& odd) {
  const WideNibbleTag d16;
  const auto pairs = hn::BitCast(d16, sum);
  even = hn::Add(even, hn::And(pairs, hn::Set(d16, uint16_t{0x00FF})));
  odd = hn::Add(odd, hn::ShiftRight<8>(pairs));
}

// Sums of a vector's width of rows of two blocks, `block_bytes` apart. Two planes fit a byte.
HWY_INLINE void TwoBlockSums16(const uint8_t* HWY_RESTRICT plane, size_t block_bytes,
                               size_t code_bytes, const uint8_t* HWY_RESTRICT tables,
                               uint16_t* HWY_RESTRICT out, uint16_t* HWY_RESTRICT out1) {
  const NibbleTag d;
  const WideNibbleTag d16;
  auto even = hn::Zero(d16), odd = even, even1 = even, odd1 = even;
  const auto step = [&](NibbleVector& sum, NibbleVector& sum1) HWY_ATTR {
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
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(NibbleTag())) {
      uint16_t* out = sums + b * kBlockRows + lane;
      TwoBlockSums16(blocks + b * block_bytes + lane, next * block_bytes, code_bytes, tables, out,
                     out + next * kBlockRows);
    }
  }
}

// What BlockTopK scans with (block_topk-inl.h). A query is its tables, whose sums are at most
// kMaxSum(code_bytes).
template <size_t (*kMaxSum)(size_t code_bytes)>
struct NibbleScan {
  static constexpr bool kMaySaturate = false;
  static size_t MaxDistance(size_t code_bytes) { return kMaxSum(code_bytes); }
  template <typename T>
  static HWY_INLINE void Distances(const CodeBlocksView& rows, const uint8_t* tables, T* sums) {
    NibbleSums(AllPlanes(rows), tables, sums);
  }
};

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
