// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/retriever.h"

namespace eta {

// Ways to make IndexBinaryFlat do the same search.
enum class FaissBinaryMode {
  kHeap,      // a heap of the K nearest per query
  kCounting,  // a list of labels per distance and query
  kSingle,    // the heap, one query per call
  kBest,      // the fastest of them on the request given to Calibrate; counting before that
};

// FAISS IndexBinaryFlat, one index a user, over the same SimHash codes as ETA's: the same sets,
// ties included.
std::unique_ptr<Retriever> MakeFaissBinaryRetriever(std::string name, const ItemTable& items,
                                                    const Hyperplanes& hyperplanes,
                                                    FaissBinaryMode mode, int threads);

}  // namespace eta
