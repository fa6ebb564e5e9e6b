// SPDX-License-Identifier: Apache-2.0
// Rescoring a shortlist in int8: simd/rerank.h's DotRows on rows quantised by QuantizeI8
// (simd/dot_i8.h), a quarter of the bytes to fetch from a table. RerankTopK then selects.
#pragma once

#include "simd/dot_i8.h"
#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// scores[i] = (float(sum_d query.values[d] * row[d]) * scale of the row) * query.scale for
// i < ids.count, row = table.row(ids[i]). The sum is exact; it is rounded to float32, and so is
// each of the two products, in this order: the same bits on every target, and those of DotI8Scores.
// Reads table.width values of the query and of each row, no more, and writes ids.count scores.
// Preconditions: 1 <= table.width <= kI8MaxDim; no overlap. No alignment is required.
ETA_SIMD_API void DotI8Rows(const I8RowsView& table, IdsView ids, const I8Query& query,
                            float* scores);

}  // namespace eta::simd
