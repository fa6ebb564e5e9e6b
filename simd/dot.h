// SPDX-License-Identifier: Apache-2.0
// Inner products in float32 over float blocks: the exact rival of SimHash retrieval.
// Float blocks: 64 rows a block, dimension-planar: element (i, d) lies at
// blocks[((i / 64) * dim + d) * 64 + i % 64].
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Floats that the blocks of n rows take.
constexpr size_t FloatBlocksSize(size_t n, size_t dim) {
  return SaturatingProduct(PaddedRows(n), dim);
}

// n rows of dim >= 1 floats in blocks: FloatBlocksSize(n, dim) floats of any alignment. What the
// unused rows of the last block hold does not matter.
struct FloatBlocksView {
  const float* data;
  size_t n;
  size_t dim;
};

// Lays out rows.count rows of dim = rows.width >= 1 floats. Writes FloatBlocksSize(rows.count, dim)
// floats to `blocks`; unused rows of the last block become 0. No alignment is required; rows and
// blocks must not overlap.
ETA_SIMD_API void PackFloatBlocks(const RowsView<float>& rows, float* blocks);

// The same for the rows of a table that `ids` names, in that order: ids.count rows.
ETA_SIMD_API void GatherFloatBlocks(const RowsView<float>& table, IdsView ids, float* blocks);

// Inner products of all rows with all queries of rows.dim floats (queries.stride >= rows.dim):
// scores[q * score_stride + i] = sum_d query_q[d] * row_i[d], summed from 0 over d = 0, 1, ... by
// fused multiply-add in float32: the same bits on every target. Writes PaddedRows(rows.n) scores
// per query; the first rows.n are valid, the rest unspecified. score_stride >= PaddedRows(rows.n).
// No alignment is required.
ETA_SIMD_API void DotScores(const FloatBlocksView& rows, const Queries<float>& queries,
                            float* scores, size_t score_stride);

// Bytes of scratch that DotTopK needs for n rows, whatever the number of queries.
ETA_SIMD_API size_t DotTopKScratchBytes(size_t n, size_t k);

// For each query the min(k, n) rows of largest score (DotScores), n = rows.n. Equal scores, 0 and
// -0 among them, are ranked by options.ties; NaN ranks as -infinity. Values are the scores, NaN and
// -0 as they are. Returns min(k, n).
// Preconditions: n < 2^31; k >= 1; queries.stride >= rows.dim. `scratch`
// is of DotTopKScratchBytes(n, k) bytes and any alignment; its contents need not be kept from call
// to call. n = 0 needs no rows.
ETA_SIMD_API size_t DotTopK(const FloatBlocksView& rows, const Queries<float>& queries,
                            const TopKOptions& options, ScratchView scratch,
                            const TopKResult<float>& result);

}  // namespace eta::simd
