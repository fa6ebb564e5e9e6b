// SPDX-License-Identifier: Apache-2.0
// FAISS's exact search by inner product, as a method.
#pragma once

#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// FAISS IndexFlatIP over the items' current embeddings, with one index for each user: all inner
// products. FAISS decides which of several equal scores at the border it returns (see the .cc), and
// it leaves out behaviours whose score is NaN or -infinity. FAISS searches with `threads` threads.
// `items` must outlive the retriever.
std::unique_ptr<Retriever> MakeFaissExactRetriever(std::string name, const ItemTable& items,
                                                   int threads);

}  // namespace eta
