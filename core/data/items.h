// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/matrix.h"

namespace eta {

// All items of a system; an item id is a row number.
struct ItemTable {
  Matrix<float> embeddings;         // items x dim
  std::vector<int32_t> categories;  // one per item, or empty when unknown

  size_t size() const { return embeddings.rows; }
  size_t dim() const { return embeddings.cols; }
};

// Throws std::invalid_argument when the parts of `items` contradict one another.
void ValidateItemTable(const ItemTable& items);

}  // namespace eta
