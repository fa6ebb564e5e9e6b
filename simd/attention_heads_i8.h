// SPDX-License-Identifier: Apache-2.0
// Multi-head target attention over rows chosen for each query (simd/attention_heads.h) from a table
// in eight bits: keys and values take a quarter of the bytes, so more of them stay in a cache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// The most components of a head. Sums of more products would fit 31 bits; no model asks for them.
inline constexpr size_t kI8MaxPart = 256;

// Where the components of the heads lie in the bytes of a row: a head's side by side, filled with
// zeros to a multiple of 16, the bytes of the smallest vector, and the heads to one of 64, those of
// the largest.
struct I8HeadLayout {
  size_t heads;
  size_t part;  // components of a head, 1 to kI8MaxPart

  // Components of all heads: the width of a query, and of a row of keys or values, in floats.
  constexpr size_t dim() const { return heads * part; }
  // Bytes of a head's keys or values.
  constexpr size_t padded_part() const { return (part + 15) / 16 * 16; }
  // Bytes of a row's keys or values.
  constexpr size_t columns() const { return (heads * padded_part() + 63) / 64 * 64; }
  // Bytes of a row: keys, then values.
  constexpr size_t row_bytes() const { return 2 * columns(); }
};

// Rows that PackHeadsI8 writes: row r at bytes + r * stride, the factors of its keys and of its
// values at factors[2 * r] and [2 * r + 1]. These are apart, because rows then lie in whole cache
// lines.
struct I8HeadRows {
  uint8_t* bytes;
  float* factors;
  size_t stride;
};

// Rows of a table of PackHeadsI8, chosen for each query from a list, as behaviours are from a
// history: those of query q are table rows list.data[positions_of(q)[j]] for j < counts[q].
// Positions past a query's count are not read.
struct ChosenI8Rows {
  RowsView<uint8_t> table;
  const float* factors;  // two a row
  IdsView list;
  const int32_t* positions;
  const int32_t* counts;
  size_t positions_stride;

  // The counts[q] positions of query q.
  const int32_t* positions_of(size_t q) const { return positions + q * positions_stride; }
};

// Queries that PackHeadQueriesI8 writes: row r at bytes + r * stride, the factors of its heads from
// factors[r * layout.heads] on.
struct I8HeadQueryRows {
  int8_t* bytes;
  float* factors;
  size_t stride;
};

// Rows of a table of PackHeadQueriesI8, of which query q is row ids[q].
struct I8HeadQueries {
  RowsView<int8_t> table;
  const float* factors;  // layout.heads a row
  const int32_t* ids;
  size_t count;
};

// Quantises keys and values, rows of layout.dim() floats with the components of a head side by
// side, to rows of layout.row_bytes() bytes. Keys and values have a factor each per row, m / 127
// with m = max |x|, and are x * (127 / m), rounded as by QuantizeU8 (simd/linear_i8.h): the factor
// is 0 where m is below 2^-100, NaN where one of them is NaN or infinite, and the values are then
// 0. The same bits on every target. Preconditions: keys and values have the same count and the
// width layout.dim(); 1 <= layout.part <= kI8MaxPart; layout.heads >= 1; to.stride >=
// layout.row_bytes(); no overlap. Any alignment; 64 bytes, of the stride too, is fastest.
ETA_SIMD_API void PackHeadsI8(const RowsView<float>& keys, const RowsView<float>& values,
                              const I8HeadLayout& layout, const I8HeadRows& to);

// Quantises queries, rows of layout.dim() floats, to rows of layout.columns() bytes, rounded as
// keys are but with a factor for each head, which is kept times log2(e), because scores become
// exponents of 2. Preconditions: queries.width is layout.dim(); the layout's as of PackHeadsI8;
// to.stride >= layout.columns(); no overlap. Any alignment; 64 bytes, of the stride too, is
// fastest.
ETA_SIMD_API void PackHeadQueriesI8(const RowsView<float>& queries, const I8HeadLayout& layout,
                                    const I8HeadQueryRows& to);

// Bytes of scratch for AttendHeadsI8 where no count is above max_count. Any alignment.
ETA_SIMD_API size_t AttendHeadsI8ScratchBytes(const I8HeadLayout& layout, size_t max_count);

// For each query b and head h, over the rows chosen for query b, with the rows' values and keys as
// the table has them:
//   out row b, columns [h * part, (h + 1) * part) = sum_j a_j value_hj, a = softmax_j(q_h .
//   key_hj),
// all 0 where rows.counts[b] is 0. Rows of `out` have layout.dim() floats. Products of a head of a
// query with keys are summed exactly; softmax is in float32, of powers of 2 with an error of 3e-6.
// A numerator, times the row's factor of values, is rounded to 15 bits below the largest such
// factor of the query's rows, and products with values are summed exactly, 512 rows at a time. The
// same bits on every target. A head becomes NaN where it, or a row that it attends to, has a factor
// NaN. Preconditions: as of PackHeadsI8 for the layout; rows.table.width is layout.row_bytes(),
// that of queries.table layout.columns(); counts >= 0; every id names a row of its table, every
// position one of the list; strides >= the widths; `out` overlaps nothing that is read. Any
// alignment.
ETA_SIMD_API void AttendHeadsI8(const ChosenI8Rows& rows, const I8HeadLayout& layout,
                                const I8HeadQueries& queries, ScratchView scratch,
                                const OutputRows<float>& out);

}  // namespace eta::simd
