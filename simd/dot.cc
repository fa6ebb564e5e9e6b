// SPDX-License-Identifier: Apache-2.0
#include "simd/dot.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/dot.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/float_select-inl.h"
#include "simd/internal/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

// Builds blocks from row_of(i), a pointer to row i: transposes 4 x 4 where it can.
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

void PackRows(const float* rows, size_t n, size_t dim, size_t stride, float* blocks) {
  FillFloatBlocks(n, dim, blocks, [=](size_t i) HWY_ATTR { return rows + i * stride; });
}

void GatherRows(const float* table, size_t dim, size_t stride, const int32_t* ids, size_t n,
                float* blocks) {
  FillFloatBlocks(n, dim, blocks,
                  [=](size_t i) HWY_ATTR { return table + static_cast<size_t>(ids[i]) * stride; });
}

void Scores(const float* blocks, size_t n, size_t dim, const float* queries, size_t num_queries,
            size_t query_stride, float* scores, size_t score_stride) {
  const PanelTag d;
  const size_t N = hn::Lanes(d);
  for (size_t first = 0; first < n; first += kBlockRows) {
    for (size_t q = 0; q < num_queries; q += kTileRows) {
      const size_t rows = HWY_MIN(kTileRows, num_queries - q);
      for (size_t lane = 0; lane < kBlockRows; lane += 2 * N) {
        float* out = scores + q * score_stride + first + lane;
        TileProductOf(rows, d, queries + q * query_stride, query_stride, dim,
                      blocks + first * dim + lane,
                      [=](size_t r, PanelVector sum0, PanelVector sum1) HWY_ATTR {
                        hn::StoreU(sum0, d, out + r * score_stride);
                        hn::StoreU(sum1, d, out + r * score_stride + N);
                      });
      }
    }
  }
}

void TopKByScore(const DotTopKArguments& args) {
  const size_t padded = PaddedRows(args.n);
  // The selector first: it needs the wider alignment.
  auto* room = static_cast<float*>(AlignUp(args.scratch, sizeof(uint64_t)));
  float* scores = room + FloatSelectScratchBytes(args.n) / sizeof(float);
  FloatSelector selector(args.n, args.k, args.ties, args.order, room);
  for (size_t q = 0; q < args.num_queries; q += kDotQueryTile) {
    const size_t tile = HWY_MIN(kDotQueryTile, args.num_queries - q);
    Scores(args.blocks, args.n, args.dim, args.queries + q * args.query_stride, tile,
           args.query_stride, scores, padded);
    for (size_t i = 0; i < tile; ++i) {
      float* out = args.result.scores;
      selector.Select(scores + i * padded, args.result.positions + (q + i) * args.k,
                      out == nullptr ? nullptr : out + (q + i) * args.k);
    }
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(PackRows);
HWY_EXPORT(GatherRows);
HWY_EXPORT(Scores);
HWY_EXPORT(TopKByScore);

void PackFloatBlocks(const float* rows, size_t n, size_t dim, size_t stride, float* blocks) {
  HWY_DASSERT(dim >= 1 && stride >= dim);
  HWY_DYNAMIC_DISPATCH(PackRows)(rows, n, dim, stride, blocks);
}

void GatherFloatBlocks(const float* table, size_t dim, size_t stride, const int32_t* ids, size_t n,
                       float* blocks) {
  HWY_DASSERT(dim >= 1 && stride >= dim);
  HWY_DYNAMIC_DISPATCH(GatherRows)(table, dim, stride, ids, n, blocks);
}

void DotScores(const float* blocks, size_t n, size_t dim, const float* queries, size_t num_queries,
               size_t query_stride, float* scores, size_t score_stride) {
  HWY_DASSERT(dim >= 1 && query_stride >= dim && score_stride >= PaddedRows(n));
  HWY_DYNAMIC_DISPATCH(Scores)
  (blocks, n, dim, queries, num_queries, query_stride, scores, score_stride);
}

size_t DotTopKScratchBytes(size_t n, size_t /*k*/) {
  return sizeof(uint64_t) + FloatSelectScratchBytes(n) +
         kDotQueryTile * PaddedRows(n) * sizeof(float);
}

size_t DotTopK(const float* blocks, size_t n, size_t dim, const float* queries, size_t num_queries,
               size_t query_stride, size_t k, TieOrder ties, ResultOrder order, void* scratch,
               DotTopKResult result) {
  HWY_DASSERT(dim >= 1 && query_stride >= dim && k >= 1);
  HWY_DASSERT(n <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
  const size_t count = std::min(k, n);
  if (count == 0 || num_queries == 0) return count;
  if (WroteAllPositions(n, num_queries, k, order, result.scores != nullptr, result.positions)) {
    return count;
  }
  const DotTopKArguments args = {blocks, n,    dim,   queries, num_queries, query_stride,
                                 k,      ties, order, scratch, result};
  HWY_DYNAMIC_DISPATCH(TopKByScore)(args);
  return count;
}

}  // namespace eta::simd
#endif  // HWY_ONCE
