// SPDX-License-Identifier: Apache-2.0
#include "simd/attention.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "simd/internal/aligned_floats.h"
#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/attention.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/exp-inl.h"
#include "simd/internal/linear-inl.h"

#ifndef ETA_SIMD_ATTENTION_TYPES_
#define ETA_SIMD_ATTENTION_TYPES_
namespace eta::simd {

struct AttendRowsArguments {
  ChosenRows rows;
  const float* queries;
  size_t num_queries;
  size_t heads;
  size_t query_stride;
  float* scratch;
  float* sums;
  size_t sum_stride;

  const float* row(const int32_t* ids, size_t j) const {
    return rows.table + static_cast<size_t>(ids[j]) * rows.stride;
  }
};

inline constexpr size_t kQueriesTogether = 12;  // whose weights are in the scratch

struct AttendAllArguments {
  ProjectedRows rows;
  const float* queries;
  size_t num_queries;
  size_t query_stride;
  float* weights;
  float* out;
  size_t out_stride;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_ATTENTION_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

// Of SVE's vectors, however long, 4 lanes: sums across lanes need their number.
#if HWY_HAVE_SCALABLE
using ScoreTag = hn::FixedTag<float, 4>;
#else
using ScoreTag = PanelTag;
#endif
using ScoreVector = hn::Vec<ScoreTag>;
using FourTag = hn::FixedTag<float, 4>;
using FourVector = hn::Vec<FourTag>;

inline constexpr size_t kRowsTogether = 4;  // rows scored together: their sums fill one vector

HWY_INLINE FourVector FoldToFour(ScoreVector s) {
#if !HWY_HAVE_SCALABLE && HWY_MAX_BYTES >= 64
  const hn::Half<ScoreTag> d8;
  const auto half = hn::Add(hn::LowerHalf(d8, s), hn::UpperHalf(d8, s));
  return hn::Add(hn::LowerHalf(FourTag(), half), hn::UpperHalf(FourTag(), half));
#elif !HWY_HAVE_SCALABLE && HWY_MAX_BYTES >= 32
  return hn::Add(hn::LowerHalf(FourTag(), s), hn::UpperHalf(FourTag(), s));
#else
  return s;
#endif
}

// The sums over lanes of four vectors, in order: within blocks of 4 lanes first.
HWY_INLINE FourVector SumOfEach(ScoreVector s0, ScoreVector s1, ScoreVector s2, ScoreVector s3) {
  const ScoreTag d;
  const hn::Repartition<uint64_t, ScoreTag> pairs;
  const auto a = hn::Add(hn::InterleaveLower(d, s0, s1), hn::InterleaveUpper(d, s0, s1));
  const auto b = hn::Add(hn::InterleaveLower(d, s2, s3), hn::InterleaveUpper(d, s2, s3));
  const auto even = hn::InterleaveLower(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b));
  const auto odd = hn::InterleaveUpper(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b));
  return FoldToFour(hn::Add(hn::BitCast(d, even), hn::BitCast(d, odd)));
}

// Scores of four rows with two queries of `padded` floats, a multiple of 16 (kHeads 1: with one).
// With kCopy the rows are written to copy + r * padded as well.
template <size_t kHeads, bool kCopy>
HWY_INLINE void ScoreFour(const float* r0, const float* r1, const float* r2, const float* r3,
                          size_t padded, const float* query, float* scores, size_t score_stride,
                          float* copy) {
  const ScoreTag d;
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
  auto b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  for (size_t i = 0; i < padded; i += hn::Lanes(d)) {
    const auto x0 = hn::LoadU(d, r0 + i), x1 = hn::LoadU(d, r1 + i);
    const auto x2 = hn::LoadU(d, r2 + i), x3 = hn::LoadU(d, r3 + i);
    if constexpr (kCopy) {
      hn::Store(x0, d, copy + i);
      hn::Store(x1, d, copy + padded + i);
      hn::Store(x2, d, copy + 2 * padded + i);
      hn::Store(x3, d, copy + 3 * padded + i);
    }
    const auto q0 = hn::Load(d, query + i);
    a0 = hn::MulAdd(x0, q0, a0);
    a1 = hn::MulAdd(x1, q0, a1);
    a2 = hn::MulAdd(x2, q0, a2);
    a3 = hn::MulAdd(x3, q0, a3);
    if constexpr (kHeads > 1) {
      const auto q1 = hn::Load(d, query + padded + i);
      b0 = hn::MulAdd(x0, q1, b0);
      b1 = hn::MulAdd(x1, q1, b1);
      b2 = hn::MulAdd(x2, q1, b2);
      b3 = hn::MulAdd(x3, q1, b3);
    }
  }
  hn::Store(SumOfEach(a0, a1, a2, a3), FourTag(), scores);
  if constexpr (kHeads > 1) {
    hn::Store(SumOfEach(b0, b1, b2, b3), FourTag(), scores + score_stride);
  }
}

// Scores of four rows of a copy with the queries from `head` on.
HWY_INLINE void ScoreFourCopies(const float* copy, size_t padded, const float* queries, size_t head,
                                size_t heads, float* scores, size_t score_stride) {
  const float *r1 = copy + padded, *r2 = r1 + padded, *r3 = r2 + padded;
  for (; head + 2 <= heads; head += 2) {
    ScoreFour<2, false>(copy, r1, r2, r3, padded, queries + head * padded,
                        scores + head * score_stride, score_stride, nullptr);
  }
  if (head < heads) {
    ScoreFour<1, false>(copy, r1, r2, r3, padded, queries + head * padded,
                        scores + head * score_stride, score_stride, nullptr);
  }
}

HWY_INLINE void CopyPadded(const float* from, size_t dim, size_t padded, float* to) {
  std::memcpy(to, from, dim * sizeof(float));
  std::fill(to + dim, to + padded, 0.0f);
}

// Scores of all rows of one query with its heads; leaves the rows at `copy`, `padded` apart.
HWY_INLINE void ScoreRows(const AttendRowsArguments& args, const int32_t* ids, size_t n,
                          size_t padded, const float* queries, float* copy, float* scores,
                          size_t score_stride) {
  const size_t dim = args.rows.dim;
  for (size_t j = 0; j < n; j += kRowsTogether, copy += kRowsTogether * padded) {
    // Past the end the last row again: its scores are overwritten.
    const float* r[kRowsTogether];
    for (size_t i = 0; i < kRowsTogether; ++i) r[i] = args.row(ids, HWY_MIN(j + i, n - 1));
    for (size_t i = j + kRowsTogether; i < HWY_MIN(j + 2 * kRowsTogether, n); ++i) {
      const float* next = args.row(ids, i);
      for (size_t c = 0; c < dim; c += 16) hwy::Prefetch(next + c);
    }
    if (dim == padded && args.heads >= 2) {
      ScoreFour<2, true>(r[0], r[1], r[2], r[3], padded, queries, scores + j, score_stride, copy);
      ScoreFourCopies(copy, padded, queries, 2, args.heads, scores + j, score_stride);
    } else {
      for (size_t i = 0; i < kRowsTogether; ++i) CopyPadded(r[i], dim, padded, copy + i * padded);
      ScoreFourCopies(copy, padded, queries, 0, args.heads, scores + j, score_stride);
    }
  }
}

void AttendToRows(const AttendRowsArguments& args) {
  const size_t dim = args.rows.dim, heads = args.heads;
  const size_t padded = PaddedColumns(dim);
  for (size_t b = 0; b < args.num_queries; ++b) {
    const auto n = static_cast<size_t>(args.rows.counts[b]);
    float* sums = args.sums + b * heads * args.sum_stride;
    if (n == 0) {
      for (size_t h = 0; h < heads; ++h) std::fill_n(sums + h * args.sum_stride, dim, 0.0f);
      continue;
    }
    const size_t score_stride = PaddedColumns(n);
    float* queries = args.scratch;
    float* factors = queries + heads * padded;
    float* scores = factors + PaddedColumns(heads);
    float* copy = scores + heads * score_stride;
    for (size_t h = 0; h < heads; ++h) {
      CopyPadded(args.queries + (b * heads + h) * args.query_stride, dim, padded,
                 queries + h * padded);
    }
    ScoreRows(args, args.rows.ids + b * args.rows.ids_stride, n, padded, queries, copy, scores,
              score_stride);
    for (size_t h = 0; h < heads; ++h) {
      factors[h] = 1.0f / ExpOfDifferences(scores + h * score_stride, n);
    }
    // The copied rows as panels: panel p is 16 columns of them.
    ForEachProduct(scores, heads, n, score_stride, copy, kLinearColumns, padded, dim,
                   [&](auto d, size_t h, size_t column, auto first, auto second) HWY_ATTR {
                     if (column >= dim) return;
                     const auto factor = hn::Set(d, factors[h]);
                     StoreColumns(d, hn::Mul(first, factor), hn::Mul(second, factor), dim - column,
                                  sums + h * args.sum_stride + column);
                   });
  }
}

void AttendToAll(const AttendAllArguments& args) {
  const auto& [keys, values, n, heads, part] = args.rows;
  if (n == 0) {
    for (size_t b = 0; b < args.num_queries; ++b) {
      std::fill_n(args.out + b * args.out_stride, heads * part, 0.0f);
    }
    return;
  }
  const size_t stride = PaddedColumns(n);
  float* weights = args.weights;
  for (size_t h = 0; h < heads; ++h) {
    const float* head_keys = keys + h * PackedLinearSize(part, n);
    const float* head_values = values + h * PackedLinearSize(n, part);
    for (size_t b = 0; b < args.num_queries; b += kQueriesTogether) {
      const size_t tile = HWY_MIN(kQueriesTogether, args.num_queries - b);
      ForEachProduct(args.queries + b * args.query_stride + h * part, tile, part, args.query_stride,
                     head_keys, part * kLinearColumns, kLinearColumns, n,
                     [=](auto d, size_t row, size_t column, auto first, auto second) HWY_ATTR {
                       StoreColumns(d, first, second, stride - column,
                                    weights + row * stride + column);
                     });
      float factors[kQueriesTogether];
      for (size_t i = 0; i < tile; ++i) {
        factors[i] = 1.0f / ExpOfDifferences(weights + i * stride, n);
      }
      float* out = args.out + b * args.out_stride + h * args.rows.part;
      ForEachProduct(weights, tile, n, stride, head_values, n * kLinearColumns, kLinearColumns,
                     part,
                     [&](auto d, size_t row, size_t column, auto first, auto second) HWY_ATTR {
                       if (column >= args.rows.part) return;
                       const auto factor = hn::Set(d, factors[row]);
                       StoreColumns(d, hn::Mul(first, factor), hn::Mul(second, factor),
                                    args.rows.part - column, out + row * args.out_stride + column);
                     });
    }
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(AttendToRows);
HWY_EXPORT(AttendToAll);

size_t AttendRowsScratchBytes(size_t max_count, size_t dim, size_t heads) {
  const size_t padded = PaddedColumns(dim);
  const size_t rows = PaddedColumns(max_count);
  return 64 +
         sizeof(float) * (heads * padded + PaddedColumns(heads) + heads * rows + rows * padded);
}

void AttendRows(const ChosenRows& rows, const float* queries, size_t num_queries, size_t heads,
                size_t query_stride, void* scratch, float* sums, size_t sum_stride) {
  HWY_DASSERT(rows.dim >= 1 && heads >= 1 && rows.stride >= rows.dim);
  HWY_DASSERT(query_stride >= rows.dim && sum_stride >= rows.dim);
  const AttendRowsArguments args = {
      rows, queries, num_queries, heads, query_stride, AlignedFloats(scratch), sums, sum_stride};
  HWY_DYNAMIC_DISPATCH(AttendToRows)(args);
}

void PackProjectedRows(const float* keys, const float* values, size_t n, size_t heads, size_t part,
                       size_t stride, float* packed_keys, float* packed_values) {
  for (size_t h = 0; h < heads; ++h) {
    PackLinear(keys + h * part, part, n, 1, stride, packed_keys + h * PackedLinearSize(part, n));
    PackLinear(values + h * part, n, part, stride, 1,
               packed_values + h * PackedLinearSize(n, part));
  }
}

size_t AttendAllScratchBytes(size_t n) {
  return 64 + sizeof(float) * kQueriesTogether * PaddedColumns(n);
}

void AttendAll(const ProjectedRows& rows, const float* queries, size_t num_queries,
               size_t query_stride, void* scratch, float* out, size_t out_stride) {
  HWY_DASSERT(rows.heads >= 1 && rows.part >= 1);
  const AttendAllArguments args = {
      rows, queries, num_queries, query_stride, AlignedFloats(scratch), out, out_stride};
  HWY_DYNAMIC_DISPATCH(AttendToAll)(args);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
