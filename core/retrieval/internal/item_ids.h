// SPDX-License-Identifier: Apache-2.0
// A history that is item ids: what a method keeps that gathers rows for each request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/aligned.h"
#include "core/retrieval/refillable.h"

namespace eta {

struct ItemIds final : RefillableHistory {
  explicit ItemIds(size_t capacity) : RefillableHistory(capacity), ids(capacity) {}
  size_t bytes() const override { return length() * sizeof(int32_t); }
  bool has_item_ids() const override { return true; }
  std::span<const int32_t> in_use() const { return {ids.data(), length()}; }

  AlignedVector<int32_t> ids;
};

}  // namespace eta
