// SPDX-License-Identifier: Apache-2.0
#include "simd/attention_heads_i8.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/attention_heads_i8.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/exp-inl.h"
#include "simd/internal/i8_rows-inl.h"

#ifndef ETA_SIMD_ATTENTION_HEADS_I8_TYPES_
#define ETA_SIMD_ATTENTION_HEADS_I8_TYPES_
namespace eta::simd {
namespace {

constexpr size_t kI8RowsScored = 4;     // rows whose sums fill a block of 4 lanes
constexpr size_t kI8BlockColumns = 16;  // bytes of the smallest vector
constexpr float kI8QuerySteps = 32512;  // 127 * 256: its upper and its lower digit fit int8_t

constexpr size_t RoundedI8Rows(size_t n) { return RoundUp(n, kI8RowsScored); }

// The scratch of one query with n rows, on to a multiple of kI8RowsScored: rows past the end are
// the last one again, with weight 0.
struct HeadsI8Scratch {
  HeadsI8Scratch(void* aligned, const I8HeadLayout& layout, size_t n)
      : count(n),
        lanes(Lanes(layout)),
        weights(static_cast<float*>(aligned)),
        key_factors(weights + RoundedI8Rows(n) / kI8RowsScored * lanes),
        value_factors(key_factors + RoundUp(n, 16)),
        query_factors(value_factors + RoundUp(n, 16)),
        factors(query_factors + lanes),
        floats(factors + lanes),
        digits(static_cast<void*>(floats + layout.columns())),
        sums(static_cast<int32_t*>(digits) + layout.columns() / 2),
        rows(static_cast<const uint8_t**>(static_cast<void*>(sums + layout.columns() / 4))) {}

  static size_t Bytes(const I8HeadLayout& layout, size_t n) {
    const size_t weights = SaturatingProduct(RoundedI8Rows(n), Lanes(layout));  // 4 bytes, 4 rows
    const size_t row_bytes = RoundUp(n, 16) * (2 * sizeof(float) + sizeof(const uint8_t*));
    const size_t others = 2 * Lanes(layout) * sizeof(float) + layout.columns() * 7;
    return weights >= SIZE_MAX - row_bytes - others ? kNoScratch : weights + row_bytes + others;
  }

  // Lanes that four rows' weights of all heads take.
  static size_t Lanes(const I8HeadLayout& layout) {
    return RoundUp(layout.heads, 4) * kI8RowsScored;
  }

  size_t count;        // n
  size_t lanes;        // Lanes()
  float* weights;      // scores first; of four rows for each head, for each four rows
  float* key_factors;  // of the rows, as the next
  float* value_factors;
  float* query_factors;  // in the lanes of a head, as the next
  float* factors;        // 1 / sum of the weights
  float* floats;         // a query, then its sums of values, with padded heads
  void* digits;          // the query's 16-bit integers, in the form of the target
  int32_t* sums;         // of blocks of four rows, where a head has more than one block
  const uint8_t** rows;  // the chosen rows
};

float FactorOf(const uint8_t* row, const I8HeadLayout& layout, size_t which) {
  float factor;
  std::memcpy(&factor, row + 2 * layout.columns() + which * sizeof(float), sizeof(float));
  return factor;
}

}  // namespace
}  // namespace eta::simd
#endif  // ETA_SIMD_ATTENTION_HEADS_I8_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Rounds a head's floats, whole vectors, to integers of up to kI8QuerySteps. Returns their factor.
HWY_INLINE float RoundHead(const float* x, size_t c, size_t padded_part, size_t columns,
                           void* digits) {
  const I8HeadTag d;
  const RowScale scale(LargestOfRow<false>(x + c, padded_part), kI8QuerySteps);
  for (size_t i = c; i < c + padded_part; i += hn::Lanes(d)) {
    const auto v = scale.is_zero() ? hn::Zero(d) : hn::LoadU(d, x + i);
    StoreDigits(RoundTo32Bits(d, v, hn::Set(d, scale.factor)), i, columns, digits);
  }
  return scale.scale;
}

HWY_INLINE void PrepareHeadsQuery(const HeadsI8Scratch& scratch, const I8HeadLayout& layout,
                                  const float* query) {
  const I8HeadTag d;
  const size_t part = layout.part, padded_part = layout.padded_part(), columns = layout.columns();
  std::fill_n(scratch.floats, columns, 0.0f);
  for (size_t h = 0; h < layout.heads; ++h) {
    std::memcpy(scratch.floats + h * padded_part, query + h * part, part * sizeof(float));
  }
  std::fill_n(scratch.query_factors, scratch.lanes, 0.0f);
  for (size_t h = 0; h < layout.heads; ++h) {
    const float factor =
        RoundHead(scratch.floats, h * padded_part, padded_part, columns, scratch.digits);
    std::fill_n(scratch.query_factors + h * kI8RowsScored, kI8RowsScored, factor);
  }
  for (size_t c = layout.heads * padded_part; c < columns; c += hn::Lanes(d)) {
    StoreDigits(hn::Zero(I8HeadSumTag()), c, columns, scratch.digits);
  }
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
    const QueryChunk q = LoadQuery(scratch.digits, c, columns);
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
      const QueryChunk q = LoadQuery(scratch.digits, c, columns);
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

// Turns the scores into the numerators of their head's softmax, times the rows' factors of values
// and cut to 16 significant bits; those of rows past the end become 0.
HWY_INLINE void WeighI8Rows(const HeadsI8Scratch& scratch) {
  const I8HeadTag d;
  const hn::RebindToUnsigned<I8HeadTag> du;
  const size_t lanes = scratch.lanes;
  float* const end = scratch.weights + RoundedI8Rows(scratch.count) / kI8RowsScored * lanes;
  for (size_t r = scratch.count; r < RoundedI8Rows(scratch.count); ++r) {
    for (float* at = end - lanes + r % kI8RowsScored; at < end; at += kI8RowsScored) {
      *at = -HUGE_VALF;
    }
  }
  const auto cut = hn::Set(du, 0xFFFFFF00u);
  for (size_t lane = 0; lane < lanes; lane += hn::Lanes(d)) {
    auto largest = hn::LoadU(d, scratch.weights + lane);
    for (const float* at = scratch.weights + lane + lanes; at < end; at += lanes) {
      largest = hn::Max(largest, hn::LoadU(d, at));
    }
    largest = ReduceWithinBlocks(largest, [](auto a, auto b) HWY_ATTR { return hn::Max(a, b); });
    auto sum = hn::Zero(d);
    const float* factors = scratch.value_factors;
    for (float* at = scratch.weights + lane; at < end; at += lanes, factors += kI8RowsScored) {
      const auto e = FastExp<true>(d, hn::Sub(hn::LoadU(d, at), largest));
      sum = hn::Add(sum, e);
      const auto weight = hn::BitCast(du, hn::Mul(e, hn::LoadDup128(d, factors)));
      hn::StoreU(hn::BitCast(d, hn::And(weight, cut)), d, at);
    }
    sum = ReduceWithinBlocks(sum, [](auto a, auto b) HWY_ATTR { return hn::Add(a, b); });
    hn::StoreU(hn::Div(hn::Set(d, 1.0f), sum), d, scratch.factors + lane);
  }
}

// The values of a row at `bytes`.
HWY_INLINE I8HeadVector LoadValues(const uint8_t* bytes) {
  const hn::Rebind<int8_t, I8HeadTag> d8;
  const auto values = hn::LoadU(d8, reinterpret_cast<const int8_t*>(bytes));
  return hn::ConvertTo(I8HeadTag(), hn::PromoteTo(I8HeadSumTag(), values));
}

// The weighted sums of columns [first, first + kVectors * lanes) of the rows' values. Products are
// exact: 16 by 7 bits.
template <size_t kVectors>
HWY_INLINE void SumI8Values(const HeadsI8Scratch& scratch, const I8HeadLayout& layout, size_t first,
                            float* out) {
  const I8HeadTag d;
  const size_t N = hn::Lanes(d), padded_part = layout.padded_part();
  const auto lane_of = [=](size_t i) { return (first + i * N) / padded_part * kI8RowsScored; };
  const size_t h0 = lane_of(0), h1 = lane_of(1), h2 = lane_of(2), h3 = lane_of(3);
  // Two sums of each column, of even and of odd rows: one would wait for itself.
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
  auto b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  const float* weights = scratch.weights;
  for (size_t j = 0; j < scratch.count; j += 2) {
    const uint8_t* even = scratch.rows[j] + layout.columns() + first;
    const uint8_t* odd = scratch.rows[j + 1] + layout.columns() + first;
    a0 = hn::MulAdd(hn::Set(d, weights[h0]), LoadValues(even), a0);
    b0 = hn::MulAdd(hn::Set(d, weights[h0 + 1]), LoadValues(odd), b0);
    if constexpr (kVectors == 4) {
      a1 = hn::MulAdd(hn::Set(d, weights[h1]), LoadValues(even + N), a1);
      b1 = hn::MulAdd(hn::Set(d, weights[h1 + 1]), LoadValues(odd + N), b1);
      a2 = hn::MulAdd(hn::Set(d, weights[h2]), LoadValues(even + 2 * N), a2);
      b2 = hn::MulAdd(hn::Set(d, weights[h2 + 1]), LoadValues(odd + 2 * N), b2);
      a3 = hn::MulAdd(hn::Set(d, weights[h3]), LoadValues(even + 3 * N), a3);
      b3 = hn::MulAdd(hn::Set(d, weights[h3 + 1]), LoadValues(odd + 3 * N), b3);
    }
    weights += j % kI8RowsScored == 0 ? 2 : scratch.lanes - 2;
  }
  const float* factors = scratch.factors;
  hn::StoreU(hn::Mul(hn::Add(a0, b0), hn::Set(d, factors[h0])), d, out);
  if constexpr (kVectors == 4) {
    hn::StoreU(hn::Mul(hn::Add(a1, b1), hn::Set(d, factors[h1])), d, out + N);
    hn::StoreU(hn::Mul(hn::Add(a2, b2), hn::Set(d, factors[h2])), d, out + 2 * N);
    hn::StoreU(hn::Mul(hn::Add(a3, b3), hn::Set(d, factors[h3])), d, out + 3 * N);
  }
}

HWY_INLINE void SumAllI8Values(const HeadsI8Scratch& scratch, const I8HeadLayout& layout,
                               float* out) {
  const size_t N = hn::Lanes(I8HeadTag()), padded_part = layout.padded_part();
  const size_t width = layout.heads * padded_part;
  float* const to = layout.part == padded_part ? out : scratch.floats;
  size_t c = 0;
  for (; c + 4 * N <= width; c += 4 * N) SumI8Values<4>(scratch, layout, c, to + c);
  for (; c < width; c += N) SumI8Values<1>(scratch, layout, c, to + c);
  if (to == out) return;
  for (size_t h = 0; h < layout.heads; ++h) {
    std::memcpy(out + h * layout.part, to + h * padded_part, layout.part * sizeof(float));
  }
}

HWY_MAYBE_UNUSED ETA_SIMD_VNNI_ATTR void AttendHeadsI8OfTarget(const ChosenI8Rows& rows,
                                                               const I8HeadLayout& of_caller,
                                                               const Queries<float>& queries,
                                                               void* aligned_scratch,
                                                               const OutputRows<float>& out) {
  // Copies, because a store of a row's address may alias what is in the arguments.
  const RowsView<uint8_t> table = rows.table;
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
      const uint8_t* row = table.row(static_cast<size_t>(ids[HWY_MIN(j, n - 1)]));
      scratch.rows[j] = row;
      scratch.key_factors[j] = FactorOf(row, layout, 0);
      scratch.value_factors[j] = FactorOf(row, layout, 1);
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
                                          uint8_t* table, size_t stride) {
  const size_t columns = layout.columns();
  for (size_t r = 0; r < keys.count; ++r) {
    uint8_t* row = table + r * stride;
    const float factors[2] = {PackHeadsOfRow(keys.row(r), layout, row),
                              PackHeadsOfRow(values.row(r), layout, row + columns)};
    std::memcpy(row + 2 * columns, factors, sizeof(factors));
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
                 const I8HeadLayout& layout, uint8_t* table, size_t stride) {
  ETA_SIMD_REQUIRE(IsI8Layout(layout) && stride >= layout.row_bytes());
  ETA_SIMD_REQUIRE(AreRows(keys) && AreRows(values) && keys.count == values.count);
  ETA_SIMD_REQUIRE(keys.width == layout.dim() && values.width == layout.dim());
  HWY_DYNAMIC_DISPATCH(PackHeadsI8OfTarget)(keys, values, layout, table, stride);
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
