// SPDX-License-Identifier: Apache-2.0
// Codebooks of FAISS's 4-bit product quantiser. Not for inclusion outside baselines/.
#pragma once

#include <faiss/impl/ProductQuantizer.h>

#include <cstddef>
#include <cstdint>

#include "core/base/matrix.h"

namespace eta {

// Bits that FAISS's fast scan has for each sub-quantiser.
inline constexpr size_t kFaissPqBits = 4;

// A quantiser trained by FAISS on at most 4,096 rows spread over `embeddings`, the most that it
// uses for 16 centroids by itself. `subquantizers` must divide the columns, and all values be
// finite. Trained by one thread, so that the seed alone decides; without rows all centroids are 0.
faiss::ProductQuantizer TrainFaissPq(const Matrix<float>& embeddings, size_t subquantizers,
                                     uint64_t seed);

}  // namespace eta
