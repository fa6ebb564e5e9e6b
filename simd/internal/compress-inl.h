// SPDX-License-Identifier: Apache-2.0
// Moves the lanes whose bit is set to the front: within vectors of 32-bit lanes (PlanCompress,
// StoreCompressed), and within a block of 64 values (CompressBlock, CompressBlockRows).

// clang-format off
#if defined(ETA_SIMD_COMPRESS_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_COMPRESS_INL_H_
#undef ETA_SIMD_COMPRESS_INL_H_
#else
#define ETA_SIMD_COMPRESS_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "simd/views.h"

#ifndef ETA_SIMD_COMPRESS_TYPES_
#define ETA_SIMD_COMPRESS_TYPES_
namespace eta::simd {
namespace {

// For each byte the numbers of its set bits, lowest first: what a compress instruction does for
// eight lanes. The extra row lets 16 bytes be read from any row.
struct SetBitsTable {
  uint8_t of[256 + 1][8];
};
constexpr SetBitsTable MakeSetBitsTable() {
  SetBitsTable table{};
  for (size_t byte = 0; byte < 256; ++byte) {
    size_t count = 0;
    for (uint8_t bit = 0; bit < 8; ++bit) {
      if ((byte >> bit) & 1) table.of[byte][count++] = bit;
    }
  }
  return table;
}
HWY_MAYBE_UNUSED constexpr SetBitsTable kSetBits = MakeSetBitsTable();

struct RowNumbers {
  uint8_t of[kBlockRows];
};
constexpr RowNumbers MakeRowNumbers() {
  RowNumbers numbers{};
  for (size_t row = 0; row < kBlockRows; ++row) numbers.of[row] = static_cast<uint8_t>(row);
  return numbers;
}
alignas(64) HWY_MAYBE_UNUSED constexpr RowNumbers kRowNumbers = MakeRowNumbers();

}  // namespace
}  // namespace eta::simd
#endif  // ETA_SIMD_COMPRESS_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Bit i is lane i of the mask; at most 64 lanes.
template <class D>
HWY_INLINE uint64_t MaskBits(D d, hn::Mask<D> mask) {
#if ETA_SIMD_HAS_MASK_REGISTERS
  (void)d;
  return static_cast<uint64_t>(mask.raw);
#else
  uint8_t bytes[8] = {0};  // StoreMaskBits may write 8 bytes
  hn::StoreMaskBits(d, mask, bytes);
  uint64_t bits = 0;
  // As many bytes as were stored: a wider load would wait for the store to reach the cache.
  std::memcpy(&bits, bytes, (HWY_MIN(hn::Lanes(d), size_t{64}) + 7) / 8);
  return bits;
#endif
}

// The n lowest set bits of `bits`, which has at least n.
HWY_INLINE uint64_t LowestBits(uint64_t bits, size_t n) {
#if ETA_SIMD_HAS_BIT_SCATTER
  return _pdep_u64(_bzhi_u64(~uint64_t{0}, static_cast<unsigned>(n)), bits);
#else
  uint64_t rest = bits;
  for (; n != 0; --n) rest &= rest - 1;
  return bits ^ rest;
#endif
}

// One plan moves lanes of several vectors of 32-bit lanes. With GCC 12, Highway 1.0.3's Compress
// for AVX2 copies its 1 KiB table to the stack in every call: 50 cycles. So it is used only where
// it is an instruction.
#if ETA_SIMD_HAS_COMPRESS

template <class D>
using CompressPlan = hn::Mask<D>;

// The plan that moves the lanes of `mask` to the front, and their number in `count`.
template <class D>
HWY_INLINE CompressPlan<D> PlanCompress(D d, hn::Mask<D> mask, size_t& count) {
  count = hn::CountTrue(d, mask);
  return mask;
}

// Stores a whole vector that starts with the lanes of the plan; the lanes behind them are
// unspecified.
template <class D, typename T>
HWY_INLINE void StoreCompressed(D, CompressPlan<D> plan, hn::Vec<hn::Rebind<T, D>> v, T* to) {
  const hn::Rebind<T, D> d;
  hn::StoreU(hn::Compress(v, hn::RebindMask(d, plan)), d, to);
}

#else

template <class D>
using CompressPlan = hn::Vec<hn::RebindToSigned<D>>;  // the numbers of the lanes, in front

// The plan for at most 8 lanes whose bits are set; the other bits are 0.
template <class D>
HWY_INLINE CompressPlan<D> PlanOfBits(D, uint64_t bits) {
  return hn::PromoteTo(hn::RebindToSigned<D>(),
                       hn::LoadU(hn::Rebind<uint8_t, D>(), kSetBits.of[bits]));
}

template <class D>
HWY_INLINE CompressPlan<D> PlanCompress(D d, hn::Mask<D> mask, size_t& count) {
  const uint64_t bits = MaskBits(d, mask);
  count = hwy::PopCount(bits);
  return PlanOfBits(d, bits);
}

template <class D, typename T>
HWY_INLINE void StoreCompressed(D, CompressPlan<D> plan, hn::Vec<hn::Rebind<T, D>> v, T* to) {
  const hn::Rebind<T, D> d;
  hn::StoreU(hn::TableLookupLanes(v, hn::IndicesFromVec(d, plan)), d, to);
}

#endif

#if ETA_SIMD_HAS_MASK_REGISTERS
template <class D>
HWY_INLINE CompressPlan<D> PlanOfBits(D, uint64_t bits) {
  return {static_cast<decltype(CompressPlan<D>::raw)>(bits)};
}
#endif

// Moves those of a block's 64 values whose bit is set to `to`, in order. Writes up to 16 values
// more (int32_t, float), or up to 64 in all (uint8_t, uint16_t). `to` may lie at or before `from`
// in the same array: what is overwritten has been read.
template <typename T>
HWY_INLINE void CompressBlockOf32Bits(uint64_t bits, const T* from, T* to) {
#if ETA_SIMD_HAS_WIDE_VECTORS
  // A compress to memory is microcoded on Zen 4, one to a register is not.
  const hn::CappedTag<T, 16> d;
  const size_t N = hn::Lanes(d);
  for (size_t lane = 0; lane < kBlockRows; lane += N, bits >>= N) {
    const uint64_t part = bits & ((uint64_t{1} << N) - 1);
    StoreCompressed(d, PlanOfBits(d, part), hn::LoadU(d, from + lane), to);
    to += hwy::PopCount(part);
  }
#else
  for (; bits != 0; bits &= bits - 1) *to++ = from[hwy::Num0BitsBelowLS1Bit_Nonzero64(bits)];
#endif
}

HWY_INLINE void CompressBlock(uint64_t bits, const int32_t* from, int32_t* to) {
  CompressBlockOf32Bits(bits, from, to);
}

HWY_INLINE void CompressBlock(uint64_t bits, const float* from, float* to) {
  CompressBlockOf32Bits(bits, from, to);
}

#if ETA_SIMD_HAS_BYTE_COMPRESS

HWY_INLINE void CompressBlock(uint64_t bits, const uint8_t* from, uint8_t* to) {
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(from)));
}

HWY_INLINE void CompressBlock(uint64_t bits, const uint16_t* from, uint16_t* to) {
  const auto low = static_cast<__mmask32>(bits), high = static_cast<__mmask32>(bits >> 32);
  const __m512i v0 = _mm512_loadu_si512(from), v1 = _mm512_loadu_si512(from + 32);
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi16(low, v0));
  _mm512_storeu_si512(to + hwy::PopCount(uint64_t{low}), _mm512_maskz_compress_epi16(high, v1));
}

// values[numbers[i]] of a block, for all 64 numbers.
HWY_INLINE void PickRows(__m512i numbers, const uint8_t* values, uint8_t* to) {
  _mm512_storeu_si512(to, _mm512_permutexvar_epi8(numbers, _mm512_loadu_si512(values)));
}

HWY_INLINE void PickRows(__m512i numbers, const uint16_t* values, uint16_t* to) {
  const __m512i v0 = _mm512_loadu_si512(values), v1 = _mm512_loadu_si512(values + 32);
  const __m512i low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(numbers));
  const __m512i high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(numbers, 1));
  _mm512_storeu_si512(to, _mm512_permutex2var_epi16(v0, low, v1));
  _mm512_storeu_si512(to + 32, _mm512_permutex2var_epi16(v0, high, v1));
}

// The same for values of 8 or 16 bits with the numbers of their rows: row r of the block is number
// first + r. `to` and `numbers` are other arrays than `from`. Writes up to 64 entries. One
// compress, of the row numbers, is enough: they then pick the values.
template <typename T>
HWY_INLINE void CompressBlockRows(uint64_t bits, const T* from, int32_t first, T* to,
                                  int32_t* numbers) {
  const __m512i rows = _mm512_maskz_compress_epi8(bits, _mm512_load_si512(kRowNumbers.of));
  const __m512i base = _mm512_set1_epi32(first);
  const auto store = [&](size_t i, __m128i lanes) HWY_ATTR {
    _mm512_storeu_si512(numbers + i, _mm512_add_epi32(_mm512_cvtepu8_epi32(lanes), base));
  };
  store(0, _mm512_castsi512_si128(rows));
  store(16, _mm512_extracti32x4_epi32(rows, 1));
  PickRows(rows, from, to);
  if (HWY_UNLIKELY(hwy::PopCount(bits) > 32)) {
    store(32, _mm512_extracti32x4_epi32(rows, 2));
    store(48, _mm512_extracti32x4_epi32(rows, 3));
  }
}

#else

template <typename T>
HWY_INLINE void CompressBlock(uint64_t bits, const T* from, T* to) {
  const hn::FixedTag<uint8_t, 8 * sizeof(T)> d;
  for (size_t row = 0; row < kBlockRows; row += 8, bits >>= 8) {
    const auto v = hn::LoadU(d, reinterpret_cast<const uint8_t*>(from + row));
    auto indices = hn::LoadU(d, kSetBits.of[bits & 0xFF]);  // the first 8 bytes are valid
    if constexpr (sizeof(T) == 2) {
      const auto low = hn::Add(indices, indices);
      indices = hn::InterleaveLower(d, low, hn::Add(low, hn::Set(d, uint8_t{1})));
    }
    hn::StoreU(hn::TableLookupBytes(v, indices), d, reinterpret_cast<uint8_t*>(to));
    to += hwy::PopCount(bits & 0xFF);
  }
}

// Writes up to 3 entries more than there are bits: a loop of fours ends where the branch predictor
// expects it, one of single bits hardly ever.
template <typename T>
HWY_INLINE void CompressBlockRows(uint64_t bits, const T* from, int32_t first, T* to,
                                  int32_t* numbers) {
  const size_t count = hwy::PopCount(bits);
  for (size_t i = 0; i < count; i += 4) {
    for (size_t j = i; j < i + 4; ++j) {
      const size_t row = hwy::Num0BitsBelowLS1Bit_Nonzero64(bits | (uint64_t{1} << 63));
      bits &= bits - 1;
      to[j] = from[row];
      numbers[j] = first + static_cast<int32_t>(row);
    }
  }
}

#endif

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
