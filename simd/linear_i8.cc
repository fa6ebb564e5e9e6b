// SPDX-License-Identifier: Apache-2.0
#include "simd/linear_i8.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/linear_i8.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/i8_rows-inl.h"

#ifndef ETA_SIMD_LINEAR_I8_TYPES_
#define ETA_SIMD_LINEAR_I8_TYPES_
namespace eta::simd {
namespace {

constexpr size_t kLinearI8GroupBytes = kLinearColumns * 4;
constexpr size_t kLinearI8MostRows = 6;   // of a tile, on any target
constexpr size_t kLinearI8MostWords = 2;  // of a group of inputs, on any target
static_assert(kSmallestLargest == kU8SmallestRow);

// A tile of rows and what becomes of its sums. Passed by value, because a store through y may alias
// anything.
struct LinearI8Tile {
  const uint8_t* packed;
  size_t panel_bytes;
  size_t groups;
  size_t out;
  const int32_t* words;  // the rows, in the form of the target
  const float* scales;
  const float* bias;
  I8BiasRows bias_rows;
  float floor;  // smaller outputs become 0
  float* y;
  size_t y_stride;
  bool is_signed;  // the zero point is 128

  // The scales of the panel of a column, then its sums, then its first group.
  const uint8_t* panel(size_t column) const {
    return packed + column / kLinearColumns * panel_bytes;
  }
};

}  // namespace
}  // namespace eta::simd
#endif  // ETA_SIMD_LINEAR_I8_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using LinearI8Tag = hn::CappedTag<float, kLinearColumns>;
using LinearI8SumTag = hn::RebindToSigned<LinearI8Tag>;
using LinearI8Sums = hn::Vec<LinearI8SumTag>;

// Scale, bias and activation of row r's sums of columns [column, column + lanes), stored.
HWY_INLINE void StoreLinearI8(LinearI8Tile tile, size_t r, size_t column, LinearI8Sums sums) {
  if (column >= tile.out) return;
  const LinearI8Tag d;
  const size_t count = tile.out - column;
  const auto scales = LoadLanes(d, tile.panel(column) + column % kLinearColumns * sizeof(float));
  auto bias = hn::Zero(d);
  if (tile.bias != nullptr) bias = LoadFirst(d, tile.bias + column, count);
  const I8BiasRows rows = tile.bias_rows;
  if (rows.values != nullptr) bias = AddBytes(d, bias, rows.row(r) + column, rows.scale(r), count);
  const auto scaled = hn::Mul(hn::ConvertTo(d, sums), scales);
  auto y = QuickFma(d, scaled, hn::Set(d, tile.scales[r]), bias);
  y = hn::IfThenZeroElse(hn::Lt(y, hn::Set(d, tile.floor)), y);
  StoreFirst(d, y, count, tile.y + r * tile.y_stride + column);
}

#if ETA_SIMD_HAS_VNNI

// 6 rows x 4 panels are 24 sums in 32 registers, with 10 loads for 24 VPDPBUSD.
constexpr size_t kLinearI8Rows = 6;
constexpr size_t kLinearI8Panels = 4;

// VPDPBUSD multiplies unsigned by signed bytes: rows are taken as they are, and where their zero
// point is 128 the sums start from -128 times the sum of the column.
HWY_INLINE I8SumVector StartOfPanel(const uint8_t* panel, bool is_signed) {
  const LinearI8SumTag d;
  if (!is_signed) return reinterpret_cast<I8SumVector>(_mm512_setzero_si512());
  const auto sums = LoadLanes(d, panel + kLinearI8GroupBytes);
  return reinterpret_cast<I8SumVector>(hn::Sub(hn::Zero(d), hn::ShiftLeft<7>(sums)).raw);
}

template <size_t kPanels>
ETA_SIMD_VNNI_ATTR HWY_INLINE void AddRow(I8Sums& sums, int32_t word, __m512i w0, __m512i w1,
                                          __m512i w2, __m512i w3) {
  const __m512i x = _mm512_set1_epi32(word);
  sums.v0 = AddI8Products(sums.v0, x, w0);
  if constexpr (kPanels > 1) sums.v1 = AddI8Products(sums.v1, x, w1);
  if constexpr (kPanels > 2) sums.v2 = AddI8Products(sums.v2, x, w2);
  if constexpr (kPanels > 3) sums.v3 = AddI8Products(sums.v3, x, w3);
}

template <size_t kPanels>
HWY_INLINE void StoreLinearI8Row(LinearI8Tile tile, size_t r, size_t column, I8Sums sums) {
  const auto store = [=](size_t panel, I8SumVector v) HWY_ATTR __attribute__((always_inline)) {
    StoreLinearI8(tile, r, column + panel * kLinearColumns,
                  LinearI8Sums{reinterpret_cast<__m512i>(v)});
  };
  store(0, sums.v0);
  if constexpr (kPanels > 1) store(1, sums.v1);
  if constexpr (kPanels > 2) store(2, sums.v2);
  if constexpr (kPanels > 3) store(3, sums.v3);
}

template <size_t kRows, size_t kPanels>
ETA_SIMD_VNNI_ATTR void LinearI8Product(LinearI8Tile tile, size_t column) {
  const size_t groups = tile.groups;
  const uint8_t* p0 = tile.panel(column);
  // Where there are fewer panels, the first stands for the others, which are not read.
  const size_t step = tile.panel_bytes;
  const uint8_t* p1 = kPanels > 1 ? p0 + step : p0;
  const uint8_t* p2 = kPanels > 2 ? p0 + 2 * step : p0;
  const uint8_t* p3 = kPanels > 3 ? p0 + 3 * step : p0;
  // Neither an array nor captured by a lambda, because GCC 12 keeps such sums in memory.
  I8Sums s0 = {StartOfPanel(p0, tile.is_signed), StartOfPanel(p1, tile.is_signed),
               StartOfPanel(p2, tile.is_signed), StartOfPanel(p3, tile.is_signed)};
  I8Sums s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0;
  const int32_t* HWY_RESTRICT words = tile.words;
  for (size_t g = 0, at = 2 * kLinearI8GroupBytes; g < groups; ++g, at += kLinearI8GroupBytes) {
    const __m512i w0 = _mm512_loadu_si512(p0 + at);
    const __m512i w1 = kPanels > 1 ? _mm512_loadu_si512(p1 + at) : w0;
    const __m512i w2 = kPanels > 2 ? _mm512_loadu_si512(p2 + at) : w0;
    const __m512i w3 = kPanels > 3 ? _mm512_loadu_si512(p3 + at) : w0;
    AddRow<kPanels>(s0, words[g], w0, w1, w2, w3);
    if constexpr (kRows > 1) AddRow<kPanels>(s1, words[groups + g], w0, w1, w2, w3);
    if constexpr (kRows > 2) AddRow<kPanels>(s2, words[2 * groups + g], w0, w1, w2, w3);
    if constexpr (kRows > 3) AddRow<kPanels>(s3, words[3 * groups + g], w0, w1, w2, w3);
    if constexpr (kRows > 4) AddRow<kPanels>(s4, words[4 * groups + g], w0, w1, w2, w3);
    if constexpr (kRows > 5) AddRow<kPanels>(s5, words[5 * groups + g], w0, w1, w2, w3);
  }
  StoreLinearI8Row<kPanels>(tile, 0, column, s0);
  if constexpr (kRows > 1) StoreLinearI8Row<kPanels>(tile, 1, column, s1);
  if constexpr (kRows > 2) StoreLinearI8Row<kPanels>(tile, 2, column, s2);
  if constexpr (kRows > 3) StoreLinearI8Row<kPanels>(tile, 3, column, s3);
  if constexpr (kRows > 4) StoreLinearI8Row<kPanels>(tile, 4, column, s4);
  if constexpr (kRows > 5) StoreLinearI8Row<kPanels>(tile, 5, column, s5);
}

template <size_t kRows>
HWY_INLINE void LinearI8RowsOf(LinearI8Tile tile) {
  // As even as can be: a tile of one panel is slow, because it loads more than it multiplies.
  size_t panels = PaddedColumns(tile.out) / kLinearColumns, column = 0;
  while (panels != 0) {
    const size_t tiles = (panels + kLinearI8Panels - 1) / kLinearI8Panels;
    const size_t width = (panels + tiles - 1) / tiles;
    if (width == 4) LinearI8Product<kRows, 4>(tile, column);
    if (width == 3) LinearI8Product<kRows, 3>(tile, column);
    if (width == 2) LinearI8Product<kRows, 2>(tile, column);
    if (width == 1) LinearI8Product<kRows, 1>(tile, column);
    panels -= width;
    column += width * kLinearColumns;
  }
}

#else

// Without VNNI: products of 16-bit pairs, as in simd/internal/dot_i8-inl.h. 4 rows x 2 vectors are
// 8 sums, which with 4 vectors of weights and 2 of a row fit 16 registers.
constexpr size_t kLinearI8Rows = 4;

using LinearI8PairTag = hn::Repartition<int16_t, LinearI8SumTag>;
using LinearI8Pairs = hn::Vec<LinearI8PairTag>;

HWY_INLINE void LoadWeights(const uint8_t* bytes, LinearI8Pairs& even, LinearI8Pairs& odd) {
  const auto v = LoadLanes(LinearI8PairTag(), bytes);
  even = hn::ShiftRight<8>(hn::ShiftLeft<8>(v));
  odd = hn::ShiftRight<8>(v);
}

// `kVectors` vectors of columns.
template <size_t kRows, size_t kVectors>
HWY_INLINE void LinearI8Product(LinearI8Tile tile, size_t column) {
  const LinearI8SumTag d;
  const LinearI8PairTag d16;
  const size_t N = hn::Lanes(d);
  const auto start_of = [=](size_t c) HWY_ATTR {
    return tile.panel(c) + 2 * kLinearI8GroupBytes + c % kLinearColumns * 4;
  };
  const uint8_t* first = start_of(column);
  const uint8_t* second = kVectors > 1 ? start_of(column + N) : first;
  const size_t groups = tile.groups, row_words = 2 * groups;
  // Named, not an array, because SVE vectors have no size at compile time. Sums a and b are those
  // of the two vectors of columns; c and e take their other halves on targets that split a pair.
  const auto zero = hn::Zero(d);
  auto a0 = zero, b0 = zero, a1 = zero, b1 = zero, a2 = zero, b2 = zero, a3 = zero, b3 = zero;
  auto c0 = zero, e0 = zero, c1 = zero, e1 = zero, c2 = zero, e2 = zero, c3 = zero, e3 = zero;
  const int32_t* HWY_RESTRICT words = tile.words;
  for (size_t g = 0; g < groups; ++g, ++words) {
    LinearI8Pairs even0, odd0, even1, odd1;
    LoadWeights(first + g * kLinearI8GroupBytes, even0, odd0);
    LoadWeights(second + g * kLinearI8GroupBytes, even1, odd1);
    const auto step = [&](size_t r, LinearI8Sums & a, LinearI8Sums & c, LinearI8Sums & b,
                          LinearI8Sums & e) HWY_ATTR __attribute__((always_inline)) {
      const auto even = hn::BitCast(d16, hn::Set(d, words[r * row_words]));
      const auto odd = hn::BitCast(d16, hn::Set(d, words[r * row_words + groups]));
      a = hn::ReorderWidenMulAccumulate(d, even0, even, a, c);
      if constexpr (kVectors > 1) b = hn::ReorderWidenMulAccumulate(d, even1, even, b, e);
      a = hn::ReorderWidenMulAccumulate(d, odd0, odd, a, c);
      if constexpr (kVectors > 1) b = hn::ReorderWidenMulAccumulate(d, odd1, odd, b, e);
    };
    step(0, a0, c0, b0, e0);
    if constexpr (kRows > 1) step(1, a1, c1, b1, e1);
    if constexpr (kRows > 2) step(2, a2, c2, b2, e2);
    if constexpr (kRows > 3) step(3, a3, c3, b3, e3);
  }
  const auto emit = [=](size_t r, LinearI8Sums a, LinearI8Sums c, LinearI8Sums b, LinearI8Sums e)
      HWY_ATTR __attribute__((always_inline)) {
    StoreLinearI8(tile, r, column, FinishI8Sum(a, c));
    if constexpr (kVectors > 1) StoreLinearI8(tile, r, column + N, FinishI8Sum(b, e));
  };
  emit(0, a0, c0, b0, e0);
  if constexpr (kRows > 1) emit(1, a1, c1, b1, e1);
  if constexpr (kRows > 2) emit(2, a2, c2, b2, e2);
  if constexpr (kRows > 3) emit(3, a3, c3, b3, e3);
}

template <size_t kRows>
HWY_INLINE void LinearI8RowsOf(LinearI8Tile tile) {
  const size_t N = hn::Lanes(LinearI8SumTag());
  size_t column = 0;
  for (; column + N < tile.out; column += 2 * N) LinearI8Product<kRows, 2>(tile, column);
  if (column < tile.out) LinearI8Product<kRows, 1>(tile, column);
}

#endif  // ETA_SIMD_HAS_VNNI

HWY_INLINE void LinearI8TileOf(size_t rows, LinearI8Tile tile) {
#if ETA_SIMD_HAS_VNNI
  if (rows == 6) return LinearI8RowsOf<6>(tile);
  if (rows == 5) return LinearI8RowsOf<5>(tile);
#endif
  if (rows == 4) return LinearI8RowsOf<4>(tile);
  if (rows == 3) return LinearI8RowsOf<3>(tile);
  if (rows == 2) return LinearI8RowsOf<2>(tile);
  LinearI8RowsOf<1>(tile);
}

// Calls take(first, rows, tile) for the rows of a layer, a tile at a time, that says where they go.
template <class Take>
HWY_INLINE void ForEachLinearI8Tile(U8RowsView x, LinearI8Layer layer, int32_t* words, Take take) {
  const size_t groups = LinearI8Groups(x.width);
  const bool is_signed = x.zero_point != 0;
  I8BiasRows bias_rows = layer.bias_rows;
  for (size_t r = 0; r < x.count; r += kLinearI8Rows) {
    const size_t rows = HWY_MIN(kLinearI8Rows, x.count - r);
    const size_t row_words = groups * kI8WordsPerGroup;
    for (size_t i = 0; i < rows; ++i) {
      PrepareI8Words(x.row(r + i), x.width, is_signed, words + i * row_words);
    }
    take(r, rows,
         LinearI8Tile{layer.packed, LinearI8PanelBytes(x.width), groups, layer.out, words,
                      x.scales + r, layer.bias, bias_rows, -HUGE_VALF, nullptr, 0, is_signed});
    if (bias_rows.values != nullptr) bias_rows.ids += rows;
  }
}

HWY_MAYBE_UNUSED void LinearI8OfTarget(const U8RowsView& x, const LinearI8Layer& layer,
                                       int32_t* words, float* y, size_t y_stride) {
  const float floor = layer.activation == Activation::kRelu ? 0.0f : -HUGE_VALF;
  ForEachLinearI8Tile(x, layer, words, [=](size_t r, size_t rows, LinearI8Tile tile) HWY_ATTR {
    tile.floor = floor;
    tile.y = y + r * y_stride;
    tile.y_stride = y_stride;
    LinearI8TileOf(rows, tile);
  });
}

// A row of floats to bytes and scale r of `out`.
HWY_INLINE void RoundToRow(const float* x, size_t width, Activation activation, size_t r,
                           const U8OutputRows& out) {
  out.scales[r] = activation == Activation::kRelu
                      ? RoundToBytes<true>(x, width, U8ZeroPoint(activation), out.row(r))
                      : RoundToBytes<false>(x, width, U8ZeroPoint(activation), out.row(r));
}

HWY_MAYBE_UNUSED void LinearI8ToU8OfTarget(const U8RowsView& x, const LinearI8Layer& layer,
                                           int32_t* words, float* floats, const U8OutputRows& y) {
  const size_t stride = PaddedColumns(layer.out);
  const Activation activation = layer.activation;
  ForEachLinearI8Tile(x, layer, words, [=](size_t r, size_t rows, LinearI8Tile tile) HWY_ATTR {
    tile.y = floats;
    tile.y_stride = stride;
    LinearI8TileOf(rows, tile);
    for (size_t i = 0; i < rows; ++i) {
      RoundToRow(floats + i * stride, tile.out, activation, r + i, y);
    }
  });
}

HWY_MAYBE_UNUSED void QuantizeU8OfTarget(const RowsView<float>& rows, Activation activation,
                                         const U8OutputRows& out) {
  for (size_t r = 0; r < rows.count; ++r) RoundToRow(rows.row(r), rows.width, activation, r, out);
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(LinearI8OfTarget);
HWY_EXPORT(LinearI8ToU8OfTarget);
HWY_EXPORT(QuantizeU8OfTarget);

namespace {

// Scalar, because it runs once a model.
template <class WeightAt>
void PackColumns(size_t in, size_t out, uint8_t* packed, WeightAt weight_at) {
  // Not PackedLinearI8Bytes: GCC 14 warns of the bound to which that saturates.
  std::memset(packed, 0, (LinearI8Groups(in) + 2) * 64 * (PaddedColumns(out) / kLinearColumns));
  for (size_t j = 0; j < out; ++j) {
    uint8_t* column =
        packed + j / kLinearColumns * LinearI8PanelBytes(in) + j % kLinearColumns * sizeof(float);
    float largest = 0.0f;
    for (size_t i = 0; i < in; ++i) {
      const float size = std::abs(weight_at(i, j));
      largest = std::max(largest, std::isfinite(size) ? size : HUGE_VALF);
    }
    const RowScale scale(largest, 127.0f);
    int32_t sum = 0;
    for (size_t i = 0; i < in && !scale.is_zero(); ++i) {
      // The product is exact, and rounded as on all targets.
      const double product = static_cast<double>(weight_at(i, j)) * double{scale.factor};
      const auto value = static_cast<int>(std::nearbyint(product));
      column[(2 + i / 4) * kLinearI8GroupBytes + i % 4] = static_cast<uint8_t>(value);
      sum += value;
    }
    std::memcpy(column, &scale.scale, sizeof(float));
    std::memcpy(column + kLinearI8GroupBytes, &sum, sizeof(sum));
  }
}

// Bytes of the words of a tile.
constexpr size_t LinearI8WordBytes(size_t in) {
  return RoundUp(kLinearI8MostRows * kLinearI8MostWords * LinearI8Groups(in) * sizeof(int32_t),
                 kCacheLineBytes);
}

HWY_MAYBE_UNUSED bool AreLinearI8(const U8RowsView& x, const LinearI8Layer& layer,
                                  ScratchView scratch) {
  return AreRows(RowsView<uint8_t>{x.values, x.count, x.width, x.stride}) &&
         x.width <= kLinearI8MaxIn && (x.zero_point == 0 || x.zero_point == 128) &&
         layer.out >= 1 && scratch.bytes >= LinearI8ScratchBytes(x.width, layer.out) &&
         (layer.bias_rows.values == nullptr || layer.bias_rows.stride >= layer.out);
}

}  // namespace

void QuantizeU8(const RowsView<float>& rows, Activation activation, const U8OutputRows& out) {
  ETA_SIMD_REQUIRE(AreRows(rows) && out.stride >= rows.width);
  HWY_DYNAMIC_DISPATCH(QuantizeU8OfTarget)(rows, activation, out);
}

void PackLinearI8(const RowsView<float>& weight, uint8_t* packed) {
  ETA_SIMD_REQUIRE(AreRows(weight) && weight.count >= 1 && weight.count <= kLinearI8MaxIn);
  PackColumns(weight.count, weight.width, packed,
              [&](size_t i, size_t j) { return weight.row(i)[j]; });
}

void PackLinearI8Transposed(const RowsView<float>& weight, uint8_t* packed) {
  ETA_SIMD_REQUIRE(AreRows(weight) && weight.count >= 1 && weight.width <= kLinearI8MaxIn);
  PackColumns(weight.width, weight.count, packed,
              [&](size_t i, size_t j) { return weight.row(j)[i]; });
}

size_t LinearI8ScratchBytes(size_t in, size_t out) {
  if (in > kLinearI8MaxIn) return kNoScratch;
  const size_t floats = SaturatingProduct(PaddedColumns(out), kLinearI8MostRows * sizeof(float));
  const size_t others = kCacheLineBytes + LinearI8WordBytes(in);
  return floats > kNoScratch - others ? kNoScratch : floats + others;
}

void LinearI8(const U8RowsView& x, const LinearI8Layer& layer, ScratchView scratch, float* y,
              size_t y_stride) {
  ETA_SIMD_REQUIRE(AreLinearI8(x, layer, scratch) && y_stride >= layer.out);
  auto* words = static_cast<int32_t*>(AlignUp(scratch.data, kCacheLineBytes));
  HWY_DYNAMIC_DISPATCH(LinearI8OfTarget)(x, layer, words, y, y_stride);
}

void LinearI8ToU8(const U8RowsView& x, const LinearI8Layer& layer, ScratchView scratch,
                  const U8OutputRows& y) {
  ETA_SIMD_REQUIRE(AreLinearI8(x, layer, scratch) && y.stride >= layer.out);
  float* floats = AlignedFloats(scratch.data);
  auto* words = reinterpret_cast<int32_t*>(floats + kLinearI8MostRows * PaddedColumns(layer.out));
  HWY_DYNAMIC_DISPATCH(LinearI8ToU8OfTarget)(x, layer, words, floats, y);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
