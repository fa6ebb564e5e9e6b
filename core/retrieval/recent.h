// SPDX-License-Identifier: Apache-2.0
// The newest behaviours, as a method.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/retrieval/refillable.h"

namespace eta {

// The newest K behaviours, newest first, whatever the candidate: what truncating the history does.
// Item ids are 0 to num_items - 1.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeRecentRetriever(std::string name,
                                                                      size_t num_items);

}  // namespace eta
