// SPDX-License-Identifier: Apache-2.0
// Inner products in float32 over float blocks: the exact rival of SimHash retrieval.
// Float blocks: 64 rows a block, dimension-planar: element (i, d) lies at
// blocks[((i / 64) * dim + d) * 64 + i % 64].
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/code_blocks.h"
#include "simd/topk.h"

namespace eta::simd {

constexpr size_t FloatBlocksSize(size_t n, size_t dim) { return PaddedRows(n) * dim; }  // floats

// Lays out n rows (row i at rows + i * stride floats). Unused rows of the last block become 0.
void PackFloatBlocks(const float* rows, size_t n, size_t dim, size_t stride, float* blocks);

// The same for the rows of a list of item ids. Precondition: every id names a row of the table.
void GatherFloatBlocks(const float* table, size_t dim, size_t stride, const int32_t* ids, size_t n,
                       float* blocks);

// scores[q * score_stride + i] = sum_d queries[q][d] * row_i[d], summed from 0 over d = 0, 1, ...
// by fused multiply-add in float32: the same bits on every target. Writes PaddedRows(n) values per
// query, of which the first n mean something. Precondition: score_stride >= PaddedRows(n).
void DotScores(const float* blocks, size_t n, size_t dim, const float* queries, size_t num_queries,
               size_t query_stride, float* scores, size_t score_stride);

// Bytes of scratch that DotTopK needs, whatever the number of queries.
size_t DotTopKScratchBytes(size_t n, size_t k);

struct DotTopKResult {
  int32_t* positions;  // num_queries x k
  float* scores;       // num_queries x k, or null when not wanted
};

// For each query the min(k, n) positions of largest score; equal scores (0 equals -0) in `ties`
// order. A NaN score ranks as -infinity. Returns min(k, n); the rest of each row is left untouched.
// Preconditions: n < 2^31; dim, k >= 1; scratch of DotTopKScratchBytes(n, k).
size_t DotTopK(const float* blocks, size_t n, size_t dim, const float* queries, size_t num_queries,
               size_t query_stride, size_t k, TieOrder ties, ResultOrder order, void* scratch,
               DotTopKResult result);

}  // namespace eta::simd
