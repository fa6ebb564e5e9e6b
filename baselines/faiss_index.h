// SPDX-License-Identifier: Apache-2.0
// Methods that keep one FAISS index over float vectors for each user, differing in the index alone.
// Not for inclusion outside baselines/.
#pragma once

#include <faiss/Index.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// An index as a method keeps it for a user.
struct FaissIndexKind {
  std::string what;                // in words, for Retriever::target
  size_t bits = 0;                 // of a code; 0 where there are no codes
  size_t shared_bytes = 0;         // what the indexes of all users share
  bool is_search_in_blas = false;  // BLAS gets FAISS's threads, else one
  // A trained index without vectors, of a kind that FaissIndexBytes knows; called by several
  // threads.
  std::function<std::unique_ptr<faiss::Index>()> make;
};

// Bytes of codes, vectors and codebooks that the index has for itself. Throws std::logic_error for
// a kind of index that it does not know: it knows flat, scalar and RaBitQ codes and the fast scan,
// also inside a rotation or a refinement.
size_t FaissIndexBytes(const faiss::Index& index);

// Searches by inner product in an index for each user, over the items' current embeddings as they
// are when a history is prepared. Histories go in oldest first. FAISS searches with `threads`
// threads and adds vectors with one. `items` must outlive the retriever.
std::unique_ptr<Retriever> MakeFaissIndexRetriever(std::string name, const ItemTable& items,
                                                   FaissIndexKind kind, int threads);

}  // namespace eta
