// SPDX-License-Identifier: Apache-2.0
#include "core/data/items.h"

#include "core/base/check.h"

namespace eta {

void ValidateItemTable(const ItemTable& items) {
  Require(items.embeddings.values.size() == items.size() * items.dim(),
          "item table: ", items.embeddings.values.size(), " values for ", items.size(), " x ",
          items.dim(), " embeddings");
  Require(items.categories.empty() || items.categories.size() == items.size(),
          "item table: ", items.categories.size(), " categories for ", items.size(), " items");
}

}  // namespace eta
