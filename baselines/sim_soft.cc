// SPDX-License-Identifier: Apache-2.0
#include "baselines/sim_soft.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQFastScan.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "baselines/faiss_common.h"
#include "baselines/faiss_pq.h"
#include "baselines/methods.h"
#include "core/base/check.h"

namespace eta {
namespace {

// Shorter histories are scanned whole: an index saves no time there, and its few lists would not
// hold enough behaviours.
constexpr size_t kFlatBelow = 256;

// Lists probed by default: one in 4, and at least so many that they hold about 2 K behaviours at
// K = 64.
constexpr size_t kProbedShare = 4;
constexpr size_t kLeastProbes = 8;
constexpr int kHnswNeighbours = 16;
constexpr int kHnswEfConstruction = 40;
constexpr size_t kHnswEfSearch = 64;

struct BuiltIndex {
  std::unique_ptr<const faiss::Index> index;
  size_t bytes;
};

BuiltIndex BuildFlat(std::span<const float> rows, size_t n, size_t dim) {
  auto index = std::make_unique<faiss::IndexFlatIP>(static_cast<FaissId>(dim));
  index->add(static_cast<FaissId>(n), rows.data());
  return {std::move(index), rows.size_bytes()};
}

// Two dimensions for each sub-quantiser, one where the dimension is odd.
size_t SubquantizersOf(size_t dim) { return dim % 2 == 0 ? dim / 2 : dim; }

// Block lists are filled up to whole blocks.
size_t FastScanBytes(const faiss::IndexIVFPQFastScan& index) {
  const auto block = static_cast<size_t>(index.bbs);
  size_t codes = 0;
  for (size_t list = 0; list < index.nlist; ++list) {
    codes += (index.invlists->list_size(list) + block - 1) / block * block;
  }
  return codes * index.M2 / 2 + index.pq.centroids.size() * sizeof(float);
}

// About sqrt(n) lists, so that choosing lists and scanning them cost alike. The codes of lists are
// made by `codebooks`, which all users share, or are the rows where there are none.
BuiltIndex BuildIvf(std::span<const float> rows, size_t n, size_t dim,
                    const SimSoftOptions& options, const faiss::ProductQuantizer* codebooks) {
  const auto lists = static_cast<size_t>(std::lround(std::sqrt(static_cast<double>(n))));
  auto quantizer = std::make_unique<faiss::IndexFlatIP>(static_cast<FaissId>(dim));
  std::unique_ptr<faiss::IndexIVF> index;
  faiss::IndexIVFPQFastScan* fast_scan = nullptr;
  if (codebooks == nullptr) {
    index = std::make_unique<faiss::IndexIVFFlat>(quantizer.get(), dim, lists,
                                                  faiss::METRIC_INNER_PRODUCT);
  } else {
    index = std::make_unique<faiss::IndexIVFPQFastScan>(quantizer.get(), dim, lists, codebooks->M,
                                                        kFaissPqBits, faiss::METRIC_INNER_PRODUCT);
    fast_scan = dynamic_cast<faiss::IndexIVFPQFastScan*>(index.get());
    fast_scan->pq = *codebooks;
  }
  index->quantizer = quantizer.release();
  index->own_fields = true;
  // Not more than there are: the fast scan of 1.7.3 makes room for as many as it is told.
  index->nprobe = std::min(
      lists, options.effort > 0 ? options.effort : std::max(kLeastProbes, lists / kProbedShare));
  index->cp.seed = FaissSeed(options.seed);
  // Centroids of inner-product lists differ by direction only; long ones would attract every query.
  index->cp.spherical = true;
  index->cp.min_points_per_centroid = 1;  // else FAISS warns on stderr
  // The lists alone; train() would make codebooks for this history.
  index->train_q1(n, rows.data(), false, faiss::METRIC_INNER_PRODUCT);
  index->is_trained = true;
  index->add(static_cast<FaissId>(n), rows.data());
  const size_t codes = fast_scan == nullptr ? rows.size_bytes() : FastScanBytes(*fast_scan);
  const size_t bytes = codes + n * sizeof(FaissId) + lists * dim * sizeof(float);
  return {std::move(index), bytes};
}

BuiltIndex BuildHnsw(std::span<const float> rows, size_t n, size_t dim,
                     const SimSoftOptions& options) {
  auto index = std::make_unique<faiss::IndexHNSWFlat>(static_cast<int>(dim), kHnswNeighbours,
                                                      faiss::METRIC_INNER_PRODUCT);
  faiss::HNSW& graph = index->hnsw;
  graph.rng = faiss::RandomGenerator(static_cast<int64_t>(options.seed));
  graph.efConstruction = kHnswEfConstruction;
  index->add(static_cast<FaissId>(n), rows.data());
  const size_t bytes = rows.size_bytes() + graph.levels.size() * sizeof(graph.levels[0]) +
                       graph.offsets.size() * sizeof(graph.offsets[0]) +
                       graph.neighbors.size() * sizeof(graph.neighbors[0]);
  return {std::move(index), bytes};
}

const char* IndexName(SimSoftOptions::Index index) {
  switch (index) {
    case SimSoftOptions::Index::kIvf:
      return ", IVF";
    case SimSoftOptions::Index::kIvfPq:
      return ", IVF with PQ fast scan";
    case SimSoftOptions::Index::kHnsw:
      return ", HNSW";
  }
  return "";
}

class SimSoft final : public Retriever {
 public:
  SimSoft(std::string name, const ItemTable& items, const SimSoftOptions& options)
      : Retriever(std::move(name), items.size()),
        items_{items.embeddings, {}, items.candidate_embeddings},
        options_(options) {
    RequireFiniteProducts(items, this->name());
    if (options.index != SimSoftOptions::Index::kIvfPq) return;
    codebooks_ = std::make_unique<faiss::ProductQuantizer>(
        TrainFaissPq(FaissTrainingRows(items_.embeddings), items_.dim(),
                     SubquantizersOf(items_.dim()), options.seed));
  }

  std::string target() const override {
    return Cat("FAISS ", FaissBuild(), IndexName(options_.index));
  }
  size_t table_bytes() const override {
    const size_t centroids = codebooks_ ? codebooks_->centroids.size() : 0;
    return items_.embedding_bytes() + centroids * sizeof(float);
  }
  bool threads_itself() const override { return true; }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<FaissScratch>(); }

 private:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override;
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override;

  ItemTable items_;                                           // without categories
  std::unique_ptr<const faiss::ProductQuantizer> codebooks_;  // of kIvfPq
  SimSoftOptions options_;
};

std::unique_ptr<PreparedHistory> SimSoft::DoPrepare(std::span<const int32_t> history) const {
  const size_t n = history.size();
  std::vector<float> rows;
  GatherRows(items_.embeddings, history, rows);
  // One thread: FAISS's parallel HNSW construction gives another graph each time.
  const FaissThreadGuard guard({.openmp = 1, .blas = 1});
  BuiltIndex built = n < kFlatBelow ? BuildFlat(rows, n, items_.dim())
                     : options_.index == SimSoftOptions::Index::kHnsw
                         ? BuildHnsw(rows, n, items_.dim(), options_)
                         : BuildIvf(rows, n, items_.dim(), options_, codebooks_.get());
  return std::make_unique<FaissHistory>(n, std::move(built.index), built.bytes);
}

void SimSoft::DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates,
                         size_t k, Scratch& scratch, RetrievedView out) const {
  const auto& prepared = dynamic_cast<const FaissHistory&>(history);
  // A search that keeps fewer than K open nodes may stop with fewer than K results.
  faiss::SearchParametersHNSW hnsw_parameters;
  hnsw_parameters.efSearch = static_cast<int>(std::max(
      options_.effort > 0 ? options_.effort : kHnswEfSearch, std::min(k, prepared.length())));
  const bool is_hnsw = dynamic_cast<const faiss::IndexHNSW*>(&prepared.index()) != nullptr;
  // BLAS has one thread because FAISS runs slices of an IVF search, each with its own call to BLAS,
  // on its OpenMP threads.
  SearchEmbeddings(prepared, items_.queries(), candidates, k,
                   {.openmp = options_.threads, .blas = 1}, is_hnsw ? &hnsw_parameters : nullptr,
                   dynamic_cast<FaissScratch&>(scratch), out);
}

}  // namespace

std::unique_ptr<Retriever> MakeSimSoftRetriever(std::string name, const ItemTable& items,
                                                const SimSoftOptions& options) {
  return std::make_unique<SimSoft>(std::move(name), items, options);
}

}  // namespace eta
