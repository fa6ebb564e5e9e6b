// SPDX-License-Identifier: Apache-2.0
#include "baselines/sim_soft.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFFlat.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "baselines/faiss_common.h"
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

// About sqrt(n) lists, so that choosing lists and scanning them cost alike.
BuiltIndex BuildIvf(std::span<const float> rows, size_t n, size_t dim,
                    const SimSoftOptions& options) {
  const auto lists = static_cast<size_t>(std::lround(std::sqrt(static_cast<double>(n))));
  auto quantizer = std::make_unique<faiss::IndexFlatIP>(static_cast<FaissId>(dim));
  auto index = std::make_unique<faiss::IndexIVFFlat>(quantizer.get(), dim, lists,
                                                     faiss::METRIC_INNER_PRODUCT);
  index->quantizer = quantizer.release();
  index->own_fields = true;
  index->nprobe =
      options.effort > 0 ? options.effort : std::max(kLeastProbes, lists / kProbedShare);
  index->cp.seed = FaissSeed(options.seed);
  // Centroids of inner-product lists differ by direction only; long ones would attract every query.
  index->cp.spherical = true;
  index->cp.min_points_per_centroid = 1;  // else FAISS warns on stderr
  index->train(static_cast<FaissId>(n), rows.data());
  index->add(static_cast<FaissId>(n), rows.data());
  const size_t bytes = rows.size_bytes() + n * sizeof(FaissId) + lists * dim * sizeof(float);
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

class SimSoft final : public Retriever {
 public:
  SimSoft(std::string name, const ItemTable& items, const SimSoftOptions& options)
      : Retriever(std::move(name), items.size()), embeddings_(items.embeddings), options_(options) {
    RequireFiniteProducts(embeddings_, this->name());
  }

  std::string target() const override {
    const bool is_ivf = options_.index == SimSoftOptions::Index::kIvf;
    return Cat("FAISS ", FaissBuild(), is_ivf ? ", IVF" : ", HNSW");
  }
  size_t table_bytes() const override { return embeddings_.values.size() * sizeof(float); }
  bool threads_itself() const override { return true; }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<FaissScratch>(); }

 private:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override;
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override;

  Matrix<float> embeddings_;
  SimSoftOptions options_;
};

std::unique_ptr<PreparedHistory> SimSoft::DoPrepare(std::span<const int32_t> history) const {
  const size_t n = history.size();
  std::vector<float> rows;
  GatherRows(embeddings_, history, rows);
  // One thread: FAISS's parallel HNSW construction gives another graph each time.
  const FaissThreadGuard guard({.openmp = 1, .blas = 1});
  BuiltIndex built = n < kFlatBelow ? BuildFlat(rows, n, embeddings_.cols)
                     : options_.index == SimSoftOptions::Index::kIvf
                         ? BuildIvf(rows, n, embeddings_.cols, options_)
                         : BuildHnsw(rows, n, embeddings_.cols, options_);
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
  SearchEmbeddings(prepared, embeddings_, candidates, k, {.openmp = options_.threads, .blas = 1},
                   is_hnsw ? &hnsw_parameters : nullptr, dynamic_cast<FaissScratch&>(scratch), out);
}

}  // namespace

std::unique_ptr<Retriever> MakeSimSoftRetriever(std::string name, const ItemTable& items,
                                                const SimSoftOptions& options) {
  return std::make_unique<SimSoft>(std::move(name), items, options);
}

}  // namespace eta
