// SPDX-License-Identifier: Apache-2.0
// Rescoring a shortlist: exact inner products of a query with a few rows of a table, and the best
// of them. For shortlists far shorter than the history; simd/dot.h scores whole histories.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// scores[i] = sum_d query[d] * table.row(ids[i])[d] for i < ids.count: the same bits on every
// target, but not those of DotScores, whose order of summation is another. The order: 16 partial
// sums start at 0; partial j takes d = j, j + 16, j + 32, ... in turn, by fused multiply-add in
// float32, and all take as many steps: products past table.width are 0 * 0. Then s[j] += s[j + 8]
// for j < 8, s[j] += s[j + 4] for j < 4, s[j] += s[j + 2] for j < 2, s[0] += s[1]. Reads
// table.width floats of the query and of each row, no more, and writes ids.count scores.
// Preconditions: table.width >= 1; no overlap. No alignment is required.
ETA_SIMD_API void DotRows(const RowsView<float>& table, IdsView ids, const float* query,
                          float* scores);

// Shortlists of `queries` queries, each of `length` positions and their scores.
struct Shortlists {
  const int32_t* positions;  // those of query q start at positions + q * position_stride
  size_t position_stride;    // >= length
  const float* scores;       // those of query q start at scores + q * score_stride
  size_t score_stride;       // >= PaddedRows(length)
  size_t length;
  size_t queries;
};

// Bytes of scratch that RerankTopK needs, whatever the number of queries and k.
ETA_SIMD_API size_t RerankTopKScratchBytes(size_t length);

// For each query the min(k, length) positions of largest score among its shortlist. Equal scores, 0
// and -0 among them, are ranked by options.ties of positions; NaN ranks as -infinity. Values are
// the scores as they are. Returns min(k, length). A shortlist may be in any order. One that ascends
// is ranked faster, and its values cost nothing to look up; in another each is searched for.
// Preconditions: the positions of a shortlist are distinct and not negative; length < 2^31; k >= 1;
// PaddedRows(length) scores of each query can be read (simd/code_blocks.h); no overlap. `scratch`
// is of RerankTopKScratchBytes(length) bytes and any alignment; its contents need not be kept.
ETA_SIMD_API size_t RerankTopK(const Shortlists& shortlists, const TopKOptions& options,
                               ScratchView scratch, const TopKResult<float>& result);

}  // namespace eta::simd
