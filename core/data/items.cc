// SPDX-License-Identifier: Apache-2.0
#include "core/data/items.h"

#include <cmath>
#include <span>

#include "core/base/check.h"

namespace eta {

void ValidateItemTable(const ItemTable& items) {
  Require(items.embeddings.values.size() == items.size() * items.dim(),
          "item table: ", items.embeddings.values.size(), " values for ", items.size(), " x ",
          items.dim(), " embeddings");
  Require(items.categories.empty() || items.categories.size() == items.size(),
          "item table: ", items.categories.size(), " categories for ", items.size(), " items");
  if (!items.candidate_embeddings) return;
  const Matrix<float>& queries = *items.candidate_embeddings;
  Require(queries.rows == items.size() && queries.cols == items.dim() &&
              queries.values.size() == items.embeddings.values.size(),
          "item table: candidate embeddings of ", queries.rows, " x ", queries.cols, " with ",
          queries.values.size(), " values (expected ", items.size(), " x ", items.dim(), ")");
}

void NormalizeRows(Matrix<float>& rows) {
  for (size_t r = 0; r < rows.rows; ++r) {
    const std::span<float> row(rows.row(r), rows.cols);
    double sum = 0;
    for (const float x : row) sum += static_cast<double>(x) * x;
    if (sum == 0) continue;
    const double scale = 1 / std::sqrt(sum);
    for (float& x : row) x = static_cast<float>(x * scale);
  }
}

}  // namespace eta
