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

// Rounds a head's floats, whole vectors, to integers of up to 127. Returns their factor.
HWY_INLINE float RoundHead(const float* x, size_t padded_part, I8HeadElement* to) {
  const I8HeadTag d;
  const RowScale scale(LargestOfRow<false>(x, padded_part), 127.0f);
  for (size_t i = 0; i < padded_part; i += hn::Lanes(d)) {
    const auto v = scale.is_zero() ? hn::Zero(d) : hn::LoadU(d, x + i);
    StoreQuery(RoundTo32Bits(d, v, hn::Set(d, scale.factor)), to + i);
  }
  return scale.scale;
}

// Scores become powers of 2, so that log2(e) is in the factors.
HWY_INLINE void PrepareHeadsQuery(const HeadsI8Scratch& scratch, const I8HeadLayout& layout,
                                  const float* query) {
  const size_t part = layout.part, padded_part = layout.padded_part(), columns = layout.columns();
  const size_t lanes = layout.heads * kI8RowsScored, width = layout.heads * padded_part;
  auto* integers = static_cast<I8HeadElement*>(scratch.query);
  std::fill_n(scratch.query_factors + lanes, scratch.lanes - lanes, 0.0f);
  for (size_t h = 0; h < layout.heads; ++h) {
    const float* x = query + h * part;
    if (part != padded_part) {
      std::memcpy(scratch.floats, x, part * sizeof(float));
      std::fill_n(scratch.floats + part, padded_part - part, 0.0f);
      x = scratch.floats;
    }
    const float factor = RoundHead(x, padded_part, integers + h * padded_part) * kLog2OfE;
    std::fill_n(scratch.query_factors + h * kI8RowsScored, kI8RowsScored, factor);
  }
  std::fill(integers + width, integers + columns, I8HeadElement{0});
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
ETA_SIMD_VNNI_ATTR HWY_INLINE void ScoreBlocks(const HeadsI8Scratch& scratch, size_t columns) {
  const I8HeadTag d;
  for (size_t c = 0; c < columns; c += 4 * hn::Lanes(d)) {
    const QueryChunk q = LoadQuery(static_cast<const I8HeadElement*>(scratch.query) + c);
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
                                               const I8HeadLayout& layout) {
  const I8HeadSumTag d32;
  const size_t columns = layout.columns();
  if (layout.padded_part() == kI8BlockColumns) return ScoreBlocks(scratch, columns);
  float* scores = scratch.weights;
  for (size_t j = 0; j < scratch.count; j += kI8RowsScored, scores += scratch.lanes) {
    for (size_t c = 0; c < columns; c += 4 * hn::Lanes(d32)) {
      const QueryChunk q = LoadQuery(static_cast<const I8HeadElement*>(scratch.query) + c);
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

// Weights of four rows, not negative, from lane on.
HWY_INLINE void StoreWeights(I8HeadSums weights, size_t lane, size_t lanes, uint8_t* digits) {
#if ETA_SIMD_HAS_VNNI
  auto* low = reinterpret_cast<__m128i*>(digits + lane);
  auto* high = reinterpret_cast<__m128i*>(digits + lanes + lane);
  _mm_storeu_si128(low, _mm512_cvtepi32_epi8(weights.raw));
  _mm_storeu_si128(high, _mm512_cvtepi32_epi8(_mm512_srli_epi32(weights.raw, 8)));
#else
  (void)lanes;
  StoreQuery(weights, reinterpret_cast<int16_t*>(digits) + lane);
#endif
}

// Scales the rows' factors of values to at most kI8WeightSteps. Returns the inverse of the scale.
HWY_INLINE float ScaleValueFactors(const HeadsI8Scratch& scratch) {
  const I8HeadTag d;
  const size_t count = RoundUp(scratch.count, 16);
  std::fill_n(scratch.value_factors + scratch.count, count - scratch.count, 0.0f);
  const RowScale scale(LargestOfRow<false>(scratch.value_factors, count), kI8WeightSteps);
  for (float* at = scratch.value_factors; at < scratch.value_factors + count; at += hn::Lanes(d)) {
    hn::StoreU(hn::Mul(hn::LoadU(d, at), hn::Set(d, scale.factor)), d, at);
  }
  return scale.scale;
}

// Turns the scores into the numerators of their head's softmax, and these, times the rows' factors
// of values, into integers; those of rows past the end are 0.
HWY_INLINE void WeighI8Rows(const HeadsI8Scratch& scratch) {
  const I8HeadTag d;
  const float value_factor = ScaleValueFactors(scratch);
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
    uint8_t* digits = scratch.weight_digits;
    for (const float* at = scratch.weights + lane; at < end; at += lanes) {
      const auto e = Exp2OfNegative(d, hn::Sub(hn::LoadU(d, at), largest));
      sum = hn::Add(sum, e);
      StoreWeights(RoundTo32Bits(d, e, hn::LoadDup128(d, factors)), lane, lanes, digits);
      factors += kI8RowsScored;
      digits += 2 * lanes;
    }
    sum = ReduceWithinBlocks(sum, [](auto a, auto b) HWY_ATTR { return hn::Add(a, b); });
    hn::StoreU(hn::Div(hn::Set(d, value_factor), sum), d, scratch.factors + lane);
  }
}

HWY_MAYBE_UNUSED ETA_SIMD_VNNI_ATTR void AttendHeadsI8OfTarget(const ChosenI8Rows& rows,
                                                               const I8HeadLayout& of_caller,
                                                               const Queries<float>& queries,
                                                               void* aligned_scratch,
                                                               const OutputRows<float>& out) {
  // Copies, because a store of a row's address may alias what is in the arguments.
  const RowsView<uint8_t> table = rows.table;
  const float* factors = rows.factors;
  const I8HeadLayout layout = of_caller;
  for (size_t b = 0; b < queries.count; ++b) {
    const auto n = static_cast<size_t>(rows.counts[b]);
    if (n == 0) {
      std::fill_n(out.row(b), layout.dim(), 0.0f);
      continue;
    }
    const HeadsI8Scratch scratch(aligned_scratch, layout, n);
    const int32_t* ids = rows.ids_of(b);
    for (size_t j = 0; j < RoundedI8Rows(n); ++j) {
      const auto row = static_cast<size_t>(ids[HWY_MIN(j, n - 1)]);
      scratch.rows[j] = table.row(row);
      // Rows in memory take 1.4 times the time without it (Zen 4, 2026-11): their factors lie
      // elsewhere, so that nothing else asks for them before their scores are due.
      hwy::Prefetch(scratch.rows[j]);
      scratch.key_factors[j] = factors[2 * row];
      scratch.value_factors[j] = factors[2 * row + 1];
    }
    PrepareHeadsQuery(scratch, layout, queries.query(b));
    ScoreI8Rows(scratch, layout);
    WeighI8Rows(scratch);
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

size_t AttendHeadsI8ScratchBytes(const I8HeadLayout& layout, size_t max_count) {
  if (max_count > kMaxRankedRows || !IsI8Layout(layout)) return kNoScratch;
  const size_t bytes = HeadsI8Scratch::Bytes(layout, max_count);
  return bytes == kNoScratch ? kNoScratch : kCacheLineBytes + bytes;
}

void AttendHeadsI8(const ChosenI8Rows& rows, const I8HeadLayout& layout,
                   const Queries<float>& queries, ScratchView scratch,
                   const OutputRows<float>& out) {
  ETA_SIMD_REQUIRE(IsI8Layout(layout) && AreRows(rows.table) &&
                   rows.table.width == layout.row_bytes());
  ETA_SIMD_REQUIRE(AreChosen(
      {{nullptr, rows.table.count, 1, 1}, rows.ids, rows.counts, rows.ids_stride}, queries.count));
  ETA_SIMD_REQUIRE(scratch.bytes >=
                   AttendHeadsI8ScratchBytes(layout, LargestCount(rows.counts, queries.count)));
  HWY_DYNAMIC_DISPATCH(AttendHeadsI8OfTarget)
  (rows, layout, queries, AlignUp(scratch.data, kCacheLineBytes), out);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
