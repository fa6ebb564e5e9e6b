// SPDX-License-Identifier: Apache-2.0
// Codebooks of a product quantiser as matrices, in memory and in a bundle: what is sound.
#pragma once

#include <cstddef>

#include "core/base/export.h"
#include "core/base/matrix.h"

namespace eta {

// Throws std::invalid_argument unless codes of `bits` bits can be made of embeddings of `dim`
// dimensions: bits a multiple of 8 in [8, kMaxBits], dim in [bits / 4, kMaxDim].
ETA_CORE_API void ValidatePq4Shape(size_t dim, size_t bits);

// Row 16 s + m of `codebooks` (`pq_codebooks.npy`) holds centroid m of subspace s, then 0, in
// ceil(dim / subspaces) columns. `rotation` (`pq_rotation.npy`), dim x dim, is what embeddings, as
// rows, are multiplied with before they are cut into subspaces; null for none. Throws
// std::invalid_argument, with the array and the place, when a shape is wrong, a value is not
// finite, padding is not 0, or the rotation is no orthogonal matrix.
ETA_CORE_API void ValidatePq4Matrices(size_t dim, const Matrix<float>& codebooks,
                                      const Matrix<float>* rotation);

}  // namespace eta
