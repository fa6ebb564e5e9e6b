// SPDX-License-Identifier: Apache-2.0
// Asymmetric ETA: the candidate's projections against the codes of the history.
#pragma once

#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/refillable.h"

namespace eta {

// A bit that differs counts as much as the candidate is far from its hyperplane (simd/asym.h); the
// K behaviours of smallest penalty, ties to the newest. Histories are prepared as for
// MakeEtaRetriever; candidates come from a table of one byte per bit and item, made here.
// Hyperplanes of kind kHadamard are applied as a matrix for it. Neither `items` nor `hyperplanes`
// need outlive the retriever. Throws as MakeEtaRetriever does.
std::unique_ptr<RefillableRetriever> MakeEtaAsymRetriever(std::string name, const ItemTable& items,
                                                          const Hyperplanes& hyperplanes,
                                                          int threads = 1);

}  // namespace eta
