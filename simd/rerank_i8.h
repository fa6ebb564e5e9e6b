// SPDX-License-Identifier: Apache-2.0
// Rescoring a shortlist in int8: simd/rerank.h's DotRows on rows quantised by QuantizeI8
// (simd/dot_i8.h), a quarter of the bytes to fetch from a table. RerankTopK then selects.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::simd {

// scores[i] = (float(sum_d query[d] * row[d]) * scales[ids[i]]) * query_scale for i < count, row =
// rows + ids[i] * stride. The sum is exact; it is rounded to float32, and so is each of the two
// products, in this order: the same bits on every target, and those of DotI8Scores. Reads `dim`
// values of the query and of each row, no more, and writes `count` scores. Preconditions: 1 <= dim
// <= 4096; stride >= dim; every id names a row. No alignment is required.
void DotI8Rows(const int8_t* rows, size_t stride, const float* scales, const int32_t* ids,
               size_t count, size_t dim, const int8_t* query, float query_scale, float* scores);

}  // namespace eta::simd
