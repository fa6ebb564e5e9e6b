// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// FAISS IndexFlatIP, one index a user, over the items' current embeddings: all inner products.
// Which of several equal scores at the border are returned is up to FAISS (see the .cc), and it
// leaves out behaviours whose score is NaN or -infinity. `items` must outlive the retriever.
std::unique_ptr<Retriever> MakeFaissExactRetriever(std::string name, const ItemTable& items,
                                                   int threads);

}  // namespace eta
