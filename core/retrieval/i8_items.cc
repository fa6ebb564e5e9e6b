// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/i8_items.h"

#include "core/base/check.h"
#include "simd/dot_i8.h"

namespace eta {

void RequireI8Dim(size_t dim) {
  Require(dim <= simd::kI8MaxDim, "int8 takes embeddings of up to ", simd::kI8MaxDim,
          " dimensions, not ", dim);
}

I8Items::I8Items(const ItemTable& items) : dim(items.dim()) {
  ValidateItemTable(items);
  RequireI8Dim(dim);
  values.resize(items.size() * dim);
  scales.resize(items.size());
  simd::QuantizeI8(items.embeddings.view(), values.data(), dim, scales.data());
}

}  // namespace eta
