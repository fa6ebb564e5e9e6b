// SPDX-License-Identifier: Apache-2.0
// Multi-head target attention over chosen rows of a table of keys and values: where these depend on
// the item alone, they are computed once for all requests, and a row costs 2 dim multiply-adds
// instead of the 2 heads dim of AttendRows (simd/attention.h), which reads raw rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/attention.h"

namespace eta::simd {

// Keys, values, queries and results have the components of four heads side by side: component i of
// head h is at HeadColumn(h, i, part), of HeadColumns(heads, part) floats. A vector times a vector
// then holds products of all heads, and scores need no sums across lanes of different components
// but those of whole blocks. Components that no head has must be 0 in keys and values.
size_t HeadColumns(size_t heads, size_t part);
size_t HeadColumn(size_t head, size_t i, size_t part);

// Bytes of scratch for AttendHeads where no count is above max_count. Any alignment.
size_t AttendHeadsScratchBytes(size_t max_count);

// For query b and head h, with q = queries + b * query_stride and rows of `rows`, of which each has
// HeadColumns keys and then as many values (rows.dim is twice HeadColumns):
// out_b[HeadColumn(h, i)] = sum_j a_j value_j[HeadColumn(h, i)], a = softmax_j(q_h . key_jh). All 0
// where counts[b] is 0. Writes HeadColumns floats of each query. Results agree across targets
// within rounding. Values must be finite.
// Preconditions: heads, part >= 1; counts >= 0; every id names a row; strides as wide as rows.
void AttendHeads(const ChosenRows& rows, size_t heads, size_t part, const float* queries,
                 size_t num_queries, size_t query_stride, void* scratch, float* out,
                 size_t out_stride);

}  // namespace eta::simd
