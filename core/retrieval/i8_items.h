// SPDX-License-Identifier: Apache-2.0
// The item table quantised to int8, one scale a row (simd/dot_i8.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/aligned.h"
#include "core/base/export.h"
#include "core/data/items.h"
#include "simd/dot_i8.h"

namespace eta {

// Throws std::invalid_argument when dim is more than simd::kI8MaxDim.
ETA_CORE_API void RequireI8Dim(size_t dim);

// A quantised copy of the item embeddings.
struct ETA_CORE_API I8Items {
  // Quantises the embeddings of behaviours by simd::QuantizeI8. Throws std::invalid_argument when
  // the items are malformed or have more than simd::kI8MaxDim dimensions.
  // `items` need not outlive this.
  explicit I8Items(const ItemTable& items);

  // The same of the items as candidates, where they have embeddings of their own, else nothing.
  static std::optional<I8Items> OfCandidates(const ItemTable& items);

  size_t bytes() const { return values.size() + scales.size() * sizeof(float); }  // of both tables
  // values of an item, which is not checked
  const int8_t* row(size_t item) const { return values.data() + item * dim; }
  // All rows, for a kernel; valid while this lives.
  simd::I8RowsView view() const { return {values.data(), scales.data(), scales.size(), dim, dim}; }

  explicit I8Items(const Matrix<float>& embeddings);  // of one kind, unchecked but for dim

  size_t dim;
  AlignedVector<int8_t> values;  // items x dim
  AlignedVector<float> scales;   // one per item
};

}  // namespace eta
