// SPDX-License-Identifier: Apache-2.0
#include "simd/dot_i8.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/dot_i8.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/dot_i8-inl.h"
#include "simd/internal/float_select-inl.h"

#ifndef ETA_SIMD_DOT_I8_TYPES_
#define ETA_SIMD_DOT_I8_TYPES_
namespace eta::simd {

// The other arguments of DotI8TopK, n and k at least 1.
struct DotI8TopKArguments {
  size_t k;
  TieOrder ties;
  ResultOrder order;
  void* scratch;
  DotTopKResult result;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_DOT_I8_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

using FloatTag = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<FloatTag>;

// Up to one vector of floats, 0 behind them, of which NaN and infinities are made numbers.
HWY_INLINE FloatVector LoadFinite(FloatTag d, const float* x, size_t count) {
  HWY_ALIGN float lanes[16] = {0.0f};
  FloatVector v;
  if (count >= hn::Lanes(d)) {
    v = hn::LoadU(d, x);
  } else {
    std::memcpy(lanes, x, count * sizeof(float));
    v = hn::Load(d, lanes);
  }
  const auto most = hn::Set(d, std::numeric_limits<float>::max());
  v = hn::IfThenZeroElse(hn::IsNaN(v), v);
  return hn::Min(hn::Max(v, hn::Neg(most)), most);
}

HWY_INLINE void QuantizeRow(const float* row, size_t dim, int8_t* values, float* scale_out) {
  const FloatTag d;
  const hn::Rebind<int8_t, FloatTag> d8;
  const size_t N = hn::Lanes(d);
  auto most = hn::Zero(d);
  for (size_t j = 0; j < dim; j += N) {
    most = hn::Max(most, hn::Abs(LoadFinite(d, row + j, dim - j)));
  }
  const float scale = hn::GetLane(hn::MaxOfLanes(d, most)) / 127.0f;
  *scale_out = scale;
  if (!(scale > 0.0f)) {
    std::memset(values, 0, dim);
    return;
  }
  // A division, not a product with the reciprocal: that rounds twice, and a row's largest value
  // times a rounded 127 / max would not always come back as 127.
  const auto divisor = hn::Set(d, scale);
  const auto limit = hn::Set(d, 127.0f);
  HWY_ALIGN int8_t lanes[16];
  for (size_t j = 0; j < dim; j += N) {
    const auto x = hn::Div(LoadFinite(d, row + j, dim - j), divisor);
    const auto v = hn::NearestInt(hn::Min(hn::Max(x, hn::Neg(limit)), limit));
    hn::StoreU(hn::DemoteTo(d8, v), d8, lanes);
    std::memcpy(values + j, lanes, HWY_MIN(N, dim - j));
  }
}

void QuantizeRows(const float* rows, size_t n, size_t dim, size_t stride, int8_t* values,
                  size_t value_stride, float* scales) {
  for (size_t i = 0; i < n; ++i) {
    QuantizeRow(rows + i * stride, dim, values + i * value_stride, scales + i);
  }
}

// Builds blocks from row_of(i), a pointer to row i: transposes 4 x 4 groups where it can.
template <class RowOf>
HWY_INLINE void FillI8Blocks(size_t n, size_t dim, uint8_t* blocks, RowOf row_of) {
  const hn::FixedTag<uint32_t, 4> d;
  const hn::Repartition<uint64_t, decltype(d)> d64;
  const hn::Repartition<uint8_t, decltype(d)> d8;
  const auto offset = hn::Set(d, 0x80808080u);
  const size_t groups = I8Groups(dim);
  for (size_t i = 0; i < PaddedRows(n); i += 4) {
    uint8_t* out = blocks + (i / kBlockRows) * groups * kI8GroupBytes + i % kBlockRows * 4;
    size_t j = 0;
    if (i + 4 <= n) {
      const int8_t *r0 = row_of(i), *r1 = row_of(i + 1), *r2 = row_of(i + 2), *r3 = row_of(i + 3);
      const auto load = [&](const int8_t* row) HWY_ATTR {
        const auto bytes = hn::LoadU(d8, reinterpret_cast<const uint8_t*>(row));
        return hn::Xor(hn::BitCast(d, bytes), offset);
      };
      for (; j + 16 <= dim; j += 16) {
        const auto v0 = load(r0 + j), v1 = load(r1 + j), v2 = load(r2 + j), v3 = load(r3 + j);
        const auto a = hn::BitCast(d64, hn::InterleaveLower(d, v0, v1));
        const auto b = hn::BitCast(d64, hn::InterleaveLower(d, v2, v3));
        const auto e = hn::BitCast(d64, hn::InterleaveUpper(d, v0, v1));
        const auto f = hn::BitCast(d64, hn::InterleaveUpper(d, v2, v3));
        uint8_t* group = out + j / 4 * kI8GroupBytes;
        hn::StoreU(hn::BitCast(d8, hn::InterleaveLower(d64, a, b)), d8, group);
        hn::StoreU(hn::BitCast(d8, hn::InterleaveUpper(d64, a, b)), d8, group + kI8GroupBytes);
        hn::StoreU(hn::BitCast(d8, hn::InterleaveLower(d64, e, f)), d8, group + 2 * kI8GroupBytes);
        hn::StoreU(hn::BitCast(d8, hn::InterleaveUpper(d64, e, f)), d8, group + 3 * kI8GroupBytes);
      }
    }
    for (size_t r = 0; r < 4; ++r) {
      const int8_t* row = i + r < n ? row_of(i + r) : nullptr;
      for (size_t c = j; c < groups * 4; ++c) {
        const int value = row == nullptr || c >= dim ? 0 : row[c];
        out[c / 4 * kI8GroupBytes + r * 4 + c % 4] = static_cast<uint8_t>(value + 128);
      }
    }
  }
}

void PackI8Rows(const int8_t* values, size_t n, size_t dim, size_t stride, uint8_t* blocks) {
  FillI8Blocks(n, dim, blocks, [=](size_t i) HWY_ATTR { return values + i * stride; });
}

void GatherI8Rows(const int8_t* table, size_t dim, size_t stride, const int32_t* ids, size_t n,
                  uint8_t* blocks) {
  FillI8Blocks(n, dim, blocks,
               [=](size_t i) HWY_ATTR { return table + static_cast<size_t>(ids[i]) * stride; });
}

void I8Scores(const I8Rows& rows, const I8Queries& queries, float* scores, size_t score_stride) {
  HWY_ALIGN int32_t words[kI8TileWords];
  int32_t starts[kDotQueryTile];
  const size_t groups = I8Groups(rows.dim);
  const size_t words_per_query = groups * kI8WordsPerGroup;
  const size_t tile = HWY_MIN(kDotQueryTile, kI8TileWords / words_per_query);
  for (size_t q = 0; q < queries.count; q += tile) {
    const size_t count = HWY_MIN(tile, queries.count - q);
    for (size_t r = 0; r < count; ++r) {
      starts[r] = PrepareI8Query(queries.values + (q + r) * queries.stride, rows.dim,
                                 words + r * words_per_query);
    }
    for (size_t first = 0; first < rows.n; first += kBlockRows) {
      for (size_t r = 0; r < count; r += kI8TileQueries) {
        I8TileOf(HWY_MIN(kI8TileQueries, count - r),
                 {rows.blocks + first * groups * 4, rows.scales + first, groups,
                  words + r * words_per_query, starts + r, queries.scales + q + r,
                  scores + (q + r) * score_stride + first, score_stride});
      }
    }
  }
}

void I8TopKByScore(const I8Rows& rows, const I8Queries& queries, const DotI8TopKArguments& args) {
  const size_t stride = PaddedRows(rows.n);
  // The selector first: it needs the wider alignment.
  auto* room = static_cast<float*>(AlignUp(args.scratch, sizeof(uint64_t)));
  float* scores = room + FloatSelectScratchBytes(rows.n) / sizeof(float);
  FloatSelector selector(rows.n, args.k, args.ties, args.order, room);
  for (size_t q = 0; q < queries.count; q += kDotQueryTile) {
    const size_t tile = HWY_MIN(kDotQueryTile, queries.count - q);
    I8Scores(rows, {queries.values + q * queries.stride, queries.scales + q, tile, queries.stride},
             scores, stride);
    for (size_t i = 0; i < tile; ++i) {
      float* out = args.result.scores;
      selector.Select(scores + i * stride, args.result.positions + (q + i) * args.k,
                      out == nullptr ? nullptr : out + (q + i) * args.k);
    }
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(QuantizeRows);
HWY_EXPORT(PackI8Rows);
HWY_EXPORT(GatherI8Rows);
HWY_EXPORT(I8Scores);
HWY_EXPORT(I8TopKByScore);

void QuantizeI8(const float* rows, size_t n, size_t dim, size_t stride, int8_t* values,
                size_t value_stride, float* scales) {
  HWY_DASSERT(dim >= 1 && stride >= dim && value_stride >= dim);
  HWY_DYNAMIC_DISPATCH(QuantizeRows)(rows, n, dim, stride, values, value_stride, scales);
}

void PackI8Blocks(const int8_t* values, const float* scales, size_t n, size_t dim, size_t stride,
                  uint8_t* blocks, float* block_scales) {
  HWY_DASSERT(dim >= 1 && stride >= dim);
  HWY_DYNAMIC_DISPATCH(PackI8Rows)(values, n, dim, stride, blocks);
  for (size_t i = 0; i < PaddedRows(n); ++i) block_scales[i] = i < n ? scales[i] : 0.0f;
}

void GatherI8Blocks(const int8_t* table, const float* scales, size_t dim, size_t stride,
                    const int32_t* ids, size_t n, uint8_t* blocks, float* block_scales) {
  HWY_DASSERT(dim >= 1 && stride >= dim);
  HWY_DYNAMIC_DISPATCH(GatherI8Rows)(table, dim, stride, ids, n, blocks);
  for (size_t i = 0; i < PaddedRows(n); ++i) block_scales[i] = i < n ? scales[ids[i]] : 0.0f;
}

void DotI8Scores(const I8Rows& rows, const I8Queries& queries, float* scores, size_t score_stride) {
  HWY_DASSERT(rows.dim >= 1 && rows.dim <= kI8MaxDim && queries.stride >= rows.dim);
  HWY_DASSERT(score_stride >= PaddedRows(rows.n));
  HWY_DYNAMIC_DISPATCH(I8Scores)(rows, queries, scores, score_stride);
}

size_t DotI8TopKScratchBytes(size_t n, size_t /*k*/) {
  return sizeof(uint64_t) + FloatSelectScratchBytes(n) +
         kDotQueryTile * PaddedRows(n) * sizeof(float);
}

size_t DotI8TopK(const I8Rows& rows, const I8Queries& queries, size_t k, TieOrder ties,
                 ResultOrder order, void* scratch, DotTopKResult result) {
  HWY_DASSERT(rows.dim >= 1 && rows.dim <= kI8MaxDim && queries.stride >= rows.dim && k >= 1);
  HWY_DASSERT(rows.n <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
  const size_t count = std::min(k, rows.n);
  if (count == 0 || queries.count == 0) return count;
  if (WroteAllPositions(rows.n, queries.count, k, order, result.scores != nullptr,
                        result.positions)) {
    return count;
  }
  HWY_DYNAMIC_DISPATCH(I8TopKByScore)(rows, queries, {k, ties, order, scratch, result});
  return count;
}

}  // namespace eta::simd
#endif  // HWY_ONCE
