// SPDX-License-Identifier: Apache-2.0
#include "baselines/faiss_index.h"

#include <faiss/IndexFlatCodes.h>
#include <faiss/IndexPQFastScan.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/IndexScalarQuantizer.h>

#if __has_include(<faiss/IndexRaBitQ.h>)
#include <faiss/IndexRaBitQ.h>
#endif

#include <stdexcept>
#include <utility>
#include <vector>

#include "baselines/faiss_common.h"
#include "baselines/methods.h"
#include "core/base/check.h"

namespace eta {
namespace {

class FaissIndexRetriever final : public Retriever {
 public:
  FaissIndexRetriever(std::string name, const ItemTable& items, FaissIndexKind kind, int threads)
      : Retriever(std::move(name), items.size()),
        items_(items),
        kind_(std::move(kind)),
        threads_{.openmp = threads, .blas = kind_.is_search_in_blas ? threads : 1} {
    ValidateItemTable(items);
  }

  std::string target() const override { return Cat("FAISS ", FaissBuild(), ", ", kind_.what); }
  size_t bits() const override { return kind_.bits; }
  size_t table_bytes() const override { return items_.embedding_bytes() + kind_.shared_bytes; }
  size_t item_table_bytes() const override { return items_.embedding_bytes(); }
  bool threads_itself() const override { return true; }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<FaissScratch>(); }

 private:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    // Nobody searches an empty history, so it has no index.
    if (history.empty()) return std::make_unique<FaissHistory>(0, nullptr, 0);
    std::vector<float> rows;
    GatherRows(items_.embeddings, history, rows);
    const FaissThreadGuard guard({.openmp = 1, .blas = 1});
    std::unique_ptr<faiss::Index> index = kind_.make();
    index->add(static_cast<FaissId>(history.size()), rows.data());
    const size_t bytes = FaissIndexBytes(*index);
    return std::make_unique<FaissHistory>(history.size(), std::move(index), bytes);
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    SearchEmbeddings(dynamic_cast<const FaissHistory&>(history), items_.queries(), candidates, k,
                     threads_, nullptr, dynamic_cast<FaissScratch&>(scratch), out);
  }

  const ItemTable& items_;
  FaissIndexKind kind_;
  FaissThreads threads_;
};

}  // namespace

size_t FaissIndexBytes(const faiss::Index& index) {
  if (const auto* refined = dynamic_cast<const faiss::IndexRefine*>(&index)) {
    return FaissIndexBytes(*refined->base_index) + FaissIndexBytes(*refined->refine_index);
  }
  if (const auto* rotated = dynamic_cast<const faiss::IndexPreTransform*>(&index)) {
    return FaissIndexBytes(*rotated->index);
  }
  if (const auto* fast_scan = dynamic_cast<const faiss::IndexPQFastScan*>(&index)) {
    return fast_scan->codes.size() + fast_scan->pq.centroids.size() * sizeof(float);
  }
  if (const auto* scalar = dynamic_cast<const faiss::IndexScalarQuantizer*>(&index)) {
    return scalar->codes.size() + scalar->sq.trained.size() * sizeof(float);
  }
#if __has_include(<faiss/IndexRaBitQ.h>)
  if (const auto* rabitq = dynamic_cast<const faiss::IndexRaBitQ*>(&index)) {
    return rabitq->codes.size() + rabitq->center.size() * sizeof(float);
  }
#endif
  if (const auto* flat = dynamic_cast<const faiss::IndexFlatCodes*>(&index)) {
    return flat->codes.size();
  }
  throw std::logic_error("FaissIndexBytes: unknown kind of index");
}

std::unique_ptr<Retriever> MakeFaissIndexRetriever(std::string name, const ItemTable& items,
                                                   FaissIndexKind kind, int threads) {
  return std::make_unique<FaissIndexRetriever>(std::move(name), items, std::move(kind), threads);
}

}  // namespace eta
