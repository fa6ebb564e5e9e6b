// SPDX-License-Identifier: Apache-2.0
// Behaviours drawn at random, as a method: the floor of every measure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/retrieval/refillable.h"

namespace eta {

// K behaviours of the history, each set of K as likely as any other, another one for each candidate
// item: what retrieval without knowledge gets. The draw depends on the seed, the candidate and the
// length of the history alone. Item ids are 0 to num_items - 1.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeRandomRetriever(std::string name,
                                                                      size_t num_items,
                                                                      uint64_t seed);

}  // namespace eta
