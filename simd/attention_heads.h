// SPDX-License-Identifier: Apache-2.0
// Multi-head target attention (ETA, arXiv 2108.04468, section 3.1) over rows chosen for each query
// from a table of keys and values. Use it when keys and values depend on the item alone, so that a
// table of them serves all requests: a row costs 2 * dim multiply-adds, where AttendRows
// (simd/attention_rows.h), which needs no such table, takes 2 * heads * dim. Where all queries
// attend to the same rows, use AttendAll (simd/attention_all.h).
#pragma once

#include <cstddef>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Where the components of the heads lie in a row. Four heads are interleaved, component 0 of each,
// then component 1 of each, and so on, so that one multiplication of vectors serves four heads and
// a score is a sum of vectors, then of whole blocks of 4 lanes. Four heads of up to 4 components
// fill at least 16 floats, the largest vector: heads are padded to a multiple of 4, and so are
// components.
struct HeadLayout {
  size_t heads;
  size_t part;  // components of a head

  // Floats of four interleaved heads.
  constexpr size_t group() const { return (part + 3) / 4 * 4 * 4; }
  // Floats of a row.
  constexpr size_t columns() const { return (heads + 3) / 4 * group(); }
  // The column of component i of a head.
  constexpr size_t column(size_t head, size_t i) const {
    return head / 4 * group() + i * 4 + head % 4;
  }
};

// Bytes of scratch for AttendHeads where no count is above max_count. Any alignment.
ETA_SIMD_API size_t AttendHeadsScratchBytes(size_t max_count);

// For each query b and head h, over the rows chosen for query b:
//   out row b, column(h, i) = sum_j a_j value_j[column(h, i)], a = softmax_j(q_h . key_jh),
// all 0 where rows.counts[b] is 0. Queries, and the rows of `out`, have layout.columns() floats; a
// row of the table has as many keys and then as many values. Results agree across targets within
// rounding.
// Preconditions: layout.heads, layout.part >= 1; rows.table.width is 2 * layout.columns(); columns
// that belong to no head are 0 in keys and values, and become 0 in `out`; counts >= 0; every id
// names a row of the table; all values are finite; strides >= the widths; `out` overlaps nothing
// that is read. Any alignment.
ETA_SIMD_API void AttendHeads(const ChosenRows& rows, const HeadLayout& layout,
                              const Queries<float>& queries, ScratchView scratch,
                              const OutputRows<float>& out);

}  // namespace eta::simd
