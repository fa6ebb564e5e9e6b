// SPDX-License-Identifier: Apache-2.0
// Multi-head target attention (ETA, arXiv 2108.04468, section 3.1) over raw rows chosen for each
// query. Use it when keys and values of the items are not kept in a table. Where they are,
// AttendHeads (simd/attention_heads.h) does 1 / heads of the work; where all queries attend to the
// same rows, AttendAll (simd/attention_all.h) computes keys and values once for all of them.
#pragma once

#include <cstddef>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Bytes of scratch for AttendRows where no count is above max_count and rows have `dim` floats. Any
// alignment.
ETA_SIMD_API size_t AttendRowsScratchBytes(size_t max_count, size_t dim, size_t heads);

// Weighted sums of the rows of each query and head. Keys are not computed: query b * heads + h, of
// rows.table.width floats, is head h of candidate b multiplied by the transposed key matrix of the
// head (q_h key[:, h]^T), so that its score with a row is their inner product. Values are not
// computed either: multiply the sums by value[:, h] afterwards. With a = softmax_j(query . row_j)
// over the rows chosen for candidate b,
//   sums row b * heads + h = sum_j a_j row_j, all 0 where rows.counts[b] is 0.
// queries.count is a multiple of `heads`. `rows` has one selection per candidate, not per query.
// Each row is fetched from the table once, for all heads and both products. Results agree across
// targets within rounding.
// Preconditions: rows.table.width, heads >= 1; counts >= 0; every id names a row of the table; all
// values are finite; strides >= rows.table.width; `sums` overlaps nothing that is read. Any
// alignment.
ETA_SIMD_API void AttendRows(const ChosenRows& rows, size_t heads, const Queries<float>& queries,
                             ScratchView scratch, const OutputRows<float>& sums);

}  // namespace eta::simd
