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

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// The largest dim: a sum of 4,096 products of bytes is exact in 32 bits with room to spare, and
// four prepared queries still fit the scratch.
constexpr size_t kI8MaxDim = 4096;

// Groups of four dimensions that a row takes.
constexpr size_t I8Groups(size_t dim) { return dim / 4 + (dim % 4 != 0 ? 1 : 0); }

// Bytes that the blocks of n rows take.
constexpr size_t I8BlocksBytes(size_t n, size_t dim) {
  return SaturatingProduct(SaturatingProduct(PaddedRows(n), I8Groups(dim)), 4);
}

// `count` quantised rows of `width` values, 1 to kI8MaxDim: row i at values + i * stride, its scale
// scales[i]. stride >= width.
struct I8RowsView {
  const int8_t* values;
  const float* scales;
  size_t count;
  size_t width;
  size_t stride;

  // The first value of row i.
  const int8_t* row(size_t i) const { return values + i * stride; }
};

// n rows of dim values, 1 to kI8MaxDim, in blocks: I8BlocksBytes(n, dim) bytes and PaddedRows(n)
// scales, of any alignment. What the unused rows of the last block hold, scales included, does not
// matter.
struct I8BlocksView {
  const uint8_t* data;
  const float* scales;
  size_t n;
  size_t dim;
};

// One query: values of the dimensions that the rows have, and their scale.
struct I8Query {
  const int8_t* values;
  float scale;
};

// Query q: its values start at values + q * stride, its scale is scales[q].
struct I8Queries {
  const int8_t* values;
  const float* scales;
  size_t count;
  size_t stride;

  // The first value of query q.
  const int8_t* query(size_t q) const { return values + q * stride; }
  // Queries [first, first + n).
  I8Queries part(size_t first, size_t n) const { return {query(first), scales + first, n, stride}; }
};

// Symmetric quantisation of rows of floats to int8, row i to values + i * value_stride and
// scales[i]: scale = max |x| / 127 in float32, value = x / scale rounded to the nearest integer,
// halves to even, and no farther from 0 than 127. NaN counts as 0 and an infinity as the largest
// float of its sign. Where the scale is 0, because all is 0 or max |x| / 127 is less than the
// smallest float, all values are 0. The same bits on every target. Preconditions: rows.width >= 1;
// value_stride >= rows.width. No alignment is required; input and output must not overlap.
ETA_SIMD_API void QuantizeI8(const RowsView<float>& rows, int8_t* values, size_t value_stride,
                             float* scales);

// Lays out rows: writes I8BlocksBytes(rows.count, rows.width) bytes to `blocks` and
// PaddedRows(rows.count) scales to `block_scales`. Unused rows of the last block become 0 with
// scale 0. No alignment is required; input and output must not overlap.
ETA_SIMD_API void PackI8Blocks(const I8RowsView& rows, uint8_t* blocks, float* block_scales);

// The same for the rows of a table that `ids` names, in that order: ids.count rows.
ETA_SIMD_API void GatherI8Blocks(const I8RowsView& table, IdsView ids, uint8_t* blocks,
                                 float* block_scales);

// Bytes of scratch that DotI8Scores needs, whatever the rows and queries.
ETA_SIMD_API size_t DotI8ScoresScratchBytes();

// Inner products of all rows with all queries of rows.dim values (queries.stride >= rows.dim):
// scores[q * score_stride + i] = (float(sum_d row_i[d] * query_q[d]) * row scale) * query scale.
// The sum is exact; it is rounded to float32 (which changes it only past 1,040 dimensions), and so
// is each of the two products, in this order: the same bits on every target. Writes
// PaddedRows(rows.n) scores per query; the first rows.n are valid, the rest unspecified.
// score_stride >= PaddedRows(rows.n). `scratch` has DotI8ScoresScratchBytes() bytes; its contents
// need not be kept. No alignment is required. Uses 4 KB of stack.
ETA_SIMD_API void DotI8Scores(const I8BlocksView& rows, const I8Queries& queries,
                              ScratchView scratch, float* scores, size_t score_stride);

// Bytes of scratch that DotI8TopK needs for n rows, whatever the number of queries.
ETA_SIMD_API size_t DotI8TopKScratchBytes(size_t n, size_t k);

// For each query the min(k, n) rows of largest score (DotI8Scores), n = rows.n. Equal scores, 0 and
// -0 among them, are ranked by options.ties; NaN ranks as -infinity. Values are the scores, NaN and
// -0 as they are. Returns min(k, n).
// Preconditions: n < 2^31; k >= 1; queries.stride >= rows.dim. `scratch`
// is of DotI8TopKScratchBytes(n, k) bytes and any alignment; its contents need not be kept from
// call to call. n = 0 needs no rows.
ETA_SIMD_API size_t DotI8TopK(const I8BlocksView& rows, const I8Queries& queries,
                              const TopKOptions& options, ScratchView scratch,
                              const TopKResult<float>& result);

}  // namespace eta::simd
