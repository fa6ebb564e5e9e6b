// SPDX-License-Identifier: Apache-2.0
// SIM's hard search for histories that are refilled in place.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/retrieval/refillable.h"

namespace eta {

// The newest k behaviours of the candidate's own category. What baselines/sim_hard.h finds, by
// other means: there a history is inverted lists, 4 bytes a behaviour and 8 a category, which are
// faster to search but built anew for each history; here it is keys of 8 bytes a behaviour that are
// sorted in place. `categories`, one per item, are not negative; they are read in place and must
// outlive the retriever.
std::unique_ptr<RefillableRetriever> MakeRefillableSimHardRetriever(
    std::string name, std::span<const int32_t> categories);

}  // namespace eta
