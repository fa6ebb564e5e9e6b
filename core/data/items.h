// SPDX-License-Identifier: Apache-2.0
// The item table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/export.h"
#include "core/base/matrix.h"

namespace eta {

// All items of a system; an item id is a row number.
struct ETA_CORE_API ItemTable {
  Matrix<float> embeddings;         // items x dim
  std::vector<int32_t> categories;  // one per item, or empty when unknown
  // A model of two towers has other embeddings for items as candidates than as behaviours. Items x
  // dim; nothing where they are the same.
  std::optional<Matrix<float>> candidate_embeddings;

  size_t size() const { return embeddings.rows; }  // items
  size_t dim() const { return embeddings.cols; }   // floats of an embedding
  // The embeddings of items as candidates; not copied.
  const Matrix<float>& queries() const {
    return candidate_embeddings ? *candidate_embeddings : embeddings;
  }
  // Of all embeddings in float32.
  size_t embedding_bytes() const {
    return (embeddings.values.size() +
            (candidate_embeddings ? candidate_embeddings->values.size() : 0)) *
           sizeof(float);
  }
};

// Throws std::invalid_argument unless there are size() x dim() values, as many of candidates where
// they have their own, and either no categories or one for each item.
ETA_CORE_API void ValidateItemTable(const ItemTable& items);

// Scales every row to length 1, so that inner products are cosines. A row of zeros has no direction
// and stays as it is.
ETA_CORE_API void NormalizeRows(Matrix<float>& rows);

}  // namespace eta
