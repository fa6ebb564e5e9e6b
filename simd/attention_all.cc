// SPDX-License-Identifier: Apache-2.0
#include "simd/attention_all.h"

#include <algorithm>

#include "simd/internal/common.h"
#include "simd/linear.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/attention_all.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/exp-inl.h"
#include "simd/internal/linear-inl.h"

#ifndef ETA_SIMD_ATTENTION_ALL_TYPES_
#define ETA_SIMD_ATTENTION_ALL_TYPES_
namespace eta::simd {
namespace {

// Queries whose weights are in the scratch together: two tiles of the product's 6 rows, or one tall
// one. At 1,024 rows their weights are 48 KiB, which a second-level cache keeps beside the keys.
constexpr size_t kQueriesTogether = 12;

}  // namespace
}  // namespace eta::simd
#endif  // ETA_SIMD_ATTENTION_ALL_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// One head of up to kQueriesTogether queries. Query and out rows start at the head's columns.
HWY_INLINE void AttendHeadToAll(const ProjectedRows& rows, size_t head, const Queries<float>& q,
                                float* weights, const OutputRows<float>& out) {
  const size_t n = rows.count, part = rows.part, stride = PaddedColumns(n);
  const auto keys = PackedLinearPanels(rows.keys + head * PackedLinearSize(part, n), part, n);
  ForEachProduct(RowsView<float>{q.data, q.count, part, q.stride}, keys,
                 [=](auto d, size_t row, size_t column, auto first, auto second) HWY_ATTR {
                   StoreColumns(d, first, second, stride - column, weights + row * stride + column);
                 });
  float factors[kQueriesTogether];
  for (size_t i = 0; i < q.count; ++i) {
    factors[i] = 1.0f / SoftmaxNumerators(weights + i * stride, n);
  }
  const auto values = PackedLinearPanels(rows.values + head * PackedLinearSize(n, part), n, part);
  ForEachProduct(RowsView<float>{weights, q.count, n, stride}, values,
                 [=, &factors](auto d, size_t row, size_t column, auto first, auto second)
                     HWY_ATTR {
                       if (column >= part) return;
                       const auto factor = hn::Set(d, factors[row]);
                       StoreColumns(d, hn::Mul(first, factor), hn::Mul(second, factor),
                                    part - column, out.row(row) + column);
                     });
}

HWY_MAYBE_UNUSED void AttendAllOfTarget(const ProjectedRows& rows, const Queries<float>& queries,
                                        float* weights, const OutputRows<float>& out) {
  if (rows.count == 0) {
    for (size_t b = 0; b < queries.count; ++b) {
      std::fill_n(out.row(b), rows.heads * rows.part, 0.0f);
    }
    return;
  }
  for (size_t h = 0; h < rows.heads; ++h) {
    for (size_t b = 0; b < queries.count; b += kQueriesTogether) {
      Queries<float> tile = queries.part(b, HWY_MIN(kQueriesTogether, queries.count - b));
      tile.data += h * rows.part;
      AttendHeadToAll(rows, h, tile, weights, {out.row(b) + h * rows.part, out.stride});
    }
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(AttendAllOfTarget);

void PackProjectedRows(const RowsView<float>& keys, const RowsView<float>& values, size_t heads,
                       float* packed_keys, float* packed_values) {
  ETA_SIMD_REQUIRE(heads >= 1 && keys.width % heads == 0);
  ETA_SIMD_REQUIRE(keys.count == values.count && keys.width == values.width);
  const size_t n = keys.count, part = keys.width / heads;
  if (n == 0) return;  // the rows may be null
  for (size_t h = 0; h < heads; ++h) {
    PackLinearTransposed({keys.data + h * part, n, part, keys.stride},
                         packed_keys + h * PackedLinearSize(part, n));
    PackLinear({values.data + h * part, n, part, values.stride},
               packed_values + h * PackedLinearSize(n, part));
  }
}

size_t AttendAllScratchBytes(size_t count) {
  const size_t floats = SaturatingProduct(kQueriesTogether, PaddedColumns(count));
  const size_t bytes = SaturatingProduct(sizeof(float), floats);
  return bytes > kNoScratch - kCacheLineBytes ? kNoScratch : bytes + kCacheLineBytes;
}

void AttendAll(const ProjectedRows& rows, const Queries<float>& queries, ScratchView scratch,
               const OutputRows<float>& out) {
  ETA_SIMD_REQUIRE(rows.heads >= 1 && rows.part >= 1);
  ETA_SIMD_REQUIRE(queries.stride >= rows.heads * rows.part &&
                   out.stride >= rows.heads * rows.part);
  ETA_SIMD_REQUIRE(scratch.bytes >= AttendAllScratchBytes(rows.count));
  HWY_DYNAMIC_DISPATCH(AttendAllOfTarget)(rows, queries, AlignedFloats(scratch.data), out);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
