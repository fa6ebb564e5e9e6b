// SPDX-License-Identifier: Apache-2.0
// The retrievers made of this project's kernels: ETA, from packed blocks or gathered for each
// request or with asymmetric penalties, and the exact float32 scan it must beat.
#pragma once

#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/retriever.h"

namespace eta {

// ETA (arXiv 2108.04468): Hamming top-K over SimHash codes. Candidate codes come from the code
// table, as in serving. `items` must outlive the retriever.
std::unique_ptr<Retriever> MakeEtaRetriever(std::string name, const ItemTable& items,
                                            const Hyperplanes& hyperplanes, int threads = 1);

// The same answers without packed blocks per user: a prepared history is its item ids, and each
// Retrieve gathers their codes from the code table before it scans them.
std::unique_ptr<Retriever> MakeEtaGatherRetriever(std::string name, const ItemTable& items,
                                                  const Hyperplanes& hyperplanes, int threads = 1);

// The candidate's projections against the codes of ETA: a bit that differs counts as much as the
// candidate is far from its hyperplane (simd/asym.h). The same packed blocks; candidates come from
// a table of a byte per bit and item, made here. Hyperplanes of kind kHadamard are applied as a
// matrix for it.
std::unique_ptr<Retriever> MakeEtaAsymRetriever(std::string name, const ItemTable& items,
                                                const Hyperplanes& hyperplanes, int threads = 1);

// All inner products in float32, then the largest K: recall 1 by definition.
std::unique_ptr<Retriever> MakeExactRetriever(std::string name, const ItemTable& items);

}  // namespace eta
