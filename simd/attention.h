// SPDX-License-Identifier: Apache-2.0
// Multi-head target attention (ETA, arXiv 2108.04468, section 3.1), in two forms. With head h
// owning `part` columns of the projections, scores q_h . k_hl and out_h = sum_l softmax_l(scores)
// v_hl:
//
// AttendRows: each query has rows of its own, chosen from a table. Keys and values are not
// computed: the query comes folded through the key matrix (q_h key[:, h]^T), so that a score is its
// product with the raw row, and the sum is of raw rows, to be multiplied by value[:, h] afterwards.
// A row is fetched once from the table, for both.
//
// AttendAll: all queries attend to the same n rows, whose keys and values were computed once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/linear.h"

namespace eta::simd {

// Rows chosen for each query: query b attends to row ids[b * ids_stride + j] of `table` for
// j < counts[b]. Row i is at table + i * stride and has dim floats.
struct ChosenRows {
  const float* table;
  size_t dim;
  size_t stride;
  const int32_t* ids;
  const int32_t* counts;
  size_t ids_stride;
};

// Bytes of scratch for AttendRows where no count is above max_count. Any alignment.
size_t AttendRowsScratchBytes(size_t max_count, size_t dim, size_t heads);

// For query b and head h, with q = queries + (b * heads + h) * query_stride (dim floats):
// sums[(b * heads + h) * sum_stride + d] = sum_j a_j row_j[d], a = softmax_j(q . row_j). All 0
// where counts[b] is 0. Results agree across targets within rounding. Values must be finite.
// Preconditions: dim, heads >= 1; counts >= 0; every id names a row; strides >= dim.
void AttendRows(const ChosenRows& rows, const float* queries, size_t num_queries, size_t heads,
                size_t query_stride, void* scratch, float* sums, size_t sum_stride);

// Keys and values of n rows, n >= 0. Head h's keys are the packed matrix (simd/linear.h) of
// part x n at keys + h * PackedLinearSize(part, n), and its values that of n x part at
// values + h * PackedLinearSize(n, part).
struct ProjectedRows {
  const float* keys;
  const float* values;
  size_t n;
  size_t heads;
  size_t part;
};

// Packs the keys and values that are given as n rows of heads * part floats.
void PackProjectedRows(const float* keys, const float* values, size_t n, size_t heads, size_t part,
                       size_t stride, float* packed_keys, float* packed_values);

size_t AttendAllScratchBytes(size_t n);

// For query b, with q = queries + b * query_stride (heads * part floats):
// out[b * out_stride + h * part + i] = sum_l softmax_l(q_h . k_hl) v_hl[i]; 0 where n is 0.
void AttendAll(const ProjectedRows& rows, const float* queries, size_t num_queries,
               size_t query_stride, void* scratch, float* out, size_t out_stride);

}  // namespace eta::simd
