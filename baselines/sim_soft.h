// SPDX-License-Identifier: Apache-2.0
// SIM's search by embedding, with indexes of FAISS, as a method.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// How the index of a user is built and searched.
struct SimSoftOptions {
  enum class Index { kIvf, kIvfPq, kHnsw };
  Index index = Index::kIvf;
  size_t effort = 0;  // lists probed (both IVF) or efSearch (HNSW); 0 takes the default
  uint64_t seed = 1;  // of k-means (both IVF) and of the levels (HNSW)
  int threads = 1;    // of a search; an index is built with one
};

// SIM's soft search (arXiv 2006.05639, section 3.2): approximate largest inner products from an
// index for each user, built by FAISS. It searches a copy of the embeddings made here, as an
// offline index does: later changes to `items` do not reach it, and `items` need not outlive the
// retriever. May return fewer than min(K, n) of n behaviours. Throws std::invalid_argument when an
// embedding is not finite, or so long that inner products could exceed the range of float.
std::unique_ptr<Retriever> MakeSimSoftRetriever(std::string name, const ItemTable& items,
                                                const SimSoftOptions& options);

}  // namespace eta
