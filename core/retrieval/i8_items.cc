// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/i8_items.h"

#include "core/base/check.h"
#include "simd/dot_i8.h"

namespace eta {

void RequireI8Dim(size_t dim) {
  Require(dim <= simd::kI8MaxDim, "int8 takes embeddings of up to ", simd::kI8MaxDim,
          " dimensions, not ", dim);
}

I8Items::I8Items(const Matrix<float>& embeddings) : dim(embeddings.cols) {
  RequireI8Dim(dim);
  values.resize(embeddings.rows * dim);
  scales.resize(embeddings.rows);
  simd::QuantizeI8(embeddings.view(), values.data(), dim, scales.data());
}

namespace {

const ItemTable& Checked(const ItemTable& items) {
  ValidateItemTable(items);
  return items;
}

}  // namespace

I8Items::I8Items(const ItemTable& items) : I8Items(Checked(items).embeddings) {}

std::optional<I8Items> I8Items::OfCandidates(const ItemTable& items) {
  ValidateItemTable(items);
  if (!items.candidate_embeddings) return std::nullopt;
  return I8Items(*items.candidate_embeddings);
}

}  // namespace eta
