// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

struct SimSoftOptions {
  enum class Index { kIvf, kHnsw };
  Index index = Index::kIvf;
  size_t effort = 0;  // lists probed (IVF) or efSearch (HNSW); 0 takes the default
  uint64_t seed = 1;
  int threads = 1;
};

// SIM's soft search (arXiv 2006.05639): approximate largest inner products through an index a user,
// built by FAISS. It works on a copy of the embeddings made here, as an offline index does: later
// changes to `items` do not reach it. May return fewer than K where a longer history has K.
// Throws std::invalid_argument when an embedding is not finite or too long to be multiplied.
std::unique_ptr<Retriever> MakeSimSoftRetriever(std::string name, const ItemTable& items,
                                                const SimSoftOptions& options);

}  // namespace eta
