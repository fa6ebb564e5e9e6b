// SPDX-License-Identifier: Apache-2.0
// FAISS's search over binary codes, as a method.
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
  kBest,      // the fastest of the three on the request given to Calibrate; counting until then
};

// FAISS IndexBinaryFlat over ETA's SimHash codes, with one index for each user. Returns the same
// sets as MakeEtaRetriever, ties included. The codes are copied: neither `items` nor `hyperplanes`
// need outlive the retriever. FAISS searches with `threads` threads, which also hash the item
// table.
std::unique_ptr<Retriever> MakeFaissBinaryRetriever(std::string name, const ItemTable& items,
                                                    const Hyperplanes& hyperplanes,
                                                    FaissBinaryMode mode, int threads);

}  // namespace eta
