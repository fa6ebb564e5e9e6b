// SPDX-License-Identifier: Apache-2.0
#include "simd/attention_heads.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/attention_heads.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/exp-inl.h"

#ifndef ETA_SIMD_ATTENTION_HEADS_TYPES_
#define ETA_SIMD_ATTENTION_HEADS_TYPES_
namespace eta::simd {
namespace {

constexpr size_t kHeadsTogether = 4;  // a block of lanes, the smallest vector there is
constexpr size_t kRowsScored = 4;     // rows whose scores fill the largest vector

constexpr size_t RoundedRows(size_t n) { return RoundUp(n, kRowsScored); }

// The scratch of one query with n rows, on to a multiple of kRowsScored: rows past the end are the
// last one again, with weight 0.
struct AttendHeadsScratch {
  AttendHeadsScratch(void* aligned, size_t n)
      : count(n),
        scores(static_cast<float*>(aligned)),
        rows(static_cast<const float**>(
            static_cast<void*>(static_cast<char*>(aligned) + ScoreBytes(n)))) {}
  static size_t Bytes(size_t n) { return ScoreBytes(n) + RoundedRows(n) * sizeof(const float*); }

  size_t count;        // n
  float* scores;       // of kHeadsTogether heads for each row, later the weights
  const float** rows;  // the chosen rows

 private:
  static size_t ScoreBytes(size_t n) { return RoundedRows(n) * kHeadsTogether * sizeof(float); }
};

}  // namespace
}  // namespace eta::simd
#endif  // ETA_SIMD_ATTENTION_HEADS_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Operations on blocks need a fixed lane count, so SVE uses 4 lanes.
#if HWY_HAVE_SCALABLE
using HeadTag = hn::FixedTag<float, 4>;
#else
using HeadTag = hn::CappedTag<float, 16>;
#endif
using HeadVector = hn::Vec<HeadTag>;

// Reduces the blocks of a vector by `op`; all blocks of the result are equal.
template <class Op>
HWY_INLINE HeadVector ReduceBlocks(HeadVector v, Op op) {
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

// scores[j * 4 + h] = query of head h . key of row j, for the group of four heads that takes
// columns [first, first + width).
HWY_INLINE void ScoreHeads(AttendHeadsScratch scratch, size_t first, size_t width,
                           const float* query) {
  const float* const* rows = scratch.rows;
  const HeadTag d;
  for (size_t j = 0; j < scratch.count; j += kRowsScored) {
    const float *r0 = rows[j] + first, *r1 = rows[j + 1] + first;
    const float *r2 = rows[j + 2] + first, *r3 = rows[j + 3] + first;
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < width; i += hn::Lanes(d)) {
      const auto q = hn::LoadU(d, query + first + i);
      s0 = hn::MulAdd(q, hn::LoadU(d, r0 + i), s0);
      s1 = hn::MulAdd(q, hn::LoadU(d, r1 + i), s1);
      s2 = hn::MulAdd(q, hn::LoadU(d, r2 + i), s2);
      s3 = hn::MulAdd(q, hn::LoadU(d, r3 + i), s3);
    }
    StoreSumsOfBlocks(s0, s1, s2, s3, scratch.scores + j * kHeadsTogether);
  }
}

// Turns the scores into the numerators of their head's softmax, and those on to a multiple of 4
// rows into 0. Each block of the result holds 1 / sum of the four heads.
HWY_INLINE HeadVector WeighHeads(AttendHeadsScratch scratch) {
  const HeadTag d;
  float* scores = scratch.scores;
  const size_t end = RoundedRows(scratch.count) * kHeadsTogether;
  std::fill(scores + scratch.count * kHeadsTogether, scores + end, -HUGE_VALF);
  const auto max = [](auto a, auto b) HWY_ATTR { return hn::Max(a, b); };
  const auto add = [](auto a, auto b) HWY_ATTR { return hn::Add(a, b); };
  const auto largest = ReduceBlocks(LaneMaxima(d, scores, end), max);
  const auto sums = ReduceBlocks(ExpOfDifferences(d, scores, end, largest), add);
  return hn::Div(hn::Set(d, 1.0f), sums);
}

// The weighted sum of columns [first, first + kVectors * lanes) of the rows, times `factor`.
template <size_t kVectors>
HWY_INLINE void SumValues(AttendHeadsScratch scratch, size_t first, HeadVector factor, float* out) {
  const HeadTag d;
  const size_t N = hn::Lanes(d);
  // Two sums of each column, of even and of odd rows: one would wait for itself.
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
  auto b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  const float* weights = scratch.scores;
  for (size_t j = 0; j < scratch.count; j += 2, weights += 2 * kHeadsTogether) {
    const float *even = scratch.rows[j] + first, *odd = scratch.rows[j + 1] + first;
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

// The group of heads whose columns start at `first`, for one query.
HWY_INLINE void AttendToGroup(AttendHeadsScratch scratch, HeadLayout layout, size_t first,
                              const float* query, float* out) {
  const size_t N = hn::Lanes(HeadTag()), width = layout.group();
  ScoreHeads(scratch, first, width, query);
  const auto factor = WeighHeads(scratch);
  const size_t values = layout.columns() + first;
  size_t c = 0;
  for (; c + 4 * N <= width; c += 4 * N) {
    SumValues<4>(scratch, values + c, factor, out + first + c);
  }
  for (; c < width; c += N) SumValues<1>(scratch, values + c, factor, out + first + c);
}

HWY_MAYBE_UNUSED void AttendHeadsOfTarget(const ChosenRows& rows, const HeadLayout& layout,
                                          const Queries<float>& queries, void* aligned_scratch,
                                          const OutputRows<float>& out) {
  // A copy, because a store of a row's address may alias the table's address in the argument.
  const RowsView<float> table = rows.table;
  for (size_t b = 0; b < queries.count; ++b) {
    const auto n = static_cast<size_t>(rows.counts[b]);
    if (n == 0) {
      std::fill_n(out.row(b), layout.columns(), 0.0f);
      continue;
    }
    const AttendHeadsScratch scratch(aligned_scratch, n);
    const int32_t* ids = rows.ids_of(b);
    // Without prefetches: with two a row 0.30 us a query became 0.39 where the rows are in the L2
    // cache, and 0.71 became 0.65 where they are in memory (AVX-512, K = 64).
    for (size_t j = 0; j < n; ++j) {
      scratch.rows[j] = table.row(static_cast<size_t>(ids[j]));
    }
    for (size_t j = n; j < RoundedRows(n); ++j) scratch.rows[j] = scratch.rows[n - 1];
    for (size_t first = 0; first < layout.columns(); first += layout.group()) {
      AttendToGroup(scratch, layout, first, queries.query(b), out.row(b));
    }
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(AttendHeadsOfTarget);

size_t AttendHeadsScratchBytes(size_t max_count) {
  if (max_count > kMaxRankedRows) return kNoScratch;
  return kCacheLineBytes + AttendHeadsScratch::Bytes(max_count);
}

void AttendHeads(const ChosenRows& rows, const HeadLayout& layout, const Queries<float>& queries,
                 ScratchView scratch, const OutputRows<float>& out) {
  ETA_SIMD_REQUIRE(layout.heads >= 1 && layout.part >= 1);
  ETA_SIMD_REQUIRE(rows.table.width == 2 * layout.columns() && AreRows(rows.table));
  ETA_SIMD_REQUIRE(AreChosen(rows, queries.count));
  ETA_SIMD_REQUIRE(scratch.bytes >=
                   AttendHeadsScratchBytes(LargestCount(rows.counts, queries.count)));
  HWY_DYNAMIC_DISPATCH(AttendHeadsOfTarget)
  (rows, layout, queries, AlignUp(scratch.data, kCacheLineBytes), out);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
