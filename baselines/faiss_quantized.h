// SPDX-License-Identifier: Apache-2.0
// FAISS's quantised searches by inner product, as methods.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// How the indexes of MakeFaissPq4Retriever are made.
struct FaissPq4Options {
  size_t bits = 64;   // of a code, 4 for each sub-quantiser
  size_t refine = 0;  // refine * K behaviours are scored exactly; 0 for no such step
  uint64_t seed = 1;  // of k-means
  int threads = 1;    // of a search
};

// FAISS IndexPQFastScan with one index for each user, in blocks of 32 codes and with the search
// that FAISS chooses by k; with `refine`, inside an IndexRefineFlat. The codebooks are trained here
// once, on a sample of the items, and copied into each index; later embeddings are coded with them.
// FAISS scores with tables of bytes and keeps any of the scores that tie at the border. It never
// returns a behaviour with the least score that its tables allow, so a candidate whose embedding
// is 0 gets nothing. Throws std::invalid_argument unless bits is a multiple of 8 in
// [8, kMaxFaissPq4Bits] and dim a multiple of the bits / 4 sub-quantisers; also when an embedding
// is not finite or too long for the range of float. `items` must outlive the retriever.
std::unique_ptr<Retriever> MakeFaissPq4Retriever(std::string name, const ItemTable& items,
                                                 const FaissPq4Options& options);

// FAISS adds up to 255 for each sub-quantiser in 16 bits: 257 of them fit, and 256 make whole
// bytes.
inline constexpr size_t kMaxFaissPq4Bits = 1024;

}  // namespace eta
