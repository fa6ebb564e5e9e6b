// SPDX-License-Identifier: Apache-2.0
// What FAISS trains on the items: samples, and codebooks of the 4-bit product quantiser. Not for
// inclusion outside baselines/.
#pragma once

#include <faiss/impl/ProductQuantizer.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/matrix.h"

namespace eta {

// Bits that FAISS's fast scan has for each sub-quantiser.
inline constexpr size_t kFaissPqBits = 4;

// Rows that serve to train FAISS on `embeddings`: at least the 16 that it asks for, at most the
// 4,096 that it uses for 16 centroids by itself, spread over the table; one after another. A small
// table gives each row more than once, an empty one none.
std::vector<float> FaissTrainingRows(const Matrix<float>& embeddings);

// A quantiser of `dim` dimensions that FAISS trains on `rows`, of FaissTrainingRows.
// `subquantizers` must divide dim, and all values be finite. Trained by one thread, so that the
// seed alone decides; without rows all centroids are 0.
faiss::ProductQuantizer TrainFaissPq(const std::vector<float>& rows, size_t dim,
                                     size_t subquantizers, uint64_t seed);

}  // namespace eta
