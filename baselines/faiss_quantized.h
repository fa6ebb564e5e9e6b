// SPDX-License-Identifier: Apache-2.0
// FAISS's quantised searches by inner product, as methods, with one index for each user. All are
// trained once, on the items as they are at construction; the embeddings that are coded are those
// at Prepare. Which of equal scores at the border FAISS returns is unspecified. All throw
// std::invalid_argument when an embedding is not finite or too long for the range of float.
// `items` must outlive the retriever. FAISS searches with `threads` threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

#if __has_include(<faiss/IndexRaBitQ.h>)
#define ETA_FAISS_HAS_RABITQ 1
#endif

namespace eta {

// How the indexes of MakeFaissPq4Retriever are made.
struct FaissPq4Options {
  size_t bits = 64;         // of a code, 4 for each sub-quantiser
  size_t refine = 0;        // refine * K behaviours are scored exactly; 0 for no such step
  bool is_rotated = false;  // OPQMatrix comes first: a rotation that fits the sub-quantisers
  uint64_t seed = 1;        // of k-means
  int threads = 1;          // of a search
};

// FAISS adds up to 255 for each sub-quantiser in 16 bits: 257 of them fit, and 256 make whole
// bytes.
inline constexpr size_t kMaxFaissPq4Bits = 1024;

// FAISS IndexPQFastScan, in blocks of 32 codes and with the search that FAISS chooses by k; with
// `refine`, inside an IndexRefineFlat. The codebooks are trained on a sample of the items and
// copied into each index; all indexes share the rotation. FAISS scores with tables of bytes and
// never returns a behaviour with the least score that they allow, so a candidate whose embedding is
// 0 gets nothing. Also throws std::invalid_argument unless bits is a multiple of 8 in [8,
// kMaxFaissPq4Bits] and dim a multiple of the bits / 4 sub-quantisers.
std::unique_ptr<Retriever> MakeFaissPq4Retriever(std::string name, const ItemTable& items,
                                                 const FaissPq4Options& options);

// FAISS IndexScalarQuantizer: a byte a dimension, between the least and the greatest value that the
// dimension has among the items.
std::unique_ptr<Retriever> MakeFaissSq8Retriever(std::string name, const ItemTable& items,
                                                 int threads);

#ifdef ETA_FAISS_HAS_RABITQ
// FAISS IndexRaBitQ behind a random rotation, which it leaves to its caller: a bit a dimension and
// two floats a behaviour, around the mean of a sample of the items; 4 bits for each value of a
// candidate, as in the paper (Gao and Long, SIGMOD 2024).
std::unique_ptr<Retriever> MakeFaissRaBitQRetriever(std::string name, const ItemTable& items,
                                                    uint64_t seed, int threads);
#endif

}  // namespace eta
