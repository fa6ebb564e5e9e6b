// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/i8_items.h"

#include "core/base/check.h"

namespace eta {

I8Items::I8Items(const ItemTable& items) : dim(items.dim()) {
  ValidateItemTable(items);
  Require(dim <= simd::kI8MaxDim, "int8 takes embeddings of up to ", simd::kI8MaxDim,
          " dimensions, not ", dim);
  values.resize(items.size() * dim);
  scales.resize(items.size());
  simd::QuantizeI8(simd::DenseRows(items.embeddings.values.data(), items.size(), dim),
                   values.data(), dim, scales.data());
}

}  // namespace eta
