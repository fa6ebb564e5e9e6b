// SPDX-License-Identifier: Apache-2.0
// A second look: a longer list of any method, cut to K by exact inner products.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/refillable.h"

namespace eta {

// At K = 64 a shortlist of 4,096: more than most histories have.
inline constexpr size_t kMaxRerankFactor = 64;

// From the min(factor * K, n) behaviours that `first` retrieves, the K of largest float32 inner
// product; equal ones to the newest. `first` must be over the same items and return min(k, n)
// positions, as all retrievers of codes do. Embeddings are read from `items` row by row, so a
// prepared history holds what `first` keeps and item ids, and `items` must outlive the retriever.
// Where factor * K >= n the answers are those of MakeExactRetriever, unless scores are so close
// that the order of summation decides. Throws std::invalid_argument when factor is not in [1,
// kMaxRerankFactor] or `first` is null, and Retrieve does where `first` returns fewer positions.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeRerankRetriever(
    std::string name, const ItemTable& items, std::unique_ptr<RefillableRetriever> first,
    size_t factor);

// The same with inner products of embeddings quantised to int8, a quarter of the bytes to read:
// where factor * K >= n the answers are those of MakeScanI8Retriever. The table of quantised items
// is made here and kept: `items` need not outlive the retriever. Throws std::invalid_argument also
// when the items have more than 4,096 dimensions.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeRerankI8Retriever(
    std::string name, const ItemTable& items, std::unique_ptr<RefillableRetriever> first,
    size_t factor);

// Both behind MakeEtaRetriever. `hyperplanes` need not outlive the retriever. Throw as well what
// MakeEtaRetriever does.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaRerankRetriever(
    std::string name, const ItemTable& items, const Hyperplanes& hyperplanes, size_t factor,
    int threads = 1);
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaRerankI8Retriever(
    std::string name, const ItemTable& items, const Hyperplanes& hyperplanes, size_t factor,
    int threads = 1);

}  // namespace eta
