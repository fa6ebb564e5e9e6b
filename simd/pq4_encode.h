// SPDX-License-Identifier: Apache-2.0
// Product quantisation with 16 centroids a subspace (pq4.h): codes of rows, and the tables of inner
// products by which a query is compared with codes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/export.h"
#include "simd/views.h"

namespace eta::simd {

inline constexpr size_t kPq4Centroids = 16;

// The most subspaces: codes of 512 bytes.
inline constexpr size_t kPq4MaxSubspaces = 1024;

// The first dimension of subspace s, which ends where the next begins: where dim is no multiple of
// the number of subspaces, some have one dimension more than others.
constexpr size_t Pq4FirstDim(size_t dim, size_t subspaces, size_t s) { return dim * s / subspaces; }

// Codebooks as PackPq4Codebooks lays them out.
struct PackedPq4Codebooks {
  const float* data;
  size_t dim;
  size_t subspaces;
};

// Floats of packed codebooks: 16 for each dimension, 16 for each subspace.
constexpr size_t PackedPq4CodebooksSize(size_t dim, size_t subspaces) {
  return dim > SIZE_MAX - subspaces ? SIZE_MAX : SaturatingProduct(dim + subspaces, kPq4Centroids);
}

// Lays out the centroids of all subspaces so that 16 of them fill a vector: element d of centroid m
// goes to packed[16 d + m], and -|centroid m of subspace s|^2 / 2, summed in double over d = 0, 1,
// ... and rounded once, to packed[16 dim + 16 s + m]. Row 16 s + m of `centroids` starts with the
// elements of centroid m of subspace s; what follows them is not read. Writes
// PackedPq4CodebooksSize(dim, subspaces) floats. Preconditions: subspaces in [1,
// min(dim, kPq4MaxSubspaces)]; centroids.count == 16 * subspaces; centroids.width >=
// ceil(dim / subspaces); no overlap.
ETA_SIMD_API void PackPq4Codebooks(const RowsView<float>& centroids, size_t dim, size_t subspaces,
                                   float* packed);

// Writes the code of row r of x at codes + r * code_stride: codebooks.subspaces / 2 bytes. The code
// of a subspace is the m of largest <x, c_m> - |c_m|^2 / 2, which is the centroid nearest to x; the
// lowest m of equal ones. NaN and -infinity count as the lowest float. The sum starts with -|c_m|^2
// / 2 and adds d = 0, 1, ... by fused multiply-add in float32: the same bits on every target.
// Preconditions: codebooks.subspaces is even; x.width == codebooks.dim; code_stride >= subspaces /
// 2; `codes` overlaps nothing that is read. Any alignment.
ETA_SIMD_API void Pq4Encode(const RowsView<float>& x, const PackedPq4Codebooks& codebooks,
                            uint8_t* codes, size_t code_stride);

// Writes the tables of query r at tables + r * table_stride: 16 * subspaces bytes. With p the inner
// products of the query and the centroids of a subspace (fused multiply-adds from 0 in order of d),
// entry m is (max p - p_m) * scale + 1/2, rounded down: what is lost by this centroid against the
// best one. scale is 63 / max over s of (max p - min p) and, up to 32 subspaces (128 bits), at most
// 406 / the sum over s of (max p - min p). So the smallest sum of entries belongs to the largest
// inner product, up to rounding. Sums of 128 bits may not fit a byte: all rows within 5/8 of the
// range of inner products do, and the rest are far from the best. (With 254 less half a step a
// subspace in place of 406, so that every sum fits, recall@64 of 1,024 generated behaviours is
// lower by 0.015 at 128 bits and by 0.004 at 64 in a simulation; 2026-11-26.) Where an inner
// product is not finite, or all are equal, or scale is not a number greater than 0, all entries are
// 0. The same bits on every target. Uses 72 KB of stack. Preconditions as for Pq4Encode, with
// table_stride >= 16 * subspaces.
ETA_SIMD_API void Pq4Tables(const RowsView<float>& queries, const PackedPq4Codebooks& codebooks,
                            uint8_t* tables, size_t table_stride);

}  // namespace eta::simd
