// SPDX-License-Identifier: Apache-2.0
// Multi-head target attention of all queries to the same rows (simd/attention_all.h) with keys and
// values in eight bits: products are exact integers, four of them an instruction with VNNI, and
// keys and values take about a quarter of the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/dot_i8.h"
#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Floats that the components of a head take in a panel of values: panels have 16 columns.
constexpr size_t I8PaddedPart(size_t part) {
  return SaturatingProduct(part / 16 + (part % 16 != 0), 16);
}

// Bytes of one head of `count` rows.
constexpr size_t ProjectedI8HeadBytes(size_t count, size_t part) {
  const size_t keys = I8BlocksBytes(count, part);
  const size_t values = SaturatingProduct(PaddedRows(count) + sizeof(float), I8PaddedPart(part));
  return keys > SIZE_MAX - values ? SIZE_MAX : keys + values;
}

// Bytes that PackProjectedI8 writes.
constexpr size_t ProjectedI8Bytes(size_t count, size_t heads, size_t part) {
  const size_t factors = SaturatingProduct(PaddedRows(count), sizeof(float));
  const size_t bytes = SaturatingProduct(heads, ProjectedI8HeadBytes(count, part));
  return bytes > SIZE_MAX - factors ? SIZE_MAX : factors + bytes;
}

// Keys and values of `count` rows, as PackProjectedI8 writes them; `part` is the number of
// components of a head.
struct ProjectedI8Rows {
  const uint8_t* packed;
  size_t count;
  size_t heads;
  size_t part;
};

// Quantises keys and values, each `count` rows of heads * part floats with the components of a head
// side by side, to ProjectedI8Bytes(count, heads, part) bytes. Each row of keys has a factor, and
// each component of values has one over all rows: m / 127 with m = max |x|; integers are
// x * (127 / m), rounded as by QuantizeU8 (simd/linear_i8.h), and 0 with factor 0 where m is below
// 2^-100. First come the keys' PaddedRows(count) factors, then for each head, at multiples of
// ProjectedI8HeadBytes(count, part): the blocks of its keys (simd/dot_i8.h), panels of 16
// components of values, where the value of row r and component c is at byte
// c / 16 * PaddedRows(count) * 16 + r / 4 * 64 + c % 16 * 4 + r % 4, and I8PaddedPart(part)
// factors; what no row or component has is 0. The same bits on every target. Preconditions: keys
// and values have the same shape; their width is a multiple of heads >= 1, with 1 to kI8MaxDim
// components of a head; all values are finite; no overlap. Any alignment; 64 bytes is fastest.
ETA_SIMD_API void PackProjectedI8(const RowsView<float>& keys, const RowsView<float>& values,
                                  size_t heads, uint8_t* packed);

// Bytes of scratch for AttendAllI8. Any alignment.
ETA_SIMD_API size_t AttendAllI8ScratchBytes(size_t count, size_t part);

// For query b, of rows.heads * rows.part floats, and each head h, with keys and values as they were
// rounded:
//   out row b, columns [h * part, (h + 1) * part) = sum_l a_l value_hl, a = softmax_l(q_h .
//   key_hl),
// all 0 where rows.count is 0. A head of a query is rounded to 8 bits, with a factor of its own,
// and its products with keys are summed exactly; softmax is in float32, of powers of 2 with an
// error of 3e-6; its numerators are rounded to 15 bits, and products with values are summed
// exactly, 512 rows at a time. The same bits on every target. Preconditions: rows.heads >= 1; 1 <=
// rows.part <= kI8MaxDim; queries and scores are finite; strides >= heads * part; `out` overlaps
// nothing that is read. Any alignment.
ETA_SIMD_API void AttendAllI8(const ProjectedI8Rows& rows, const Queries<float>& queries,
                              ScratchView scratch, const OutputRows<float>& out);

}  // namespace eta::simd
