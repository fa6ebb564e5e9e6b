// SPDX-License-Identifier: Apache-2.0
// Multi-head target attention (ETA, arXiv 2108.04468, section 3.1) of all queries to the same rows.
// Use it for a history that all candidates share: its keys and values are computed once. Where
// each query has rows of its own, AttendHeads (simd/attention_heads.h) reads their keys and values
// from a table, and AttendRows (simd/attention_rows.h) takes raw rows.
#pragma once

#include <cstddef>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Keys and values of `count` rows, packed as in simd/linear.h: head h's keys are a part x count
// matrix at keys + h * PackedLinearSize(part, count), its values a count x part matrix at
// values + h * PackedLinearSize(count, part). `part` is the number of components of a head.
struct ProjectedRows {
  const float* keys;
  const float* values;
  size_t count;
  size_t heads;
  size_t part;
};

// Packs keys and values, each `count` rows of heads * part floats with the components of a head
// side by side, for ProjectedRows. Writes heads * PackedLinearSize(part, count) floats of keys and
// heads * PackedLinearSize(count, part) of values. Preconditions: keys and values have the same
// shape; their width is a multiple of heads >= 1; no overlap. Any alignment.
ETA_SIMD_API void PackProjectedRows(const RowsView<float>& keys, const RowsView<float>& values,
                                    size_t heads, float* packed_keys, float* packed_values);

// Bytes of scratch for AttendAll over `count` rows. Any alignment.
ETA_SIMD_API size_t AttendAllScratchBytes(size_t count);

// For query b, of rows.heads * rows.part floats, and each head h:
//   out row b, columns [h * part, (h + 1) * part) = sum_l a_l value_hl, a = softmax_l(q_h .
//   key_hl),
// all 0 where rows.count is 0. Results agree across targets within rounding.
// Preconditions: rows.heads, rows.part >= 1; all values are finite; strides >= heads * part; `out`
// overlaps nothing that is read. Any alignment.
ETA_SIMD_API void AttendAll(const ProjectedRows& rows, const Queries<float>& queries,
                            ScratchView scratch, const OutputRows<float>& out);

}  // namespace eta::simd
