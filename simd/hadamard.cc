// SPDX-License-Identifier: Apache-2.0
#include "simd/hadamard.h"

#include <cstring>

#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/hadamard.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes, so that 4 vectors never exceed the smallest transform.
using Tag = hn::CappedTag<float, 16>;
using Vector = hn::Vec<Tag>;

// Lanes run along the row: vectors are named or come in packs, because SVE has no arrays of them.
// A transform of 4 or 8 vectors stays in registers through all rounds; a larger one takes passes of
// 8 vectors over a buffer in the L1 cache. Odd rounds run downwards so that the end of one round
// and the beginning of the next work on the same vectors and share a pass.

// kPlusMinus[s][i] is -1 iff i & 2^s, kSwap[s][i] is i ^ 2^s.
HWY_ALIGN constexpr float kPlusMinus[4][16] = {
    {1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1},
    {1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1},
    {1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1},
    {1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1}};
HWY_ALIGN constexpr int32_t kSwap[4][16] = {{1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14},
                                            {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13},
                                            {4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11},
                                            {8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7}};

// Pairs of lanes 2^kStep apart. The product with +-1 is exact, so with and without FMA the result
// is the one rounding of a sum or difference.
template <size_t kStep>
HWY_INLINE void LaneStep(Tag d, Vector& v) {
  const hn::RebindToSigned<Tag> di;
  if (hn::Lanes(d) <= (size_t{1} << kStep)) return;
  const auto sign = hn::Load(d, kPlusMinus[kStep]);
#if HWY_TARGET != HWY_SCALAR
  if constexpr (kStep == 0) {
    v = hn::MulAdd(v, sign, hn::Shuffle2301(v));
    return;
  } else if constexpr (kStep == 1) {
    v = hn::MulAdd(v, sign, hn::Shuffle1032(v));
    return;
  }
#endif
  if constexpr (kStep >= 2) {
    const auto swap = hn::IndicesFromVec(d, hn::Load(di, kSwap[kStep]));
    v = hn::MulAdd(v, sign, hn::TableLookupLanes(v, swap));
  }
}

HWY_INLINE void Butterfly(Vector& a, Vector& b) {
  const Vector sum = hn::Add(a, b);
  b = hn::Sub(a, b);
  a = sum;
}

// Transforms across vectors, nearest pairs first (Up) or last (Down).
HWY_INLINE void Up(Vector& a, Vector& b) { Butterfly(a, b); }
HWY_INLINE void Down(Vector& a, Vector& b) { Butterfly(a, b); }

HWY_INLINE void Up(Vector& a, Vector& b, Vector& c, Vector& d) {
  Up(a, b);
  Up(c, d);
  Butterfly(a, c);
  Butterfly(b, d);
}

HWY_INLINE void Down(Vector& a, Vector& b, Vector& c, Vector& d) {
  Butterfly(a, c);
  Butterfly(b, d);
  Down(a, b);
  Down(c, d);
}

HWY_INLINE void Up(Vector& a, Vector& b, Vector& c, Vector& d, Vector& e, Vector& f, Vector& g,
                   Vector& h) {
  Up(a, b, c, d);
  Up(e, f, g, h);
  Butterfly(a, e);
  Butterfly(b, f);
  Butterfly(c, g);
  Butterfly(d, h);
}

HWY_INLINE void Down(Vector& a, Vector& b, Vector& c, Vector& d, Vector& e, Vector& f, Vector& g,
                     Vector& h) {
  Butterfly(a, e);
  Butterfly(b, f);
  Butterfly(c, g);
  Butterfly(d, h);
  Down(a, b, c, d);
  Down(e, f, g, h);
}

HWY_INLINE void Up(Vector& a, Vector& b, Vector& c, Vector& d, Vector& e, Vector& f, Vector& g,
                   Vector& h, Vector& i, Vector& j, Vector& k, Vector& l, Vector& m, Vector& n,
                   Vector& o, Vector& p) {
  Up(a, b, c, d, e, f, g, h);
  Up(i, j, k, l, m, n, o, p);
  Butterfly(a, i);
  Butterfly(b, j);
  Butterfly(c, k);
  Butterfly(d, l);
  Butterfly(e, m);
  Butterfly(f, n);
  Butterfly(g, o);
  Butterfly(h, p);
}

HWY_INLINE void Down(Vector& a, Vector& b, Vector& c, Vector& d, Vector& e, Vector& f, Vector& g,
                     Vector& h, Vector& i, Vector& j, Vector& k, Vector& l, Vector& m, Vector& n,
                     Vector& o, Vector& p) {
  Butterfly(a, i);
  Butterfly(b, j);
  Butterfly(c, k);
  Butterfly(d, l);
  Butterfly(e, m);
  Butterfly(f, n);
  Butterfly(g, o);
  Butterfly(h, p);
  Down(a, b, c, d, e, f, g, h);
  Down(i, j, k, l, m, n, o, p);
}

// Up and Down within each run of kRun vectors of a pack.
template <size_t kRun, class... Vs>
HWY_INLINE void UpEights(Vector& a, Vector& b, Vector& c, Vector& d, Vector& e, Vector& f,
                         Vector& g, Vector& h, Vs&... more) {
  if constexpr (kRun == 8) {
    Up(a, b, c, d, e, f, g, h);
    if constexpr (sizeof...(more) != 0) UpEights<kRun>(more...);
  } else {
    Up(a, b, c, d, e, f, g, h, more...);
  }
}

template <size_t kRun, class... Vs>
HWY_INLINE void UpRuns(Vector& a, Vector& b, Vector& c, Vector& d, Vs&... more) {
  if constexpr (kRun == 4) {
    Up(a, b, c, d);
    if constexpr (sizeof...(more) != 0) UpRuns<kRun>(more...);
  } else {
    UpEights<kRun>(a, b, c, d, more...);
  }
}

template <size_t kRun, class... Vs>
HWY_INLINE void DownEights(Vector& a, Vector& b, Vector& c, Vector& d, Vector& e, Vector& f,
                           Vector& g, Vector& h, Vs&... more) {
  if constexpr (kRun == 8) {
    Down(a, b, c, d, e, f, g, h);
    if constexpr (sizeof...(more) != 0) DownEights<kRun>(more...);
  } else {
    Down(a, b, c, d, e, f, g, h, more...);
  }
}

template <size_t kRun, class... Vs>
HWY_INLINE void DownRuns(Vector& a, Vector& b, Vector& c, Vector& d, Vs&... more) {
  if constexpr (kRun == 4) {
    Down(a, b, c, d);
    if constexpr (sizeof...(more) != 0) DownRuns<kRun>(more...);
  } else {
    DownEights<kRun>(a, b, c, d, more...);
  }
}

// Loads, stores and sign changes of vectors `stride` elements apart.
template <class... Vs>
HWY_INLINE void LoadAll(Tag d, const float* HWY_RESTRICT from, size_t stride, Vs&... v) {
  size_t i = 0;
  ((v = hn::LoadU(d, from + i++ * stride)), ...);
}

template <class... Vs>
HWY_INLINE void StoreAll(Tag d, float* HWY_RESTRICT to, size_t stride, const Vs&... v) {
  size_t i = 0;
  (hn::Store(v, d, to + i++ * stride), ...);
}

template <class... Vs>
HWY_INLINE void FlipAll(Tag d, const uint32_t* HWY_RESTRICT signs, size_t stride, Vs&... v) {
  const hn::RebindToUnsigned<Tag> du;
  size_t i = 0;
  ((v = hn::Xor(v, hn::BitCast(d, hn::LoadU(du, signs + i++ * stride)))), ...);
}

// A whole round over neighbouring vectors, step by step over all of them: 8 independent steps hide
// the latency of one.
template <class... Vs>
HWY_INLINE void LanesUp(Tag d, Vs&... v) {
  (LaneStep<0>(d, v), ...);
  (LaneStep<1>(d, v), ...);
  (LaneStep<2>(d, v), ...);
  (LaneStep<3>(d, v), ...);
}

template <class... Vs>
HWY_INLINE void LanesDown(Tag d, Vs&... v) {
  (LaneStep<3>(d, v), ...);
  (LaneStep<2>(d, v), ...);
  (LaneStep<1>(d, v), ...);
  (LaneStep<0>(d, v), ...);
}

template <size_t kRun, class... Vs>
HWY_INLINE void RoundUp(Tag d, Vs&... v) {
  LanesUp(d, v...);
  UpRuns<kRun>(v...);
}

template <size_t kRun, class... Vs>
HWY_INLINE void RoundDown(Tag d, Vs&... v) {
  DownRuns<kRun>(v...);
  LanesDown(d, v...);
}

// Sets bits [at, at + lanes) of zeroed words where v > 0.
HWY_INLINE void SignBits(Tag d, Vector v, size_t at, uint64_t* words) {
  uint8_t bytes[8] = {0};  // StoreMaskBits may write 8 bytes
  hn::StoreMaskBits(d, hn::Gt(v, hn::Zero(d)), bytes);
  uint16_t bits = 0;
  std::memcpy(&bits, bytes, 2);
  words[at / 64] |= uint64_t{bits} << at % 64;
}

// Writes `bits` bits of `words` and zeros up to a whole byte.
HWY_INLINE void WriteBits(const uint64_t* words, size_t bits, uint8_t* code) {
  const size_t whole = bits / 64;
  for (size_t w = 0; w < whole; ++w) std::memcpy(code + w * 8, words + w, 8);
  if (bits % 64 != 0) {
    const uint64_t word = words[whole] & ((uint64_t{1} << bits % 64) - 1);
    std::memcpy(code + whole * 8, &word, (bits % 64 + 7) / 8);
  }
}

// Transforms of kRun vectors, which stay in registers: as many rows at once as the pack has runs.
template <size_t kRun, class... Vs>
HWY_INLINE void EncodeInRegisters(Tag d, const float* x, size_t x_stride, const uint32_t* signs,
                                  size_t bits, uint8_t* codes, size_t code_stride, Vs&... v) {
  constexpr size_t kRows = sizeof...(v) / kRun;
  const size_t N = hn::Lanes(d);
  const size_t size = kRun * N;
  const hn::RebindToUnsigned<Tag> du;
  const auto flip = [&](size_t i, Vector& u, const uint32_t* round) HWY_ATTR {
    u = hn::Xor(u, hn::BitCast(d, hn::LoadU(du, round + i % kRun * N)));
  };
  size_t i = 0;
  ((v = hn::LoadU(d, x + i / kRun * x_stride + i % kRun * N), flip(i, v, signs), ++i), ...);
  RoundUp<kRun>(d, v...);
  i = 0;
  ((flip(i++, v, signs + size)), ...);
  RoundDown<kRun>(d, v...);
  i = 0;
  ((flip(i++, v, signs + 2 * size)), ...);
  RoundUp<kRun>(d, v...);
  uint64_t words[kRows][kRun / 4] = {};  // at most 16 lanes
  i = 0;
  ((SignBits(d, v, i % kRun * N, words[i / kRun]), ++i), ...);
  for (size_t r = 0; r < kRows; ++r) WriteBits(words[r], bits, codes + r * code_stride);
}

enum class Pass { kUp, kDown, kTurn };  // kTurn: up, change signs, down again

template <Pass kPass, class... Vs>
HWY_INLINE void PassOver(Tag d, float* y, size_t stride, const uint32_t* signs, Vs&... v) {
  LoadAll(d, y, stride, v...);
  if constexpr (kPass != Pass::kDown) Up(v...);
  if constexpr (kPass == Pass::kTurn) FlipAll(d, signs, stride, v...);
  if constexpr (kPass != Pass::kUp) Down(v...);
  StoreAll(d, y, stride, v...);
}

// Pairs stride, 2 * stride, ..., kRadix / 2 * stride apart in the `size` floats of y.
template <Pass kPass, size_t kRadix>
HWY_INLINE void RadixPass(Tag d, float* y, size_t size, size_t stride, const uint32_t* signs) {
  for (size_t first = 0; first < size; first += kRadix * stride) {
    for (size_t i = first; i < first + stride; i += hn::Lanes(d)) {
      Vector v0, v1, v2, v3, v4, v5, v6, v7;
      if constexpr (kRadix == 2) {
        PassOver<kPass>(d, y + i, stride, signs + i, v0, v1);
      } else if constexpr (kRadix == 4) {
        PassOver<kPass>(d, y + i, stride, signs + i, v0, v1, v2, v3);
      } else {
        PassOver<kPass>(d, y + i, stride, signs + i, v0, v1, v2, v3, v4, v5, v6, v7);
      }
    }
  }
}

template <Pass kPass>
HWY_INLINE void TopPass(Tag d, float* y, size_t size, size_t stride, const uint32_t* signs) {
  switch (size / stride) {
    case 2:
      return RadixPass<kPass, 2>(d, y, size, stride, signs);
    case 4:
      return RadixPass<kPass, 4>(d, y, size, stride, signs);
    default:
      return RadixPass<kPass, 8>(d, y, size, stride, signs);
  }
}

// A transform of more than 8 vectors.
HWY_INLINE void EncodeInPasses(Tag d, const float* row, const uint32_t* signs, size_t size,
                               float* HWY_RESTRICT y, uint64_t* words) {
  const size_t N = hn::Lanes(d);
  const size_t block = 8 * N;
  Vector v0, v1, v2, v3, v4, v5, v6, v7;
  for (size_t i = 0; i < size; i += block) {
    LoadAll(d, row + i, N, v0, v1, v2, v3, v4, v5, v6, v7);
    FlipAll(d, signs + i, N, v0, v1, v2, v3, v4, v5, v6, v7);
    RoundUp<8>(d, v0, v1, v2, v3, v4, v5, v6, v7);
    StoreAll(d, y + i, N, v0, v1, v2, v3, v4, v5, v6, v7);
  }
  size_t stride = block;
  for (; size / stride > 8; stride *= 8) RadixPass<Pass::kUp, 8>(d, y, size, stride, signs);
  TopPass<Pass::kTurn>(d, y, size, stride, signs + size);
  while (stride > block) {
    stride /= 8;
    RadixPass<Pass::kDown, 8>(d, y, size, stride, signs);
  }
  for (size_t i = 0; i < size; i += block) {
    LoadAll(d, y + i, N, v0, v1, v2, v3, v4, v5, v6, v7);
    RoundDown<8>(d, v0, v1, v2, v3, v4, v5, v6, v7);
    FlipAll(d, signs + 2 * size + i, N, v0, v1, v2, v3, v4, v5, v6, v7);
    RoundUp<8>(d, v0, v1, v2, v3, v4, v5, v6, v7);
    StoreAll(d, y + i, N, v0, v1, v2, v3, v4, v5, v6, v7);
  }
  for (; size / stride > 8; stride *= 8) RadixPass<Pass::kUp, 8>(d, y, size, stride, signs);
  TopPass<Pass::kUp>(d, y, size, stride, signs);
  for (size_t i = 0; i < size; i += 64) {
    uint64_t word = 0;
    for (size_t k = 0; k < 64; k += N) SignBits(d, hn::Load(d, y + i + k), k, &word);
    words[i / 64] = word;
  }
}

// `rows` x `dim` floats of x, each row followed by zeros up to `size`.
HWY_INLINE void CopyRows(const float* x, size_t rows, size_t dim, size_t x_stride, size_t size,
                         float* HWY_RESTRICT padded) {
  for (size_t r = 0; r < rows; ++r) {
    std::memcpy(padded + r * size, x + r * x_stride, dim * sizeof(float));
    std::memset(padded + r * size + dim, 0, (size - dim) * sizeof(float));
  }
}

template <size_t kRun, class... Vs>
HWY_INLINE size_t EncodeRuns(Tag d, const float* x, size_t rows, size_t dim, size_t x_stride,
                             const uint32_t* signs, size_t bits, uint8_t* codes, size_t code_stride,
                             Vs&... v) {
  constexpr size_t kRows = sizeof...(v) / kRun;
  const size_t size = kRun * hn::Lanes(d);
  HWY_ALIGN float padded[kRows * kRun * 16];
  size_t r = 0;
  for (; r + kRows <= rows; r += kRows) {
    const float* from = x + r * x_stride;
    size_t from_stride = x_stride;
    if (dim < size) {
      CopyRows(from, kRows, dim, x_stride, size, padded);
      from = padded;
      from_stride = size;
    }
    for (size_t first = 0; first < bits; first += size) {
      EncodeInRegisters<kRun>(d, from, from_stride, signs + kHadamardRounds * first,
                              HWY_MIN(size, bits - first), codes + r * code_stride + first / 8,
                              code_stride, v...);
    }
  }
  return r;
}

void EncodeLarge(Tag d, const float* x, size_t rows, size_t dim, size_t x_stride,
                 const uint32_t* signs, size_t bits, uint8_t* codes, size_t code_stride) {
  const size_t size = HadamardSize(dim);
  HWY_ALIGN float padded[kHadamardMaxSize];
  HWY_ALIGN float y[kHadamardMaxSize];
  uint64_t words[kHadamardMaxSize / 64];
  for (size_t r = 0; r < rows; ++r) {
    const float* row = x + r * x_stride;
    if (dim < size) {
      CopyRows(row, 1, dim, x_stride, size, padded);
      row = padded;
    }
    for (size_t first = 0; first < bits; first += size) {
      EncodeInPasses(d, row, signs + kHadamardRounds * first, size, y, words);
      WriteBits(words, HWY_MIN(size, bits - first), codes + r * code_stride + first / 8);
    }
  }
}

void Encode(const float* x, size_t rows, size_t dim, size_t x_stride, const uint32_t* signs,
            size_t bits, uint8_t* codes, size_t code_stride) {
  const Tag d;
  Vector v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15;
  size_t done = 0;
  switch (HadamardSize(dim) / hn::Lanes(d)) {
    case 4:
      done = EncodeRuns<4>(d, x, rows, dim, x_stride, signs, bits, codes, code_stride, v0, v1, v2,
                           v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15);
      EncodeRuns<4>(d, x + done * x_stride, rows - done, dim, x_stride, signs, bits,
                    codes + done * code_stride, code_stride, v0, v1, v2, v3);
      return;
    case 8:
      done = EncodeRuns<8>(d, x, rows, dim, x_stride, signs, bits, codes, code_stride, v0, v1, v2,
                           v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15);
      EncodeRuns<8>(d, x + done * x_stride, rows - done, dim, x_stride, signs, bits,
                    codes + done * code_stride, code_stride, v0, v1, v2, v3, v4, v5, v6, v7);
      return;
    case 16:
      EncodeRuns<16>(d, x, rows, dim, x_stride, signs, bits, codes, code_stride, v0, v1, v2, v3, v4,
                     v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15);
      return;
    default:
      EncodeLarge(d, x, rows, dim, x_stride, signs, bits, codes, code_stride);
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(Encode);

void PackHadamardSigns(const uint8_t* sign_bits, size_t count, uint32_t* signs) {
  for (size_t i = 0; i < count; ++i) {
    signs[i] = (sign_bits[i / 8] >> (i % 8) & 1u) << 31;
  }
}

void HadamardEncode(const float* x, size_t rows, size_t dim, size_t x_stride, const uint32_t* signs,
                    size_t bits, uint8_t* codes, size_t code_stride) {
  HWY_DASSERT(dim >= 1 && dim <= kHadamardMaxSize && bits >= 1);
  HWY_DASSERT(x_stride >= dim && code_stride >= (bits + 7) / 8);
  HWY_DYNAMIC_DISPATCH(Encode)(x, rows, dim, x_stride, signs, bits, codes, code_stride);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
