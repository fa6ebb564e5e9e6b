// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/eta_asym.h"

#include <omp.h>

#include <algorithm>
#include <utility>

#include "core/retrieval/factor_codes.h"
#include "core/retrieval/internal/code_retriever.h"
#include "simd/asym.h"
#include "simd/factors.h"

namespace eta {
namespace {

// For each item what simd::QuantizeProjections makes of its projections.
Matrix<int8_t> MakeWeights(const ItemTable& items, const Hyperplanes& hyperplanes, int threads) {
  constexpr size_t kRowsPerTask = 64;  // whose projections, of 64 bits, take 16 KiB of L1
  Matrix<int8_t> weights(items.size(), simd::WeightBytes(hyperplanes.code_bytes()));
  const size_t stride = hyperplanes.projection_stride();
  const auto tasks = static_cast<int64_t>((items.size() + kRowsPerTask - 1) / kRowsPerTask);
  AlignedVector<float> scratch(static_cast<size_t>(threads) * kRowsPerTask * stride);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t task = 0; task < tasks; ++task) {
    const size_t first = static_cast<size_t>(task) * kRowsPerTask;
    const size_t rows = std::min(kRowsPerTask, items.size() - first);
    float* projections =
        scratch.data() + static_cast<size_t>(omp_get_thread_num()) * kRowsPerTask * stride;
    hyperplanes.Project({items.embeddings.row(first), rows * items.dim()},
                        {projections, rows * stride});
    for (size_t r = 0; r < rows; ++r) {
      simd::QuantizeProjections(projections + r * stride, hyperplanes.bits(),
                                weights.row(first + r));
    }
  }
  return weights;
}

class EtaAsymPlainRetriever final : public CodeRetriever {
 public:
  EtaAsymPlainRetriever(std::string name, const ItemTable& items, const Hyperplanes& hyperplanes,
                        int threads)
      : CodeRetriever(std::move(name), items, hyperplanes, threads),
        weights_(MakeWeights(items, hyperplanes, threads)) {}

  size_t table_bytes() const override {
    return CodeRetriever::table_bytes() + weights_.values.size();
  }
  size_t query_bytes() const override { return weights_.cols; }

 private:
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const CodeHistory&>(history);
    auto& buffers = dynamic_cast<KernelScratch&>(scratch);
    const size_t n = prepared.length();
    const auto queries = GatherQueries(weights_.view(), candidates, buffers.queries);
    void* work = buffers.kernel.Get<uint8_t>(simd::AsymTopKScratchBytes(n, code_bytes(), k));
    const size_t count =
        simd::AsymTopK(prepared.view(), queries, {.k = k}, work, {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

  Matrix<int8_t> weights_;  // items x WeightBytes
};

class EtaAsymRetriever final : public CodeRetriever {
 public:
  EtaAsymRetriever(std::string name, FactorCodes codes, Matrix<int8_t> weights)
      : CodeRetriever(std::move(name), codes.bits, std::move(codes.rows)),
        weights_(std::move(weights)) {}

  size_t table_bytes() const override {
    return CodeRetriever::table_bytes() + weights_.values.size();
  }
  size_t query_bytes() const override { return weights_.cols; }

 private:
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const CodeHistory&>(history);
    auto& buffers = dynamic_cast<KernelScratch&>(scratch);
    const simd::FactorBlocksView rows = {prepared.blocks.data(), prepared.length(), bits()};
    const auto queries = GatherQueries(weights_.view(), candidates, buffers.queries);
    void* work = buffers.kernel.Get<uint8_t>(simd::AsymFactorTopKScratchBytes(rows.n, bits(), k));
    const size_t count =
        simd::AsymFactorTopK(rows, queries, {.k = k}, work, {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

  Matrix<int8_t> weights_;  // items x WeightBytes
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeEtaAsymRetriever(std::string name, const ItemTable& items,
                                                          const Hyperplanes& hyperplanes,
                                                          int threads) {
  FactorCodes codes = MakeFactorCodes(items, hyperplanes, FactorKind::kAsym, threads);
  return std::make_unique<EtaAsymRetriever>(std::move(name), std::move(codes),
                                            MakeWeights(items, hyperplanes, threads));
}

std::unique_ptr<RefillableRetriever> MakeEtaAsymPlainRetriever(std::string name,
                                                               const ItemTable& items,
                                                               const Hyperplanes& hyperplanes,
                                                               int threads) {
  return std::make_unique<EtaAsymPlainRetriever>(std::move(name), items, hyperplanes, threads);
}

}  // namespace eta
