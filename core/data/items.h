// SPDX-License-Identifier: Apache-2.0
// The item table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/export.h"
#include "core/base/matrix.h"

namespace eta {

// All items of a system; an item id is a row number.
struct ETA_CORE_API ItemTable {
  Matrix<float> embeddings;         // items x dim
  std::vector<int32_t> categories;  // one per item, or empty when unknown

  size_t size() const { return embeddings.rows; }  // items
  size_t dim() const { return embeddings.cols; }   // floats of an embedding
};

// Throws std::invalid_argument unless there are size() x dim() values and either no categories or
// one for each item.
ETA_CORE_API void ValidateItemTable(const ItemTable& items);

// Scales every row to length 1, so that inner products are cosines. A row of zeros has no direction
// and stays as it is.
void NormalizeRows(Matrix<float>& rows);

}  // namespace eta
