// SPDX-License-Identifier: Apache-2.0
#include "simd/dot.h"

#include <algorithm>
#include <limits>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/dot.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/float_topk-inl.h"
#include "simd/internal/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// Builds blocks from row_of(i), a pointer to row i. Transposes 4 x 4 elements while four whole rows
// and dimensions are left.
template <class RowOf>
HWY_INLINE void FillFloatBlocks(size_t n, size_t dim, float* blocks, RowOf row_of) {
  const hn::FixedTag<float, 4> d;
  const hn::Repartition<uint64_t, decltype(d)> d64;
  for (size_t i = 0; i < PaddedRows(n); i += 4) {
    float* out = blocks + (i / kBlockRows) * kBlockRows * dim + i % kBlockRows;
    size_t j = 0;
    if (i + 4 <= n) {
      const float *r0 = row_of(i), *r1 = row_of(i + 1), *r2 = row_of(i + 2), *r3 = row_of(i + 3);
      for (; j + 4 <= dim; j += 4) {
        const auto v0 = hn::LoadU(d, r0 + j), v1 = hn::LoadU(d, r1 + j);
        const auto v2 = hn::LoadU(d, r2 + j), v3 = hn::LoadU(d, r3 + j);
        const auto a = hn::BitCast(d64, hn::InterleaveLower(d, v0, v1));
        const auto b = hn::BitCast(d64, hn::InterleaveLower(d, v2, v3));
        const auto e = hn::BitCast(d64, hn::InterleaveUpper(d, v0, v1));
        const auto f = hn::BitCast(d64, hn::InterleaveUpper(d, v2, v3));
        float* plane = out + j * kBlockRows;
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, a, b)), d, plane);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, a, b)), d, plane + kBlockRows);
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, e, f)), d, plane + 2 * kBlockRows);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, e, f)), d, plane + 3 * kBlockRows);
      }
    }
    for (size_t r = 0; r < 4; ++r) {
      const float* row = i + r < n ? row_of(i + r) : nullptr;
      for (size_t c = j; c < dim; ++c) out[c * kBlockRows + r] = row == nullptr ? 0.0f : row[c];
    }
  }
}

void FloatBlocksFromRows(const RowsView<float>& rows, float* blocks) {
  FillFloatBlocks(rows.count, rows.width, blocks,
                  [rows](size_t i) HWY_ATTR { return rows.row(i); });
}

void FloatBlocksFromIds(const RowsView<float>& table, IdsView ids, float* blocks) {
  FillFloatBlocks(ids.count, table.width, blocks, [table, ids](size_t i) HWY_ATTR {
    return table.row(static_cast<size_t>(ids.data[i]));
  });
}

// Scores blocks of rows with a tile of queries, for FloatTopK.
class FloatScorer {
 public:
  FloatScorer(const FloatBlocksView& rows, const Queries<float>& queries)
      : rows_(rows), all_(queries), queries_(queries) {}

  size_t tile() const { return kFloatTopKTile; }
  void Begin(size_t first, size_t count) { queries_ = all_.part(first, count); }

  template <class Sink>
  void Score(size_t block, Sink sink) const {
    const PanelTag d;
    const size_t N = hn::Lanes(d);
    const float* HWY_RESTRICT panel = rows_.data + block * kBlockRows * rows_.dim;
    for (size_t q = 0; q < queries_.count; q += kTileRows) {
      const size_t tile = HWY_MIN(kTileRows, queries_.count - q);
      const Sink to = sink.from(q);
      for (size_t lane = 0; lane < kBlockRows; lane += 2 * N) {
        TileProductOf(tile, d, queries_.query(q), queries_.stride, rows_.dim, panel + lane,
                      [=](size_t r, PanelVector sum0, PanelVector sum1) HWY_ATTR {
                        to.Take(r, lane, sum0);
                        to.Take(r, lane + N, sum1);
                      });
      }
    }
  }

 private:
  const FloatBlocksView rows_;
  const Queries<float> all_;
  Queries<float> queries_;  // of the tile
};

void FloatBlockScores(const FloatBlocksView& rows, const Queries<float>& queries, float* scores,
                      size_t score_stride) {
  const FloatScorer scorer(rows, queries);
  for (size_t block = 0; block < NumBlocks(rows.n); ++block) {
    scorer.Score(block, StoreScores{scores + block * kBlockRows, score_stride});
  }
}

void FloatBlockTopK(const FloatBlocksView& rows, const Queries<float>& queries,
                    const TopKOptions& options, void* scratch, const TopKResult<float>& result) {
  FloatScorer scorer(rows, queries);
  FloatTopK<FloatScorer>(rows.n, queries.count, options, scratch, result, scorer).Run();
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(FloatBlocksFromRows);
HWY_EXPORT(FloatBlocksFromIds);
HWY_EXPORT(FloatBlockScores);
HWY_EXPORT(FloatBlockTopK);

void PackFloatBlocks(const RowsView<float>& rows, float* blocks) {
  ETA_SIMD_REQUIRE(AreRows(rows));
  HWY_DYNAMIC_DISPATCH(FloatBlocksFromRows)(rows, blocks);
}

void GatherFloatBlocks(const RowsView<float>& table, IdsView ids, float* blocks) {
  ETA_SIMD_REQUIRE(AreRows(table) && AreIds(ids, table.count));
  HWY_DYNAMIC_DISPATCH(FloatBlocksFromIds)(table, ids, blocks);
}

void DotScores(const FloatBlocksView& rows, const Queries<float>& queries, float* scores,
               size_t score_stride) {
  ETA_SIMD_REQUIRE(rows.dim >= 1 && queries.stride >= rows.dim &&
                   score_stride >= PaddedRows(rows.n));
  HWY_DYNAMIC_DISPATCH(FloatBlockScores)(rows, queries, scores, score_stride);
}

size_t DotTopKScratchBytes(size_t n, size_t k) { return FloatTopKScratchBytes(n, k); }

size_t DotTopK(const FloatBlocksView& rows, const Queries<float>& queries,
               const TopKOptions& options, ScratchView scratch, const TopKResult<float>& result) {
  ETA_SIMD_REQUIRE(rows.dim >= 1 && queries.stride >= rows.dim && options.k >= 1);
  ETA_SIMD_REQUIRE(rows.n <= kMaxRankedRows);
  ETA_SIMD_REQUIRE(scratch.bytes >= DotTopKScratchBytes(rows.n, options.k));
  if (!AnsweredWithoutScan(rows.n, queries.count, options, result)) {
    HWY_DYNAMIC_DISPATCH(FloatBlockTopK)(rows, queries, options, scratch.data, result);
  }
  return std::min(options.k, rows.n);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
