// SPDX-License-Identifier: Apache-2.0
// A history of which a method keeps the length alone.
#pragma once

#include <cstddef>

#include "core/retrieval/refillable.h"

namespace eta {

struct HistoryLength final : RefillableHistory {
  using RefillableHistory::RefillableHistory;
  size_t bytes() const override { return 0; }
};

}  // namespace eta
