// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/i8_items.h"

#include "core/base/check.h"
#include "simd/dot_i8.h"

namespace eta {

I8Items::I8Items(const ItemTable& items) : dim(items.dim()) {
  constexpr size_t kMaxI8Dim = 4096;  // what the kernels take
  ValidateItemTable(items);
  Require(dim <= kMaxI8Dim, "int8 takes embeddings of up to ", kMaxI8Dim, " dimensions, not ", dim);
  values.resize(items.size() * dim);
  scales.resize(items.size());
  simd::QuantizeI8(items.embeddings.values.data(), items.size(), dim, dim, values.data(), dim,
                   scales.data());
}

}  // namespace eta
