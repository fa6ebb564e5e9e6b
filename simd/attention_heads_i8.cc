// SPDX-License-Identifier: Apache-2.0
#include "simd/attention_heads_i8.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/attention_heads_i8.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/heads_i8-inl.h"
#include "simd/internal/i8_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// A row of the table of queries in the form of the target.
#if ETA_SIMD_HAS_VNNI

HWY_INLINE const int8_t* HeadsQueryOf(const int8_t* row, size_t columns, void* scratch) {
  (void)columns, (void)scratch;
  return row;
}

#else

HWY_INLINE const int16_t* HeadsQueryOf(const int8_t* row, size_t columns, void* scratch) {
  const I8HeadPairTag d16;
  const hn::Rebind<int8_t, I8HeadPairTag> d8;
  auto* query = static_cast<int16_t*>(scratch);
  for (size_t i = 0; i < columns; i += hn::Lanes(d16)) {
    hn::StoreU(hn::PromoteTo(d16, hn::LoadU(d8, row + i)), d16, query + i);
  }
  return query;
}

#endif  // ETA_SIMD_HAS_VNNI

// The factor of each head in all of the head's lanes.
HWY_INLINE void SpreadQueryFactors(const HeadsI8Scratch& scratch, size_t heads,
                                   const float* factors) {
  float* to = scratch.query_factors;
  for (size_t h = 0; h < heads; ++h) {
    std::fill_n(to + h * kI8RowsScored, kI8RowsScored, factors[h]);
  }
  std::fill(to + heads * kI8RowsScored, to + scratch.lanes, 0.0f);
}

// The sums of four rows with columns [c, c + 4 lanes) of the query: row r's for block b of these in
// lane r of block b.
ETA_SIMD_VNNI_ATTR HWY_INLINE I8HeadSums FourRowSums(const uint8_t* const* rows, size_t c,
                                                     const QueryChunk& q) {
  const auto v0 = ColumnSums(rows[0] + c, q), v1 = ColumnSums(rows[1] + c, q);
  const auto v2 = ColumnSums(rows[2] + c, q), v3 = ColumnSums(rows[3] + c, q);
  return SumsOfBlocks(v0, v1, v2, v3);
}

// The scores of all rows where a head is one block.
ETA_SIMD_VNNI_ATTR HWY_INLINE void ScoreBlocks(const HeadsI8Scratch& scratch, size_t columns,
                                               const I8HeadElement* query) {
  const I8HeadTag d;
  for (size_t c = 0; c < columns; c += 4 * hn::Lanes(d)) {
    const QueryChunk q = LoadQuery(query + c);
    const auto query_factors = hn::LoadU(d, scratch.query_factors + c / 4);
    float* scores = scratch.weights + c / 4;
    for (size_t j = 0; j < scratch.count; j += kI8RowsScored, scores += scratch.lanes) {
      const auto sums = hn::ConvertTo(d, FourRowSums(scratch.rows + j, c, q));
      const auto scaled = hn::Mul(sums, hn::LoadDup128(d, scratch.key_factors + j));
      hn::StoreU(hn::Mul(scaled, query_factors), d, scores);
    }
  }
}

// The same of four rows where a head is several blocks, whose sums are in the scratch.
HWY_INLINE void AddBlocksOfHeads(const HeadsI8Scratch& scratch, const I8HeadLayout& layout,
                                 const float* key_factors, float* scores) {
  const hn::FixedTag<float, 4> d;
  const hn::RebindToSigned<decltype(d)> d32;
  const size_t blocks = layout.padded_part() / kI8BlockColumns;
  std::fill_n(scores, scratch.lanes, 0.0f);
  for (size_t h = 0; h < layout.heads; ++h) {
    auto sum = hn::Zero(d32);
    for (size_t b = h * blocks; b < (h + 1) * blocks; ++b) {
      sum = hn::Add(sum, hn::LoadU(d32, scratch.sums + b * 4));
    }
    const auto scaled = hn::Mul(hn::ConvertTo(d, sum), hn::LoadU(d, key_factors));
    hn::StoreU(hn::Mul(scaled, hn::LoadU(d, scratch.query_factors + h * 4)), d, scores + h * 4);
  }
}

ETA_SIMD_VNNI_ATTR HWY_INLINE void ScoreI8Rows(const HeadsI8Scratch& scratch,
                                               const I8HeadLayout& layout,
                                               const I8HeadElement* query) {
  const I8HeadSumTag d32;
  const size_t columns = layout.columns();
  if (layout.padded_part() == kI8BlockColumns) return ScoreBlocks(scratch, columns, query);
  float* scores = scratch.weights;
  for (size_t j = 0; j < scratch.count; j += kI8RowsScored, scores += scratch.lanes) {
    for (size_t c = 0; c < columns; c += 4 * hn::Lanes(d32)) {
      const QueryChunk q = LoadQuery(query + c);
      hn::StoreU(FourRowSums(scratch.rows + j, c, q), d32, scratch.sums + c / 4);
    }
    AddBlocksOfHeads(scratch, layout, scratch.key_factors + j, scores);
  }
}

// Reduces each block of 4 lanes; all lanes of a block of the result are equal.
template <class Op>
HWY_INLINE I8HeadVector ReduceWithinBlocks(I8HeadVector v, Op op) {
  v = op(v, hn::Shuffle1032(v));
  return op(v, hn::Shuffle2301(v));
}

// Four rows' weights, not negative and of 15 bits, from a lane on: in place of their scores, or as
// 16-bit integers.
HWY_INLINE void StoreWeights(I8HeadSums weights, float* scores, uint8_t* digits) {
#if ETA_SIMD_HAS_VNNI
  (void)digits;
  _mm512_storeu_si512(scores, weights.raw);
#else
  (void)scores;
  StoreQuery(weights, reinterpret_cast<int16_t*>(digits));
#endif
}

// Parts the rows' pairs of factors, and scales those of values to at most kI8WeightSteps. Rows past
// the end have the last one's factor of keys and 0 for values. Returns the inverse of the scale.
HWY_INLINE float PartFactors(const HeadsI8Scratch& scratch) {
  const I8HeadTag d;
  const size_t n = scratch.count, end = RoundUp(n, 16), N = hn::Lanes(d);
  for (size_t j = n; j < end; ++j) {
    scratch.factor_pairs[2 * j] = scratch.factor_pairs[2 * n - 2];
    scratch.factor_pairs[2 * j + 1] = 0.0f;
  }
  for (size_t j = 0; j < end; j += N) {
    auto of_key = hn::Zero(d), of_value = of_key;
    hn::LoadInterleaved2(d, scratch.factor_pairs + 2 * j, of_key, of_value);
    hn::StoreU(of_key, d, scratch.key_factors + j);
    hn::StoreU(of_value, d, scratch.value_factors + j);
  }
  const RowScale scale(LargestOfRow<false>(scratch.value_factors, end), kI8WeightSteps);
  for (float* at = scratch.value_factors; at < scratch.value_factors + end; at += N) {
    hn::StoreU(hn::Mul(hn::LoadU(d, at), hn::Set(d, scale.factor)), d, at);
  }
  return scale.scale;
}

// Turns the scores into the numerators of their head's softmax, and these, times the rows' factors
// of values, into integers; those of rows past the end are 0.
HWY_INLINE void WeighI8Rows(const HeadsI8Scratch& scratch, float value_factor) {
  const I8HeadTag d;
  const size_t lanes = scratch.lanes;
  float* const end = scratch.weights + RoundedI8Rows(scratch.count) / kI8RowsScored * lanes;
  for (size_t r = scratch.count; r < RoundedI8Rows(scratch.count); ++r) {
    for (float* at = end - lanes + r % kI8RowsScored; at < end; at += kI8RowsScored) {
      *at = -HUGE_VALF;
    }
  }
  for (size_t lane = 0; lane < lanes; lane += hn::Lanes(d)) {
    auto largest = hn::LoadU(d, scratch.weights + lane);
    for (const float* at = scratch.weights + lane + lanes; at < end; at += lanes) {
      largest = hn::Max(largest, hn::LoadU(d, at));
    }
    largest = ReduceWithinBlocks(largest, [](auto a, auto b) HWY_ATTR { return hn::Max(a, b); });
    auto sum = hn::Zero(d);
    const float* factors = scratch.value_factors;
    uint8_t* digits = scratch.weight_digits + 2 * lane;
    for (float* at = scratch.weights + lane; at < end; at += lanes) {
      const auto e = Exp2OfNegative(d, hn::Sub(hn::LoadU(d, at), largest));
      sum = hn::Add(sum, e);
      StoreWeights(RoundTo32Bits(d, e, hn::LoadDup128(d, factors)), at, digits);
      factors += kI8RowsScored;
      digits += 2 * lanes;
    }
    sum = ReduceWithinBlocks(sum, [](auto a, auto b) HWY_ATTR { return hn::Add(a, b); });
    hn::StoreU(hn::Div(hn::Set(d, value_factor), sum), d, scratch.factors + lane);
  }
}

HWY_MAYBE_UNUSED ETA_SIMD_VNNI_ATTR void AttendHeadsI8OfTarget(const ChosenI8Rows& rows,
                                                               const I8HeadLayout& of_caller,
                                                               const I8HeadQueries& of_queries,
                                                               void* aligned_scratch,
                                                               const OutputRows<float>& out) {
  // Copies, because a store of a row's address may alias what is in the arguments.
  const RowsView<uint8_t> table = rows.table;
  const float* factors = rows.factors;
  const int32_t* list = rows.list.data;
  const I8HeadLayout layout = of_caller;
  const I8HeadQueries queries = of_queries;
  PlaceI8Digits(layout, aligned_scratch);
  for (size_t b = 0; b < queries.count; ++b) {
    const auto n = static_cast<size_t>(rows.counts[b]);
    if (n == 0) {
      std::fill_n(out.row(b), layout.dim(), 0.0f);
      continue;
    }
    const HeadsI8Scratch scratch(aligned_scratch, layout, n);
    const int32_t* positions = rows.positions_of(b);
    const uint8_t** HWY_RESTRICT to = scratch.rows;
    float* HWY_RESTRICT pairs = scratch.factor_pairs;
    for (size_t j = 0; j < n; ++j) {
      const auto row = static_cast<size_t>(list[positions[j]]);
      to[j] = table.row(row);
      // Rows in memory take 1.4 times the time without it (Zen 4, 2026-11): their factors lie
      // elsewhere, so that nothing else asks for them before their scores are due.
      hwy::Prefetch(to[j]);
      std::memcpy(pairs + 2 * j, factors + 2 * row, 2 * sizeof(float));
    }
    std::fill(to + n, to + RoundedI8Rows(n), to[n - 1]);
    const auto q = static_cast<size_t>(queries.ids[b]);
    SpreadQueryFactors(scratch, layout.heads, queries.factors + q * layout.heads);
    const float value_factor = PartFactors(scratch);
    ScoreI8Rows(scratch, layout,
                HeadsQueryOf(queries.table.row(q), layout.columns(), scratch.query));
    WeighI8Rows(scratch, value_factor);
    SumAllI8Values(scratch, layout, out.row(b));
  }
}

// A row of layout.dim() floats to layout.columns() bytes. Returns its factor.
HWY_INLINE float PackHeadsOfRow(const float* x, const I8HeadLayout& layout, uint8_t* to) {
  const size_t part = layout.part, padded_part = layout.padded_part(), dim = layout.dim();
  const float factor = RoundToBytes<false>(x, dim, 0, to);
  std::memset(to + dim, 0, layout.columns() - dim);
  if (part == padded_part) return factor;
  for (size_t h = layout.heads; h-- > 0;) {  // from the last, because heads move to the right
    std::memmove(to + h * padded_part, to + h * part, part);
    std::memset(to + h * padded_part + part, 0, padded_part - part);
  }
  return factor;
}

HWY_MAYBE_UNUSED void PackHeadQueriesI8OfTarget(const RowsView<float>& queries,
                                                const I8HeadLayout& layout,
                                                const I8HeadQueryRows& to) {
  const size_t part = layout.part, padded_part = layout.padded_part();
  for (size_t r = 0; r < queries.count; ++r) {
    int8_t* row = to.bytes + r * to.stride;
    std::memset(row, 0, layout.columns());
    for (size_t h = 0; h < layout.heads; ++h) {
      auto* head = reinterpret_cast<uint8_t*>(row + h * padded_part);
      const float factor = RoundToBytes<false>(queries.row(r) + h * part, part, 0, head);
      to.factors[r * layout.heads + h] = factor * kLog2OfE;
    }
  }
}

HWY_MAYBE_UNUSED void PackHeadsI8OfTarget(const RowsView<float>& keys,
                                          const RowsView<float>& values, const I8HeadLayout& layout,
                                          const I8HeadRows& to) {
  const size_t columns = layout.columns();
  for (size_t r = 0; r < keys.count; ++r) {
    uint8_t* row = to.bytes + r * to.stride;
    to.factors[2 * r] = PackHeadsOfRow(keys.row(r), layout, row);
    to.factors[2 * r + 1] = PackHeadsOfRow(values.row(r), layout, row + columns);
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(PackHeadsI8OfTarget);
HWY_EXPORT(PackHeadQueriesI8OfTarget);
HWY_EXPORT(AttendHeadsI8OfTarget);

namespace {

bool IsI8Layout(const I8HeadLayout& layout) {
  return layout.heads >= 1 && layout.heads <= kMaxRankedRows && layout.part >= 1 &&
         layout.part <= kI8MaxPart;
}

}  // namespace

void PackHeadsI8(const RowsView<float>& keys, const RowsView<float>& values,
                 const I8HeadLayout& layout, const I8HeadRows& to) {
  ETA_SIMD_REQUIRE(IsI8Layout(layout) && to.stride >= layout.row_bytes());
  ETA_SIMD_REQUIRE(AreRows(keys) && AreRows(values) && keys.count == values.count);
  ETA_SIMD_REQUIRE(keys.width == layout.dim() && values.width == layout.dim());
  HWY_DYNAMIC_DISPATCH(PackHeadsI8OfTarget)(keys, values, layout, to);
}

void PackHeadQueriesI8(const RowsView<float>& queries, const I8HeadLayout& layout,
                       const I8HeadQueryRows& to) {
  ETA_SIMD_REQUIRE(IsI8Layout(layout) && to.stride >= layout.columns());
  ETA_SIMD_REQUIRE(AreRows(queries) && queries.width == layout.dim());
  HWY_DYNAMIC_DISPATCH(PackHeadQueriesI8OfTarget)(queries, layout, to);
}

size_t AttendHeadsI8ScratchBytes(const I8HeadLayout& layout, size_t max_count) {
  if (max_count > kMaxRankedRows || !IsI8Layout(layout)) return kNoScratch;
  const size_t bytes = HeadsI8Scratch::Bytes(layout, max_count);
  return bytes == kNoScratch ? kNoScratch : kCacheLineBytes + bytes;
}

void AttendHeadsI8(const ChosenI8Rows& rows, const I8HeadLayout& layout,
                   const I8HeadQueries& queries, ScratchView scratch,
                   const OutputRows<float>& out) {
  ETA_SIMD_REQUIRE(IsI8Layout(layout) && AreRows(rows.table) &&
                   rows.table.width == layout.row_bytes());
  ETA_SIMD_REQUIRE(AreRows(queries.table) && queries.table.width == layout.columns() &&
                   AreIds({queries.ids, queries.count}, queries.table.count));
  ETA_SIMD_REQUIRE(AreIds(rows.list, rows.table.count));
  ETA_SIMD_REQUIRE(AreChosen(
      {{nullptr, rows.list.count, 1, 1}, rows.positions, rows.counts, rows.positions_stride},
      queries.count));
  ETA_SIMD_REQUIRE(scratch.bytes >=
                   AttendHeadsI8ScratchBytes(layout, LargestCount(rows.counts, queries.count)));
  HWY_DYNAMIC_DISPATCH(AttendHeadsI8OfTarget)
  (rows, layout, queries, AlignUp(scratch.data, kCacheLineBytes), out);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
