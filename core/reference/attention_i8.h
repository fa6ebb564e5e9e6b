// SPDX-License-Identifier: Apache-2.0
// The scalar twins of simd/attention_heads_i8.h and simd/attention_all_i8.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace eta::reference {

// Keys and values of rows of `dim` components, each with a factor per row.
struct I8Heads {
  std::vector<int8_t> keys, values;  // row by row
  std::vector<float> key_factors, value_factors;
  size_t dim;
};

// `keys` and `values` hold as many rows of `dim` floats, the components of a head side by side;
// there may be no values.
I8Heads QuantizeHeads(std::span<const float> keys, std::span<const float> values, size_t dim);

// The attention of a query of table.dim floats over rows `ids` of the table; heads divides dim.
std::vector<float> AttendHeadsI8(std::span<const float> query, size_t heads, const I8Heads& table,
                                 std::span<const int32_t> ids);

// The attention of a query over all rows of `keys` and `values`, as of QuantizeHeads, with a factor
// for each row of keys and, over all rows, for each component of values; heads divides dim.
std::vector<float> AttendAllI8(std::span<const float> query, size_t heads,
                               std::span<const float> keys, std::span<const float> values,
                               size_t dim);

}  // namespace eta::reference
