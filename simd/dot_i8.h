// SPDX-License-Identifier: Apache-2.0
// Inner products of int8 rows with one float32 scale each: the cheapest of the scans that need no
// index, a quarter of the bytes of simd/dot.h, and so the rival that SimHash has to beat.
// I8 blocks: 64 rows a block, four dimensions of a row together. Value d of row i, plus 128, is the
// byte at blocks[((i / 64) * G + d / 4) * 256 + (i % 64) * 4 + d % 4] with G = ceil(dim / 4) groups
// of dimensions; dimensions past dim hold the value 0. A 32-bit lane thus belongs to one row, as
// the dot-product instructions want it. The 128 is there because these multiply unsigned by signed
// bytes. Taking the rows as the unsigned side leaves a correction of 128 * sum(query), one number a
// query that the sums start from, where the other way round costs one number a row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/code_blocks.h"
#include "simd/dot.h"
#include "simd/topk.h"

namespace eta::simd {

constexpr size_t I8Groups(size_t dim) { return (dim + 3) / 4; }
constexpr size_t I8BlocksBytes(size_t n, size_t dim) { return PaddedRows(n) * I8Groups(dim) * 4; }

// Rows laid out for scanning: I8BlocksBytes(n, dim) bytes and PaddedRows(n) scales. What the unused
// rows of the last block hold, scales included, does not matter. dim is 1 to 4,096.
struct I8Rows {
  const uint8_t* blocks;
  const float* scales;
  size_t n;
  size_t dim;
};

// Query q: dim values at values + q * stride, and scales[q].
struct I8Queries {
  const int8_t* values;
  const float* scales;
  size_t count;
  size_t stride;
};

// Symmetric quantisation of n rows of floats (row i at rows + i * stride floats) to int8 (row i at
// values + i * value_stride): scale = max |x| / 127 in float32, value = x / scale rounded to the
// nearest integer, halves to even, and no farther from 0 than 127. NaN counts as 0 and an infinity
// as the largest float of its sign. Where the scale is 0, because all is 0 or max |x| / 127 is less
// than the smallest float, all values are 0. The same on every target.
void QuantizeI8(const float* rows, size_t n, size_t dim, size_t stride, int8_t* values,
                size_t value_stride, float* scales);

// Lays out n rows (row i at values + i * stride, its scale scales[i]). Unused rows of the last
// block become 0 with scale 0.
void PackI8Blocks(const int8_t* values, const float* scales, size_t n, size_t dim, size_t stride,
                  uint8_t* blocks, float* block_scales);

// The same for the rows of a list of item ids. Precondition: every id names a row of the table.
void GatherI8Blocks(const int8_t* table, const float* scales, size_t dim, size_t stride,
                    const int32_t* ids, size_t n, uint8_t* blocks, float* block_scales);

// scores[q * score_stride + i] = (float(sum_d row_i[d] * query_q[d]) * row scale) * query scale.
// The sum is exact; it is rounded to float32 (it takes more than 1,040 dimensions to need that),
// and so is each of the two products, in this order: the same bits on every target. Writes
// PaddedRows(n) values per query, of which the first n mean something. Precondition: score_stride
// >= PaddedRows(n).
void DotI8Scores(const I8Rows& rows, const I8Queries& queries, float* scores, size_t score_stride);

// Bytes of scratch that DotI8TopK needs, whatever the number of queries.
size_t DotI8TopKScratchBytes(size_t n, size_t k);

// For each query the min(k, n) positions of largest score: everything as with DotTopK.
size_t DotI8TopK(const I8Rows& rows, const I8Queries& queries, size_t k, TieOrder ties,
                 ResultOrder order, void* scratch, DotTopKResult result);

}  // namespace eta::simd
