// SPDX-License-Identifier: Apache-2.0
// The scalar twin of simd/dot_i8.h, on rows that lie one after another; the layout in blocks is an
// index formula.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/reference/dot.h"
#include "simd/views.h"

namespace eta::reference {

// Rows of int8 values, one after another, and what each row's values are to be multiplied by.
struct I8Matrix {
  std::vector<int8_t> values;
  std::vector<float> scales;  // one per row
};

// Rows of `dim` floats as 8-bit numbers: the largest magnitude of a row becomes 127, the rest are
// rounded to the nearest multiple of 1/127 of it. NaN counts as 0, an infinity as the largest
// float.
I8Matrix QuantizeI8(std::span<const float> rows, size_t dim);

// Where value `d` of row `i` lies in the blocks.
size_t I8BlockIndex(size_t i, size_t d, size_t dim);

// Blocks of the rows: values plus 128. Unused rows and dimensions are the value 0.
std::vector<uint8_t> PackI8Blocks(std::span<const int8_t> values, size_t dim);

// The exact inner product of two rows of 8-bit values.
int32_t DotI8(std::span<const int8_t> a, std::span<const int8_t> b);

// Inner product of row `q` of `queries` with each of the rows, rounded three times: the sum to
// float, its product with the row's scale, and the product of that with the query's scale.
std::vector<float> DotI8Scores(const I8Matrix& rows, const I8Matrix& queries, size_t q, size_t dim);

// The min(k, n) rows of largest score, in the order of DotTopK.
std::vector<DotNeighbor> DotI8TopK(const I8Matrix& rows, const I8Matrix& queries, size_t q,
                                   size_t dim, size_t k, simd::TieOrder ties);

}  // namespace eta::reference
