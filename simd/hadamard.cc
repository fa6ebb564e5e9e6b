// SPDX-License-Identifier: Apache-2.0
#include "simd/hadamard.h"

#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/hadamard.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Lanes run along the row. A transform of 4, 8 or 16 vectors stays in registers through all rounds;
// a larger one takes passes of 8 vectors over a buffer in the L1 cache. Odd rounds run downwards so
// that the end of one round and the beginning of the next work on the same vectors and share a
// pass.

// At most 16 lanes, so that 4 vectors never exceed the smallest transform.
using HadamardTag = hn::CappedTag<float, 16>;
using HadamardVector = hn::Vec<HadamardTag>;

// Vectors by address. There are no arrays of SVE vectors, which have no size at compile time, but
// there are arrays of their addresses. Everything below is inlined and all loops over packs are
// unrolled, so that no address is left and the vectors stay in registers.
using HadamardPack = HadamardVector* const*;
constexpr size_t kPackVectors = 16;  // as many as AVX2 and SSE4 have registers, half of the others

// For pairs of lanes 2^s apart: kLaneSign[s][i] is -1 iff i & 2^s, kLanePartner[s][i] is i ^ 2^s.
HWY_ALIGN constexpr float kLaneSign[4][16] = {
    {1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1},
    {1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1},
    {1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1},
    {1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1}};
HWY_ALIGN constexpr int32_t kLanePartner[4][16] = {
    {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14},
    {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13},
    {4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11},
    {8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7}};

// Pairs of lanes 2^kStep apart: each lane becomes its partner plus or minus itself. The product
// with
// +-1 is exact, so with and without FMA the result is the one rounding of a sum or difference.
template <size_t kStep>
HWY_INLINE void LaneButterfly(HadamardVector& v) {
  const HadamardTag d;
  const hn::RebindToSigned<HadamardTag> di;
  if (hn::Lanes(d) <= (size_t{1} << kStep)) return;
  const auto sign = hn::Load(d, kLaneSign[kStep]);
  if constexpr (kStep == 0) {
    v = hn::MulAdd(v, sign, hn::Shuffle2301(v));
  } else if constexpr (kStep == 1) {
    v = hn::MulAdd(v, sign, hn::Shuffle1032(v));
  } else {
    const auto partner = hn::IndicesFromVec(d, hn::Load(di, kLanePartner[kStep]));
    v = hn::MulAdd(v, sign, hn::TableLookupLanes(v, partner));
  }
}

// One step over all vectors before the next: 8 independent ones hide the latency of one.
template <size_t kStep, size_t kCount>
HWY_INLINE void LaneButterflies(HadamardPack v) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kCount; ++i) LaneButterfly<kStep>(*v[i]);
}

// Pairs of vectors kCount apart in a pack of twice as many.
template <size_t kCount>
HWY_INLINE void VectorButterflies(HadamardPack v) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kCount; ++i) {
    const HadamardVector sum = hn::Add(*v[i], *v[i + kCount]);
    *v[i + kCount] = hn::Sub(*v[i], *v[i + kCount]);
    *v[i] = sum;
  }
}

// Transforms across kCount vectors, nearest pairs first (Up) or last (Down).
template <size_t kCount>
HWY_INLINE void TransformUp(HadamardPack v) {
  if constexpr (kCount > 1) {
    TransformUp<kCount / 2>(v);
    TransformUp<kCount / 2>(v + kCount / 2);
    VectorButterflies<kCount / 2>(v);
  }
}

template <size_t kCount>
HWY_INLINE void TransformDown(HadamardPack v) {
  if constexpr (kCount > 1) {
    VectorButterflies<kCount / 2>(v);
    TransformDown<kCount / 2>(v);
    TransformDown<kCount / 2>(v + kCount / 2);
  }
}

// A whole round, of lanes and vectors, of each run of kRun neighbouring vectors.
template <size_t kRun, size_t kCount>
HWY_INLINE void RoundUp(HadamardPack v) {
  LaneButterflies<0, kCount>(v);
  LaneButterflies<1, kCount>(v);
  LaneButterflies<2, kCount>(v);
  LaneButterflies<3, kCount>(v);
#pragma GCC unroll 16
  for (size_t i = 0; i < kCount; i += kRun) TransformUp<kRun>(v + i);
}

template <size_t kRun, size_t kCount>
HWY_INLINE void RoundDown(HadamardPack v) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kCount; i += kRun) TransformDown<kRun>(v + i);
  LaneButterflies<3, kCount>(v);
  LaneButterflies<2, kCount>(v);
  LaneButterflies<1, kCount>(v);
  LaneButterflies<0, kCount>(v);
}

// Loads, stores and sign changes of kCount vectors `stride` elements apart.
template <size_t kCount>
HWY_INLINE void LoadPack(const float* HWY_RESTRICT from, size_t stride, HadamardPack v) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kCount; ++i) *v[i] = hn::LoadU(HadamardTag(), from + i * stride);
}

template <size_t kCount>
HWY_INLINE void StorePack(HadamardPack v, float* HWY_RESTRICT to, size_t stride) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kCount; ++i) hn::Store(*v[i], HadamardTag(), to + i * stride);
}

template <size_t kCount>
HWY_INLINE void FlipPack(const uint32_t* HWY_RESTRICT signs, size_t stride, HadamardPack v) {
  const HadamardTag d;
  const hn::RebindToUnsigned<HadamardTag> du;
#pragma GCC unroll 16
  for (size_t i = 0; i < kCount; ++i) {
    *v[i] = hn::Xor(*v[i], hn::BitCast(d, hn::LoadU(du, signs + i * stride)));
  }
}

// Sets bits [at, at + lanes) of zeroed words where v > 0.
HWY_INLINE void SetSignBits(HadamardVector v, size_t at, uint64_t* words) {
  const HadamardTag d;
  uint8_t bytes[8] = {0};  // StoreMaskBits may write 8 bytes
  hn::StoreMaskBits(d, hn::Gt(v, hn::Zero(d)), bytes);
  uint16_t bits = 0;
  std::memcpy(&bits, bytes, 2);
  words[at / 64] |= uint64_t{bits} << at % 64;
}

// Writes `bits` bits of `words` and zeros up to a whole byte.
HWY_INLINE void WriteCode(const uint64_t* words, size_t bits, uint8_t* code) {
  const size_t whole = bits / 64;
  for (size_t w = 0; w < whole; ++w) std::memcpy(code + w * 8, words + w, 8);
  if (bits % 64 != 0) {
    const uint64_t word = words[whole] & ((uint64_t{1} << bits % 64) - 1);
    std::memcpy(code + whole * 8, &word, (bits % 64 + 7) / 8);
  }
}

// Views are passed by value from here on: behind a reference, a store of a vector, which may alias
// anything, makes the compiler load their members again.

// A group of bits: one transform of `size` floats. The three rounds have `size` signs each.
struct HadamardGroup {
  const uint32_t* signs;
  size_t size;
  size_t bits;  // of codes, at most `size`
};

HWY_INLINE HadamardGroup GroupAt(HadamardSigns signs, size_t first, size_t size) {
  return {signs.signs + kHadamardRounds * first, size, HWY_MIN(size, signs.bits - first)};
}

// One group of rows whose transforms are kRun vectors: kCount / kRun rows at once.
template <size_t kRun, size_t kCount>
HWY_INLINE void EncodeInRegisters(RowsView<float> rows, HadamardGroup group,
                                  OutputRows<uint8_t> codes, HadamardPack v) {
  constexpr size_t kRows = kCount / kRun;
  const size_t N = hn::Lanes(HadamardTag());
  const auto flip = [&](size_t round) HWY_ATTR {
#pragma GCC unroll 16
    for (size_t i = 0; i < kCount; i += kRun) {
      FlipPack<kRun>(group.signs + round * group.size, N, v + i);
    }
  };
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) LoadPack<kRun>(rows.row(r), N, v + r * kRun);
  flip(0);
  RoundUp<kRun, kCount>(v);
  flip(1);
  RoundDown<kRun, kCount>(v);
  flip(2);
  RoundUp<kRun, kCount>(v);
  uint64_t words[kRows][kRun / 4] = {};  // at most 16 lanes
#pragma GCC unroll 16
  for (size_t i = 0; i < kCount; ++i) SetSignBits(*v[i], i % kRun * N, words[i / kRun]);
  for (size_t r = 0; r < kRows; ++r) WriteCode(words[r], group.bits, codes.row(r));
}

enum class Pass { kUp, kDown, kTurn };  // kTurn: up, change signs, down again

// Pairs stride, 2 * stride, ..., kRadix / 2 * stride apart in the `size` floats of y.
template <Pass kPass, size_t kRadix>
HWY_INLINE void RadixPass(float* y, size_t size, size_t stride, const uint32_t* signs,
                          HadamardPack v) {
  for (size_t first = 0; first < size; first += kRadix * stride) {
    for (size_t i = first; i < first + stride; i += hn::Lanes(HadamardTag())) {
      LoadPack<kRadix>(y + i, stride, v);
      if constexpr (kPass != Pass::kDown) TransformUp<kRadix>(v);
      if constexpr (kPass == Pass::kTurn) FlipPack<kRadix>(signs + i, stride, v);
      if constexpr (kPass != Pass::kUp) TransformDown<kRadix>(v);
      StorePack<kRadix>(v, y + i, stride);
    }
  }
}

// The pass over the farthest pairs, of size / stride = 2, 4 or 8 vectors.
template <Pass kPass>
HWY_INLINE void TopPass(float* y, size_t size, size_t stride, const uint32_t* signs,
                        HadamardPack v) {
  switch (size / stride) {
    case 2:
      return RadixPass<kPass, 2>(y, size, stride, signs, v);
    case 4:
      return RadixPass<kPass, 4>(y, size, stride, signs, v);
    default:
      return RadixPass<kPass, 8>(y, size, stride, signs, v);
  }
}

// One group of a row whose transform is more than 16 vectors; y is a buffer of group.size floats.
HWY_INLINE void EncodeInPasses(const float* row, HadamardGroup group, float* HWY_RESTRICT y,
                               uint64_t* words, HadamardPack v) {
  const size_t N = hn::Lanes(HadamardTag()), size = group.size, block = 8 * N;
  const uint32_t* signs = group.signs;
  for (size_t i = 0; i < size; i += block) {
    LoadPack<8>(row + i, N, v);
    FlipPack<8>(signs + i, N, v);
    RoundUp<8, 8>(v);
    StorePack<8>(v, y + i, N);
  }
  size_t stride = block;
  for (; size / stride > 8; stride *= 8) RadixPass<Pass::kUp, 8>(y, size, stride, signs, v);
  TopPass<Pass::kTurn>(y, size, stride, signs + size, v);
  while (stride > block) {
    stride /= 8;
    RadixPass<Pass::kDown, 8>(y, size, stride, signs, v);
  }
  for (size_t i = 0; i < size; i += block) {
    LoadPack<8>(y + i, N, v);
    RoundDown<8, 8>(v);
    FlipPack<8>(signs + 2 * size + i, N, v);
    RoundUp<8, 8>(v);
    StorePack<8>(v, y + i, N);
  }
  for (; size / stride > 8; stride *= 8) RadixPass<Pass::kUp, 8>(y, size, stride, signs, v);
  TopPass<Pass::kUp>(y, size, stride, signs, v);
  for (size_t i = 0; i < size; i += 64) {
    words[i / 64] = 0;
    for (size_t k = i; k < i + 64; k += N) SetSignBits(hn::Load(HadamardTag(), y + k), k, words);
  }
}

// The rows themselves where they are as wide as a transform; else copies with zeros behind them.
HWY_INLINE RowsView<float> PaddedRows(RowsView<float> rows, size_t size,
                                      float* HWY_RESTRICT padded) {
  if (rows.width == size) return rows;
  for (size_t r = 0; r < rows.count; ++r) {
    std::memcpy(padded + r * size, rows.row(r), rows.width * sizeof(float));
    std::memset(padded + r * size + rows.width, 0, (size - rows.width) * sizeof(float));
  }
  return DenseRows(padded, rows.count, size);
}

// Rows whose transforms are kRun vectors, kCount / kRun at once; returns how many that leaves done.
template <size_t kRun, size_t kCount>
HWY_INLINE size_t EncodeSmall(RowsView<float> x, HadamardSigns signs, OutputRows<uint8_t> codes,
                              HadamardPack v) {
  constexpr size_t kRows = kCount / kRun;
  const size_t size = kRun * hn::Lanes(HadamardTag());
  HWY_ALIGN float padded[kCount * 16];
  size_t r = 0;
  for (; r + kRows <= x.count; r += kRows) {
    const auto rows = PaddedRows({x.row(r), kRows, x.width, x.stride}, size, padded);
    for (size_t first = 0; first < signs.bits; first += size) {
      EncodeInRegisters<kRun, kCount>(rows, GroupAt(signs, first, size),
                                      {codes.row(r) + first / 8, codes.stride}, v);
    }
  }
  return r;
}

// As many rows at once as fit the pack, then the rest one by one.
template <size_t kRun>
HWY_INLINE void EncodeSmallRows(RowsView<float> x, HadamardSigns signs, OutputRows<uint8_t> codes,
                                HadamardPack v) {
  const size_t done = EncodeSmall<kRun, kPackVectors>(x, signs, codes, v);
  if constexpr (kRun == kPackVectors) return;
  EncodeSmall<kRun, kRun>({x.row(done), x.count - done, x.width, x.stride}, signs,
                          {codes.row(done), codes.stride}, v);
}

HWY_INLINE void EncodeLargeRows(RowsView<float> x, HadamardSigns signs, OutputRows<uint8_t> codes,
                                HadamardPack v) {
  const size_t size = HadamardSize(x.width);
  HWY_ALIGN float padded[kHadamardMaxSize];
  HWY_ALIGN float y[kHadamardMaxSize];
  uint64_t words[kHadamardMaxSize / 64];
  for (size_t r = 0; r < x.count; ++r) {
    const auto row = PaddedRows({x.row(r), 1, x.width, x.stride}, size, padded);
    for (size_t first = 0; first < signs.bits; first += size) {
      const HadamardGroup group = GroupAt(signs, first, size);
      EncodeInPasses(row.data, group, y, words, v);
      WriteCode(words, group.bits, codes.row(r) + first / 8);
    }
  }
}

HWY_MAYBE_UNUSED void HadamardEncodeOfTarget(const RowsView<float>& x, const HadamardSigns& signs,
                                             const OutputRows<uint8_t>& codes) {
  HadamardVector v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15;
  HadamardVector* const v[kPackVectors] = {&v0, &v1, &v2,  &v3,  &v4,  &v5,  &v6,  &v7,
                                           &v8, &v9, &v10, &v11, &v12, &v13, &v14, &v15};
  switch (HadamardSize(x.width) / hn::Lanes(HadamardTag())) {
    case 4:
      return EncodeSmallRows<4>(x, signs, codes, v);
    case 8:
      return EncodeSmallRows<8>(x, signs, codes, v);
    case 16:
      return EncodeSmallRows<16>(x, signs, codes, v);
    default:
      return EncodeLargeRows(x, signs, codes, v);
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(HadamardEncodeOfTarget);

void PackHadamardSigns(const uint8_t* sign_bits, size_t count, uint32_t* signs) {
  for (size_t i = 0; i < count; ++i) {
    signs[i] = (sign_bits[i / 8] >> (i % 8) & 1u) << 31;
  }
}

void HadamardEncode(const RowsView<float>& x, const HadamardSigns& signs, uint8_t* codes,
                    size_t code_stride) {
  ETA_SIMD_REQUIRE(AreRows(x) && x.width <= kHadamardMaxSize);
  ETA_SIMD_REQUIRE(signs.bits >= 1 && code_stride >= (signs.bits + 7) / 8);
  HWY_DYNAMIC_DISPATCH(HadamardEncodeOfTarget)(x, signs, {codes, code_stride});
}

}  // namespace eta::simd
#endif  // HWY_ONCE
