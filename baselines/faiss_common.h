// SPDX-License-Identifier: Apache-2.0
// What all methods built on FAISS share, and the only place that knows how its versions differ.
// Written for FAISS 1.7.3 to 1.15. Not for inclusion outside baselines/ and its tests.
#pragma once

#include <faiss/Index.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/matrix.h"
#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// The type of a FAISS label: faiss::Index::idx_t up to 1.7.3, faiss::idx_t from 1.7.4 on.
using FaissId = decltype(faiss::Index::ntotal);

// How many threads a FAISS call may use. OpenBLAS with its own threads (Debian's default) ignores
// OpenMP's setting, and a search of 20 or more float queries is one call to BLAS.
struct FaissThreads {
  int openmp = 1;
  int blas = 1;
};

// Applies FaissThreads during its life; inside a parallel region it applies one thread, because the
// others are busy there. The OpenMP setting belongs to this thread and is restored. The OpenBLAS
// setting belongs to the process and is left as it is, because another thread may be using it.
class FaissThreadGuard {
 public:
  explicit FaissThreadGuard(FaissThreads threads);
  ~FaissThreadGuard();
  FaissThreadGuard(const FaissThreadGuard&) = delete;
  FaissThreadGuard& operator=(const FaissThreadGuard&) = delete;

 private:
  int openmp_before_;
};

// Buffers that FAISS reads from and writes to; each method uses those that it needs.
struct FaissScratch final : Scratch {
  std::vector<float> queries;
  std::vector<uint8_t> query_codes;
  std::vector<float> scores;
  std::vector<int32_t> distances;
  std::vector<FaissId> labels;
};

// A history in a FAISS index over float vectors in which label i is position i.
class FaissHistory final : public PreparedHistory {
 public:
  FaissHistory(size_t length, std::unique_ptr<const faiss::Index> index, size_t bytes)
      : PreparedHistory(length), index_(std::move(index)), bytes_(bytes) {}
  size_t bytes() const override { return bytes_; }
  const faiss::Index& index() const { return *index_; }

 private:
  std::unique_ptr<const faiss::Index> index_;
  size_t bytes_;
};

// Copies the rows of `table` with the given ids, one after another, to `rows` (ids x table.cols).
// The ids must be valid.
void GatherRows(const Matrix<float>& table, std::span<const int32_t> ids, std::vector<float>& rows);

// Searches `history` with the candidates' rows of `table` as queries and writes the positions of at
// most k results for each to `out`. `parameters` may be null. Throws std::invalid_argument when the
// dimensions of history and table differ.
void SearchEmbeddings(const FaissHistory& history, const Matrix<float>& table,
                      std::span<const int32_t> candidates, size_t k, FaissThreads threads,
                      const faiss::SearchParameters* parameters, FaissScratch& scratch,
                      RetrievedView out);

// A seed in the type that FAISS's k-means takes.
int FaissSeed(uint64_t seed);

// Training needs finite numbers, and a score that overflows finds nothing. Throws
// std::invalid_argument unless the squared norm of every row is within the range of float, which
// rules both out: no inner product exceeds the larger one.
void RequireFiniteProducts(const Matrix<float>& embeddings, const std::string& name);
// The same of behaviours and candidates.
void RequireFiniteProducts(const ItemTable& items, const std::string& name);

// Which position of a history has label 0 in an index.
enum class LabelOrder { kOldestFirst, kNewestFirst };

// Writes labels (candidates x labels_per_candidate, -1 where FAISS found nothing) to `out` as
// positions of a history of `length` behaviours, in the order of the labels.
void WriteLabels(std::span<const FaissId> labels, size_t labels_per_candidate, size_t length,
                 LabelOrder order, size_t k, RetrievedView out);

}  // namespace eta
