// SPDX-License-Identifier: Apache-2.0
// ETA (arXiv 2108.04468): Hamming top-K over SimHash codes.
#pragma once

#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/refillable.h"

namespace eta {

// For each candidate the K behaviours of smallest Hamming distance; ties go to the newest. All
// items are hashed here, with up to `threads` threads, and a candidate's code is looked up, as in
// serving. A prepared history is its codes in code blocks (simd/code_blocks.h). Neither `items` nor
// `hyperplanes` need outlive the retriever. Throws std::invalid_argument when the two differ in
// dim, the item table is malformed or threads is less than 1.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaRetriever(std::string name,
                                                                   const ItemTable& items,
                                                                   const Hyperplanes& hyperplanes,
                                                                   int threads = 1);

// The same over codes that exist already: items x ceil(bits / 8) bytes. `codes` is read in place
// and must outlive the retriever. Throws std::invalid_argument when its width is another.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaRetriever(std::string name, size_t bits,
                                                                   const Matrix<uint8_t>& codes);

}  // namespace eta
