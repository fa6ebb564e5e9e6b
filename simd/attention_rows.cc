// SPDX-License-Identifier: Apache-2.0
#include "simd/attention_rows.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "simd/internal/common.h"
#include "simd/linear.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/attention_rows.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/exp-inl.h"
#include "simd/internal/linear-inl.h"
#include "simd/internal/row_sums-inl.h"

#ifndef ETA_SIMD_ATTENTION_ROWS_TYPES_
#define ETA_SIMD_ATTENTION_ROWS_TYPES_
namespace eta::simd {
namespace {

// Rows scored together: their sums fill a vector of 4 lanes, and four chains of multiply-adds hide
// the latency of one (4 cycles, two a cycle) once there are two heads.
constexpr size_t kRowsTogether = 4;

// The scratch of one candidate with n rows: its queries and the chosen rows padded with zeros to
// `width` floats, and a row of scores for each head.
struct AttendRowsScratch {
  AttendRowsScratch(float* scratch, size_t n, size_t dim, size_t num_heads)
      : width(PaddedColumns(dim)),
        heads(num_heads),
        score_stride(PaddedColumns(n)),
        queries(scratch),
        factors(queries + heads * width),
        scores(factors + PaddedColumns(heads)),
        rows(scores + heads * score_stride) {}
  static size_t Floats(size_t n, size_t dim, size_t heads) {
    const size_t width = PaddedColumns(dim), padded_rows = PaddedColumns(n);
    return heads * width + PaddedColumns(heads) + heads * padded_rows + padded_rows * width;
  }

  size_t width;
  size_t heads;
  size_t score_stride;
  float* queries;  // heads x width
  float* factors;  // heads: 1 / the sum of the head's weights
  float* scores;   // heads x score_stride, later the weights
  float* rows;     // n x width, on to a multiple of kRowsTogether rows
};

}  // namespace
}  // namespace eta::simd
#endif  // ETA_SIMD_ATTENTION_ROWS_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// Cross-lane sums need a fixed lane count, so SVE uses 4 lanes.
#if HWY_HAVE_SCALABLE
using RowScoreTag = hn::FixedTag<float, 4>;
#else
using RowScoreTag = PanelTag;
#endif
using RowScoreVector = hn::Vec<RowScoreTag>;
using FourSums = hn::Vec<FourLanes<float>>;

// The sums over lanes of four vectors: within blocks of 4 lanes first, so that only one vector is
// folded. internal/row_sums-inl.h folds first, which is another order of additions.
HWY_INLINE FourSums SumOfEach(RowScoreVector s0, RowScoreVector s1, RowScoreVector s2,
                              RowScoreVector s3) {
  const RowScoreTag d;
  const hn::Repartition<uint64_t, RowScoreTag> pairs;
  const auto a = hn::Add(hn::InterleaveLower(d, s0, s1), hn::InterleaveUpper(d, s0, s1));
  const auto b = hn::Add(hn::InterleaveLower(d, s2, s3), hn::InterleaveUpper(d, s2, s3));
  const auto even = hn::InterleaveLower(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b));
  const auto odd = hn::InterleaveUpper(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b));
  return FoldToFourLanes(d, hn::Add(hn::BitCast(d, even), hn::BitCast(d, odd)));
}

// Scores of four rows with kQueries queries, one or two, of scratch.width floats; query h's scores
// go to scores + h * scratch.score_stride. With kCopy the rows are written to copy + r *
// scratch.width as well.
template <size_t kQueries, bool kCopy>
HWY_INLINE void ScoreFourRows(const AttendRowsScratch& scratch, const float* const* rows,
                              const float* query, float* scores, float* copy) {
  const RowScoreTag d;
  const size_t width = scratch.width;
  const float *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
  auto b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  for (size_t i = 0; i < width; i += hn::Lanes(d)) {
    const auto x0 = hn::LoadU(d, r0 + i), x1 = hn::LoadU(d, r1 + i);
    const auto x2 = hn::LoadU(d, r2 + i), x3 = hn::LoadU(d, r3 + i);
    if constexpr (kCopy) {
      hn::Store(x0, d, copy + i);
      hn::Store(x1, d, copy + width + i);
      hn::Store(x2, d, copy + 2 * width + i);
      hn::Store(x3, d, copy + 3 * width + i);
    }
    const auto q0 = hn::Load(d, query + i);
    a0 = hn::MulAdd(x0, q0, a0);
    a1 = hn::MulAdd(x1, q0, a1);
    a2 = hn::MulAdd(x2, q0, a2);
    a3 = hn::MulAdd(x3, q0, a3);
    if constexpr (kQueries > 1) {
      const auto q1 = hn::Load(d, query + width + i);
      b0 = hn::MulAdd(x0, q1, b0);
      b1 = hn::MulAdd(x1, q1, b1);
      b2 = hn::MulAdd(x2, q1, b2);
      b3 = hn::MulAdd(x3, q1, b3);
    }
  }
  hn::Store(SumOfEach(a0, a1, a2, a3), FourLanes<float>(), scores);
  if constexpr (kQueries > 1) {
    hn::Store(SumOfEach(b0, b1, b2, b3), FourLanes<float>(), scores + scratch.score_stride);
  }
}

// Scores of four rows of the scratch, from row j on, with the heads from `head` on.
HWY_INLINE void ScoreFourCopies(const AttendRowsScratch& scratch, size_t j, size_t head) {
  const float* first = scratch.rows + j * scratch.width;
  const float* rows[kRowsTogether];
  for (size_t i = 0; i < kRowsTogether; ++i) rows[i] = first + i * scratch.width;
  for (; head < scratch.heads; head += 2) {
    const float* query = scratch.queries + head * scratch.width;
    float* scores = scratch.scores + head * scratch.score_stride + j;
    if (head + 2 <= scratch.heads) {
      ScoreFourRows<2, false>(scratch, rows, query, scores, nullptr);
    } else {
      ScoreFourRows<1, false>(scratch, rows, query, scores, nullptr);
    }
  }
}

HWY_INLINE void CopyPadded(const float* from, size_t dim, size_t padded, float* to) {
  std::memcpy(to, from, dim * sizeof(float));
  std::fill(to + dim, to + padded, 0.0f);
}

// Copies n rows of the table to the scratch and scores them with all heads.
HWY_INLINE void CopyAndScoreRows(const RowsView<float>& table, const int32_t* ids, size_t n,
                                 const AttendRowsScratch& scratch) {
  const size_t dim = table.width, width = scratch.width;
  const auto row = [&](size_t j) { return table.row(static_cast<size_t>(ids[j])); };
  for (size_t j = 0; j < n; j += kRowsTogether) {
    // Past the end the last row again: its scores are overwritten.
    const float* rows[kRowsTogether];
    for (size_t i = 0; i < kRowsTogether; ++i) rows[i] = row(HWY_MIN(j + i, n - 1));
    for (size_t i = j + kRowsTogether; i < HWY_MIN(j + 2 * kRowsTogether, n); ++i) {
      for (size_t c = 0; c < dim; c += 16) hwy::Prefetch(row(i) + c);  // a cache line each
    }
    float* copy = scratch.rows + j * width;
    if (dim == width && scratch.heads >= 2) {
      ScoreFourRows<2, true>(scratch, rows, scratch.queries, scratch.scores + j, copy);
      ScoreFourCopies(scratch, j, 2);
    } else {
      for (size_t i = 0; i < kRowsTogether; ++i) CopyPadded(rows[i], dim, width, copy + i * width);
      ScoreFourCopies(scratch, j, 0);
    }
  }
}

// One candidate with n >= 1 rows, whose queries are in the scratch.
HWY_INLINE void AttendToRows(const RowsView<float>& table, const int32_t* ids, size_t n,
                             const AttendRowsScratch& scratch, const OutputRows<float>& sums) {
  const size_t dim = table.width;
  CopyAndScoreRows(table, ids, n, scratch);
  for (size_t h = 0; h < scratch.heads; ++h) {
    scratch.factors[h] = 1.0f / SoftmaxNumerators(scratch.scores + h * scratch.score_stride, n);
  }
  // The copied rows as panels: panel p is columns [16 p, 16 p + 16) of them.
  const LinearPanels rows = {scratch.rows, kLinearColumns, scratch.width, dim};
  const float* factors = scratch.factors;
  ForEachProduct(RowsView<float>{scratch.scores, scratch.heads, n, scratch.score_stride}, rows,
                 [=](auto d, size_t h, size_t column, auto first, auto second) HWY_ATTR {
                   if (column >= dim) return;
                   const auto factor = hn::Set(d, factors[h]);
                   StoreColumns(d, hn::Mul(first, factor), hn::Mul(second, factor), dim - column,
                                sums.row(h) + column);
                 });
}

HWY_MAYBE_UNUSED void AttendRowsOfTarget(const ChosenRows& rows, size_t heads,
                                         const Queries<float>& queries, float* floats,
                                         const OutputRows<float>& sums) {
  const size_t dim = rows.table.width;
  for (size_t b = 0; b * heads < queries.count; ++b) {
    const auto n = static_cast<size_t>(rows.counts[b]);
    const OutputRows<float> out = {sums.row(b * heads), sums.stride};
    if (n == 0) {
      for (size_t h = 0; h < heads; ++h) std::fill_n(out.row(h), dim, 0.0f);
      continue;
    }
    const AttendRowsScratch scratch(floats, n, dim, heads);
    for (size_t h = 0; h < heads; ++h) {
      CopyPadded(queries.query(b * heads + h), dim, scratch.width,
                 scratch.queries + h * scratch.width);
    }
    AttendToRows(rows.table, rows.ids_of(b), n, scratch, out);
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(AttendRowsOfTarget);

size_t AttendRowsScratchBytes(size_t max_count, size_t dim, size_t heads) {
  constexpr size_t kMost = kMaxRankedRows;  // so that no product of two wraps
  if (max_count > kMost || dim > kMost || heads > kMost) return kNoScratch;
  const size_t floats = AttendRowsScratch::Floats(max_count, dim, heads);
  return SaturatingProduct(floats + kCacheLineBytes / sizeof(float), sizeof(float));
}

void AttendRows(const ChosenRows& rows, size_t heads, const Queries<float>& queries,
                ScratchView scratch, const OutputRows<float>& sums) {
  ETA_SIMD_REQUIRE(rows.table.width >= 1 && heads >= 1 && queries.count % heads == 0);
  ETA_SIMD_REQUIRE(AreRows(rows.table) && AreChosen(rows, queries.count / heads));
  ETA_SIMD_REQUIRE(scratch.bytes >=
                   AttendRowsScratchBytes(LargestCount(rows.counts, queries.count / heads),
                                          rows.table.width, heads));
  ETA_SIMD_REQUIRE(queries.stride >= rows.table.width && sums.stride >= rows.table.width);
  HWY_DYNAMIC_DISPATCH(AttendRowsOfTarget)(rows, heads, queries, AlignedFloats(scratch.data), sums);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
