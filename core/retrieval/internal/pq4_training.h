// SPDX-License-Identifier: Apache-2.0
// The steps of Pq4Codebooks::Train. All sums are taken in double in one fixed order, so that the
// results are the same on every platform.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/matrix.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/pq4_codebooks.h"

namespace eta {

// At most `most` items whose values are all finite: all of a small table, else one out of each of
// `most` parts of it.
Matrix<float> SamplePq4Rows(const ItemTable& items, size_t most, uint64_t seed);

// The mean of x x^T over the rows x, cols x cols.
Matrix<double> SecondMoment(const Matrix<float>& rows);

// The principal components of the rows as columns. Taken by falling variance, each goes to the
// subspace whose product of variances is the smallest so far and that has a dimension free.
// `moment` is that of the rows.
Matrix<float> BalancedRotation(const Matrix<float>& rows, const Matrix<double>& moment,
                               size_t subspaces);

// rows x rotation.
Matrix<float> RotateRows(const Matrix<float>& rows, const Hyperplanes& rotation);

// The centroids of k-means in each subspace, 16 x subspaces rows, padded with 0.
Matrix<float> Pq4KMeans(const Matrix<float>& rows, size_t subspaces, uint64_t seed);

// The mean square of <q, x> - <q, decoded x> over rows q and x: e^T moment e for the errors e of
// some of the rows.
double InnerProductError(const Matrix<float>& rows, const Matrix<double>& moment,
                         const Pq4Codebooks& codebooks);

}  // namespace eta
