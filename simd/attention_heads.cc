// SPDX-License-Identifier: Apache-2.0
#include "simd/attention_heads.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "simd/internal/aligned_floats.h"
#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/attention_heads.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/exp-inl.h"

#ifndef ETA_SIMD_HEAD_ATTENTION_TYPES_
#define ETA_SIMD_HEAD_ATTENTION_TYPES_
namespace eta::simd {

inline constexpr size_t kHeadsTogether = 4;  // a block of lanes, the smallest vector there is
inline constexpr size_t kRowsScored = 4;     // whose scores fill the largest vector

struct AttendHeadsArguments {
  ChosenRows rows;
  size_t groups;  // of four heads
  size_t width;   // floats of a group
  const float* queries;
  size_t num_queries;
  size_t query_stride;
  float* scratch;
  float* out;
  size_t out_stride;
};

inline size_t RoundedRows(size_t n) { return (n + kRowsScored - 1) / kRowsScored * kRowsScored; }

}  // namespace eta::simd
#endif  // ETA_SIMD_HEAD_ATTENTION_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// SVE's vectors need a known number of lanes for what is done with blocks.
#if HWY_HAVE_SCALABLE
using HeadTag = hn::FixedTag<float, 4>;
#else
using HeadTag = hn::CappedTag<float, 16>;
#endif
using HeadVector = hn::Vec<HeadTag>;

// Combines the blocks of a vector with one another; each block of the result is the same.
template <class Op>
HWY_INLINE HeadVector OverBlocks(HeadVector v, Op op) {
#if !HWY_HAVE_SCALABLE && HWY_MAX_BYTES >= 32
  v = op(v, hn::SwapAdjacentBlocks(v));
#if HWY_MAX_BYTES >= 64
  v = op(v, hn::ConcatLowerUpper(HeadTag(), v, v));
#endif
#else
  (void)op;
#endif
  return v;
}

// The sum of the blocks of each of four vectors, stored one after another.
HWY_INLINE void StoreSumsOfBlocks(HeadVector v0, HeadVector v1, HeadVector v2, HeadVector v3,
                                  float* to) {
  const HeadTag d;
#if !HWY_HAVE_SCALABLE && HWY_MAX_BYTES >= 64
  const auto v02 = hn::Add(hn::ConcatLowerLower(d, v2, v0), hn::ConcatUpperUpper(d, v2, v0));
  const auto v13 = hn::Add(hn::ConcatLowerLower(d, v3, v1), hn::ConcatUpperUpper(d, v3, v1));
  const auto even = hn::Add(v02, hn::SwapAdjacentBlocks(v02));  // 0 0 2 2
  const auto odd = hn::Add(v13, hn::SwapAdjacentBlocks(v13));   // 1 1 3 3
  hn::StoreU(hn::OddEvenBlocks(odd, even), d, to);
#elif !HWY_HAVE_SCALABLE && HWY_MAX_BYTES >= 32
  hn::StoreU(hn::Add(hn::ConcatLowerLower(d, v1, v0), hn::ConcatUpperUpper(d, v1, v0)), d, to);
  hn::StoreU(hn::Add(hn::ConcatLowerLower(d, v3, v2), hn::ConcatUpperUpper(d, v3, v2)), d, to + 8);
#else
  hn::StoreU(v0, d, to);
  hn::StoreU(v1, d, to + 4);
  hn::StoreU(v2, d, to + 8);
  hn::StoreU(v3, d, to + 12);
#endif
}

// scores[j * 4 + h] = query of head h . key of row j, for n rows and on to a multiple of 4.
HWY_INLINE void ScoreHeads(const float* const* rows, size_t width, size_t n, size_t first,
                           const float* query, float* scores) {
  const HeadTag d;
  for (size_t j = 0; j < n; j += kRowsScored) {
    const float *r0 = rows[j] + first, *r1 = rows[j + 1] + first;
    const float *r2 = rows[j + 2] + first, *r3 = rows[j + 3] + first;
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto q = hn::LoadU(d, query + i);
      s0 = hn::MulAdd(q, hn::LoadU(d, r0 + i), s0);
      s1 = hn::MulAdd(q, hn::LoadU(d, r1 + i), s1);
      s2 = hn::MulAdd(q, hn::LoadU(d, r2 + i), s2);
      s3 = hn::MulAdd(q, hn::LoadU(d, r3 + i), s3);
    }
    StoreSumsOfBlocks(s0, s1, s2, s3, scores + j * kHeadsTogether);
  }
}

// Scores of n rows become exp(score - the head's largest), and 0 on to a multiple of 4 rows. Each
// block of the result is the four heads' 1 / sum.
HWY_INLINE HeadVector WeighHeads(float* scores, size_t n) {
  const HeadTag d;
  const size_t end = (n + kRowsScored - 1) / kRowsScored * kRowsScored * kHeadsTogether;
  std::fill(scores + n * kHeadsTogether, scores + end, -HUGE_VALF);
  auto most = hn::LoadU(d, scores);
  for (size_t i = hn::Lanes(d); i < end; i += hn::Lanes(d)) {
    most = hn::Max(most, hn::LoadU(d, scores + i));
  }
  most = OverBlocks(most, [](auto a, auto b) HWY_ATTR { return hn::Max(a, b); });
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < end; i += hn::Lanes(d)) {
    const auto e = FastExp(d, hn::Sub(hn::LoadU(d, scores + i), most));
    hn::StoreU(e, d, scores + i);
    sum = hn::Add(sum, e);
  }
  sum = OverBlocks(sum, [](auto a, auto b) HWY_ATTR { return hn::Add(a, b); });
  return hn::Div(hn::Set(d, 1.0f), sum);
}

// Columns [first, first + kVectors * lanes) of the weighted sum of the values.
template <size_t kVectors>
HWY_INLINE void SumValues(const float* const* rows, size_t n, size_t first, const float* weights,
                          HeadVector factor, float* out) {
  const HeadTag d;
  const size_t N = hn::Lanes(d);
  // Two sums of each column, of even and of odd rows: one would wait for itself.
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
  auto b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  for (size_t j = 0; j < n; j += 2, weights += 2 * kHeadsTogether) {
    // Past the end the last row again, with weight 0.
    const float *even = rows[j] + first, *odd = rows[j + 1] + first;
    const auto w0 = hn::LoadDup128(d, weights), w1 = hn::LoadDup128(d, weights + kHeadsTogether);
    a0 = hn::MulAdd(w0, hn::LoadU(d, even), a0);
    b0 = hn::MulAdd(w1, hn::LoadU(d, odd), b0);
    if constexpr (kVectors == 4) {
      a1 = hn::MulAdd(w0, hn::LoadU(d, even + N), a1);
      b1 = hn::MulAdd(w1, hn::LoadU(d, odd + N), b1);
      a2 = hn::MulAdd(w0, hn::LoadU(d, even + 2 * N), a2);
      b2 = hn::MulAdd(w1, hn::LoadU(d, odd + 2 * N), b2);
      a3 = hn::MulAdd(w0, hn::LoadU(d, even + 3 * N), a3);
      b3 = hn::MulAdd(w1, hn::LoadU(d, odd + 3 * N), b3);
    }
  }
  hn::StoreU(hn::Mul(factor, hn::Add(a0, b0)), d, out);
  if constexpr (kVectors == 4) {
    hn::StoreU(hn::Mul(factor, hn::Add(a1, b1)), d, out + N);
    hn::StoreU(hn::Mul(factor, hn::Add(a2, b2)), d, out + 2 * N);
    hn::StoreU(hn::Mul(factor, hn::Add(a3, b3)), d, out + 3 * N);
  }
}

void AttendToHeads(const AttendHeadsArguments& args) {
  const size_t N = hn::Lanes(HeadTag()), width = args.width;
  for (size_t b = 0; b < args.num_queries; ++b) {
    const auto n = static_cast<size_t>(args.rows.counts[b]);
    float* out = args.out + b * args.out_stride;
    if (n == 0) {
      std::fill_n(out, args.groups * width, 0.0f);
      continue;
    }
    const int32_t* ids = args.rows.ids + b * args.rows.ids_stride;
    // Scores, then pointers to the rows.
    float* scores = args.scratch;
    const size_t padded = RoundedRows(n);
    const auto rows = reinterpret_cast<const float**>(scores + padded * kHeadsTogether);
    // Without prefetches: with two a row 0.30 us a query became 0.39 where the rows are in the L2
    // cache, and 0.71 became 0.65 where they are in memory (AVX-512, K = 64).
    for (size_t j = 0; j < n; ++j) {
      rows[j] = args.rows.table + static_cast<size_t>(ids[j]) * args.rows.stride;
    }
    for (size_t j = n; j < padded; ++j) rows[j] = rows[n - 1];
    for (size_t first = 0; first < args.groups * width; first += width) {
      ScoreHeads(rows, width, n, first, args.queries + b * args.query_stride + first, scores);
      const auto factor = WeighHeads(scores, n);
      const size_t values = args.rows.dim / 2 + first;
      size_t c = 0;
      for (; c + 4 * N <= width; c += 4 * N) {
        SumValues<4>(rows, n, values + c, scores, factor, out + first + c);
      }
      for (; c < width; c += N) {
        SumValues<1>(rows, n, values + c, scores, factor, out + first + c);
      }
    }
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(AttendToHeads);

namespace {

// Floats of four heads: whole vectors of up to 16.
size_t GroupWidth(size_t part) { return (part + 3) / 4 * 4 * kHeadsTogether; }

}  // namespace

size_t HeadColumns(size_t heads, size_t part) {
  return (heads + kHeadsTogether - 1) / kHeadsTogether * GroupWidth(part);
}

size_t HeadColumn(size_t head, size_t i, size_t part) {
  return head / kHeadsTogether * GroupWidth(part) + i * kHeadsTogether + head % kHeadsTogether;
}

size_t AttendHeadsScratchBytes(size_t max_count) {
  return 64 + RoundedRows(max_count) * (sizeof(float) * kHeadsTogether + sizeof(const float*));
}

void AttendHeads(const ChosenRows& rows, size_t heads, size_t part, const float* queries,
                 size_t num_queries, size_t query_stride, void* scratch, float* out,
                 size_t out_stride) {
  HWY_DASSERT(heads >= 1 && part >= 1 && rows.dim == 2 * HeadColumns(heads, part));
  const AttendHeadsArguments args = {rows,
                                     (heads + kHeadsTogether - 1) / kHeadsTogether,
                                     GroupWidth(part),
                                     queries,
                                     num_queries,
                                     query_stride,
                                     AlignedFloats(scratch),
                                     out,
                                     out_stride};
  HWY_DYNAMIC_DISPATCH(AttendToHeads)(args);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
