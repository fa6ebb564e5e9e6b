// SPDX-License-Identifier: Apache-2.0
// Rescoring a shortlist: exact inner products of a query with a few rows of a table, and the best
// of them. For shortlists far shorter than the history; all of a history is simd/dot.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/topk.h"

namespace eta::simd {

// scores[i] = sum_d query[d] * row[d] for i < count, row = rows + ids[i] * stride (floats): the
// same bits on every target, but not those of DotScores, whose order of summation is another. The
// order: 16 partial sums start at 0; partial j takes d = j, j + 16, j + 32, ... in turn, by fused
// multiply-add in float32, and all take as many steps: products past `dim` are 0 * 0. Then s[j] +=
// s[j + 8] for j < 8, s[j] += s[j + 4] for j < 4, s[j] += s[j + 2] for j < 2, s[0] += s[1]. Reads
// `dim` floats of the query and of each row, no more, and writes `count` scores. Preconditions: dim
// >= 1; stride >= dim; every id names a row. No alignment is required.
void DotRows(const float* rows, size_t stride, const int32_t* ids, size_t count, size_t dim,
             const float* query, float* scores);

// Shortlists of a request: `count` positions and their scores for each query.
struct Shortlists {
  const int32_t* positions;  // those of query q start at positions + q * position_stride
  size_t position_stride;
  const float* scores;  // those of query q start at scores + q * score_stride
  size_t score_stride;
  size_t count;
};

// Bytes of scratch that RerankTopK needs, whatever the number of queries and k. Any alignment.
size_t RerankTopKScratchBytes(size_t count);

// For each query the min(k, count) positions of largest score among its shortlist, row q at
// positions + q * k; equal scores (0 equals -0) in `ties` order of positions. A NaN score ranks as
// -infinity. Returns min(k, count); the rest of each row is left untouched. The shortlists may be
// in any order; those that ascend are done faster.
// Preconditions: the positions of a shortlist are distinct and not negative; count < 2^31; k >= 1;
// PaddedRows(count) scores of each query can be read (simd/code_blocks.h); no overlap.
size_t RerankTopK(const Shortlists& shortlists, size_t num_queries, size_t k, TieOrder ties,
                  ResultOrder order, void* scratch, int32_t* positions);

}  // namespace eta::simd
