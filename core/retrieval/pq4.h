// SPDX-License-Identifier: Apache-2.0
// Product quantisation with 4 bits a subspace: what ETA's codes must beat at equal bytes.
#pragma once

#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/items.h"
#include "core/retrieval/pq4_codebooks.h"
#include "core/retrieval/refillable.h"

namespace eta {

// The K behaviours whose quantised embeddings have the largest inner products with the candidate,
// as whole numbers (simd::Pq4Tables); equal ones to the newest. A history is its codes in code
// blocks, as for MakeEtaRetriever. Candidates come from a table of 16 bytes per subspace and item,
// made here: as many bytes as float embeddings of 4 dimensions a subspace. Neither `items` nor
// `codebooks` need outlive the retriever. Throws std::invalid_argument when the two differ in dim,
// the item table is malformed or threads is less than 1.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakePq4Retriever(std::string name,
                                                                   const ItemTable& items,
                                                                   const Pq4Codebooks& codebooks,
                                                                   int threads = 1);

// The same over tables that exist already: codes of bits / 8 bytes, and simd::Pq4TableBytes bytes
// of tables for each item, as Pq4Codebooks makes both. Throws std::invalid_argument when their
// shapes are others.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakePq4TableRetriever(std::string name,
                                                                        size_t bits,
                                                                        Matrix<uint8_t> codes,
                                                                        Matrix<uint8_t> tables);

}  // namespace eta
