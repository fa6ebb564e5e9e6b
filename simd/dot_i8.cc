// SPDX-License-Identifier: Apache-2.0
#include "simd/dot_i8.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/dot_i8.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/dot_i8-inl.h"
#include "simd/internal/float_topk-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

using QuantizeTag = hn::CappedTag<float, 16>;
using QuantizeVector = hn::Vec<QuantizeTag>;

// The first `count` floats, at most a vector, then zeros. NaN becomes 0, an infinity the largest
// float of its sign.
HWY_INLINE QuantizeVector LoadFinite(QuantizeTag d, const float* x, size_t count) {
  HWY_ALIGN float lanes[16] = {0.0f};
  QuantizeVector v;
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

HWY_INLINE void QuantizeI8Row(const float* row, size_t dim, int8_t* values, float* scale_out) {
  const QuantizeTag d;
  const hn::Rebind<int8_t, QuantizeTag> d8;
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
  // A division, because a product with the reciprocal rounds twice: a row's largest value times a
  // rounded 127 / max does not always give 127.
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

void QuantizeI8Rows(const RowsView<float>& rows, int8_t* values, size_t value_stride,
                    float* scales) {
  for (size_t i = 0; i < rows.count; ++i) {
    QuantizeI8Row(rows.row(i), rows.width, values + i * value_stride, scales + i);
  }
}

// Builds blocks from row_of(i), a pointer to row i. Transposes 4 x 4 groups of dimensions while
// four whole rows and 16 dimensions are left.
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

void I8BlocksFromRows(const I8RowsView& rows, uint8_t* blocks) {
  FillI8Blocks(rows.count, rows.width, blocks, [rows](size_t i) HWY_ATTR { return rows.row(i); });
}

void I8BlocksFromIds(const I8RowsView& table, IdsView ids, uint8_t* blocks) {
  FillI8Blocks(ids.count, table.width, blocks, [table, ids](size_t i) HWY_ATTR {
    return table.row(static_cast<size_t>(ids.data[i]));
  });
}

// Scores blocks of rows with a tile of queries, for FloatTopK.
class I8Scorer {
 public:
  // `scratch` has kI8WordsBytes bytes.
  I8Scorer(const I8BlocksView& rows, const I8Queries& queries, void* scratch)
      : words_(static_cast<int32_t*>(AlignUp(scratch, kCacheLineBytes))),
        rows_(rows),
        queries_(queries),
        groups_(I8Groups(rows.dim)),
        words_per_query_(groups_ * kI8WordsPerGroup) {}

  size_t tile() const { return HWY_MIN(kFloatTopKTile, kI8TileWords / words_per_query_); }

  void Begin(size_t first, size_t count) {
    count_ = count;
    scales_ = queries_.scales + first;
    for (size_t q = 0; q < count; ++q) {
      starts_[q] =
          PrepareI8Query(queries_.query(first + q), rows_.dim, words_ + q * words_per_query_);
    }
  }

  template <class Sink>
  void Score(size_t block, Sink sink) const {
    const size_t row = block * kBlockRows;
    for (size_t q = 0; q < count_; q += kI8TileQueries) {
      I8TileOf(HWY_MIN(kI8TileQueries, count_ - q),
               {rows_.data + row * groups_ * 4, rows_.scales + row, groups_,
                words_ + q * words_per_query_, starts_ + q, scales_ + q},
               sink.from(q));
    }
  }

 private:
  int32_t* const words_;  // prepared queries of the tile
  const I8BlocksView rows_;
  const I8Queries queries_;
  const size_t groups_;
  const size_t words_per_query_;
  size_t count_ = 0;               // queries of the tile, their scales and
  const float* scales_ = nullptr;  // what their sums start from
  int32_t starts_[kFloatTopKTile];
};

void I8BlockScores(const I8BlocksView& rows, const I8Queries& queries, void* scratch, float* scores,
                   size_t score_stride) {
  I8Scorer scorer(rows, queries, scratch);
  for (size_t q = 0; q < queries.count; q += scorer.tile()) {
    scorer.Begin(q, HWY_MIN(scorer.tile(), queries.count - q));
    for (size_t block = 0; block < NumBlocks(rows.n); ++block) {
      scorer.Score(block,
                   StoreScores{scores + q * score_stride + block * kBlockRows, score_stride});
    }
  }
}

void I8BlockTopK(const I8BlocksView& rows, const I8Queries& queries, const TopKOptions& options,
                 void* scratch, const TopKResult<float>& result) {
  I8Scorer scorer(rows, queries, scratch);
  void* const rest = static_cast<uint8_t*>(scratch) + kI8WordsBytes;
  FloatTopK<I8Scorer>(rows.n, queries.count, options, rest, result, scorer).Run();
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(QuantizeI8Rows);
HWY_EXPORT(I8BlocksFromRows);
HWY_EXPORT(I8BlocksFromIds);
HWY_EXPORT(I8BlockScores);
HWY_EXPORT(I8BlockTopK);

void QuantizeI8(const RowsView<float>& rows, int8_t* values, size_t value_stride, float* scales) {
  ETA_SIMD_REQUIRE(AreRows(rows) && value_stride >= rows.width);
  HWY_DYNAMIC_DISPATCH(QuantizeI8Rows)(rows, values, value_stride, scales);
}

void PackI8Blocks(const I8RowsView& rows, uint8_t* blocks, float* block_scales) {
  ETA_SIMD_REQUIRE(AreI8Rows(rows));
  HWY_DYNAMIC_DISPATCH(I8BlocksFromRows)(rows, blocks);
  for (size_t i = 0; i < rows.count; ++i) block_scales[i] = rows.scales[i];
  std::fill(block_scales + rows.count, block_scales + PaddedRows(rows.count), 0.0f);
}

void GatherI8Blocks(const I8RowsView& table, IdsView ids, uint8_t* blocks, float* block_scales) {
  ETA_SIMD_REQUIRE(AreI8Rows(table) && AreIds(ids, table.count));
  HWY_DYNAMIC_DISPATCH(I8BlocksFromIds)(table, ids, blocks);
  for (size_t i = 0; i < ids.count; ++i) block_scales[i] = table.scales[ids.data[i]];
  std::fill(block_scales + ids.count, block_scales + PaddedRows(ids.count), 0.0f);
}

size_t DotI8ScoresScratchBytes() { return kI8WordsBytes; }

void DotI8Scores(const I8BlocksView& rows, const I8Queries& queries, ScratchView scratch,
                 float* scores, size_t score_stride) {
  ETA_SIMD_REQUIRE(rows.dim >= 1 && rows.dim <= kI8MaxDim && queries.stride >= rows.dim);
  ETA_SIMD_REQUIRE(score_stride >= PaddedRows(rows.n));
  ETA_SIMD_REQUIRE(scratch.bytes >= DotI8ScoresScratchBytes());
  HWY_DYNAMIC_DISPATCH(I8BlockScores)(rows, queries, scratch.data, scores, score_stride);
}

size_t DotI8TopKScratchBytes(size_t n, size_t k) {
  const size_t bytes = FloatTopKScratchBytes(n, k);
  return bytes == kNoScratch ? kNoScratch : kI8WordsBytes + bytes;
}

size_t DotI8TopK(const I8BlocksView& rows, const I8Queries& queries, const TopKOptions& options,
                 ScratchView scratch, const TopKResult<float>& result) {
  ETA_SIMD_REQUIRE(rows.dim >= 1 && rows.dim <= kI8MaxDim && queries.stride >= rows.dim);
  ETA_SIMD_REQUIRE(options.k >= 1);
  ETA_SIMD_REQUIRE(rows.n <= kMaxRankedRows);
  ETA_SIMD_REQUIRE(scratch.bytes >= DotI8TopKScratchBytes(rows.n, options.k));
  if (!AnsweredWithoutScan(rows.n, queries.count, options, result)) {
    HWY_DYNAMIC_DISPATCH(I8BlockTopK)(rows, queries, options, scratch.data, result);
  }
  return std::min(options.k, rows.n);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
