// SPDX-License-Identifier: Apache-2.0
// Whether an answer is what the scalar reference finds with the model that the answer names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/ctr/export.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"

namespace eta::bench {

// Positions found for some candidates; row c begins at c * k, has counts[c] of them, in any order.
struct Found {
  std::vector<int32_t> candidates;
  std::vector<int32_t> positions;
  std::vector<int32_t> counts;
};

// Hashes `history` and the candidates by core/reference, and compares the nearest k of each
// candidate, as sets. `planes` are not of kind kHadamard.
bool AgreesWithReference(const Found& found, size_t k, const ItemTable& items,
                         const Hyperplanes& planes, std::span<const int32_t> history);

// Whether logits[i], of candidates[i], are those of core/reference for the user with this history,
// up to rounding.
bool ScoresAgree(const CtrExport& model, size_t user, std::span<const int32_t> history,
                 std::span<const int32_t> candidates, std::span<const float> logits);

}  // namespace eta::bench
