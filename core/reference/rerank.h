// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/rerank.h and simd/rerank_i8.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/reference/dot_i8.h"
#include "simd/views.h"

namespace eta::reference {

// sum_d a[d] * b[d] in the order that suits one vector after another: 16 partial sums, of which
// partial j takes d = j, j + 16, ... in turn by fused multiply-add, with zeros past the end up to a
// multiple of 16. Then the upper half of the sums is added to the lower half until one is left.
float DotInSixteenSums(std::span<const float> a, std::span<const float> b);

// Inner product of `query` with the rows `ids` of a table whose rows have query.size() floats.
std::vector<float> DotRows(std::span<const float> rows, std::span<const int32_t> ids,
                           std::span<const float> query);

// The same for row `q` of 8-bit `queries` and the rows `ids` of an 8-bit table: exact sums, rounded
// as in DotI8Scores.
std::vector<float> DotI8Rows(const I8Matrix& table, std::span<const int32_t> ids,
                             const I8Matrix& queries, size_t q, size_t dim);

// The min(k, n) of n positions that have the largest scores, largest first, equal scores in `ties`
// order of positions. Zeros of both signs are equal. NaN ranks as -infinity.
std::vector<int32_t> RerankTopK(std::span<const int32_t> positions, std::span<const float> scores,
                                size_t k, simd::TieOrder ties);

}  // namespace eta::reference
