// SPDX-License-Identifier: Apache-2.0
// What a ranking model's first layer reads beside attention: products of each candidate's row of
// the item table with what was found for it (docs/models.md), in float32 or at once in eight bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

// Features of `count` candidates, row r at values + r * stride: `parts` times `dim` floats that are
// given, then room for as many products.
struct FeatureRows {
  float* values;
  size_t count;
  size_t stride;
  size_t parts;

  // The first float of row r.
  float* row(size_t r) const { return values + r * stride; }
};

// Row r of the features is crossed with row ids[r] of the table, c, of dim = table.width floats:
// with x the floats that part p of the row is given, its products become c[i] * x[i], rounded to
// float32.
//   sums[r] = sum_p weights[p] * (c . x),
// of 16 partial sums: partial k of a part starts at 0 and takes i = k, k + 16, ... by fused
// multiply-add, 0 past `dim` on to a multiple of 16; those of all parts start at 0 and take
// weights[p] times the part's, p = 0, 1, ..., by fused multiply-add. Of these partials k + 8 is
// added to k, then k + 4 to k, then k + 2 to k, then 1 to 0. The same bits on every target.
// Preconditions: table.width, features.parts >= 1; features.stride >= 2 * parts * dim; ids name
// rows of the table; nothing overlaps. Any alignment.
ETA_SIMD_API void CrossFeatures(const RowsView<float>& table, const int32_t* ids,
                                const FeatureRows& features, const float* weights, float* sums);

// CrossFeatures, after which row r of 2 * parts * dim features is quantised as by QuantizeU8
// (simd/linear_i8.h) with Activation::kNone, while it is in the first-level cache. Preconditions:
// those of CrossFeatures; out.stride >= 2 * parts * dim.
ETA_SIMD_API void CrossFeaturesToU8(const RowsView<float>& table, const int32_t* ids,
                                    const FeatureRows& features, const float* weights, float* sums,
                                    const U8OutputRows& out);

}  // namespace eta::simd
