// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/eta_asym.h"

#include <omp.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/retrieval/factor_codes.h"
#include "core/retrieval/internal/code_retriever.h"
#include "simd/asym.h"
#include "simd/factors.h"

namespace eta {
namespace {

// For each item what simd::QuantizeProjections makes of its projections as a candidate.
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
    hyperplanes.Project({items.queries().row(first), rows * items.dim()},
                        {projections, rows * stride});
    for (size_t r = 0; r < rows; ++r) {
      simd::QuantizeProjections(projections + r * stride, hyperplanes.bits(),
                                weights.row(first + r));
    }
  }
  return weights;
}

// Both forms: `Call` is the kernel's scratch size and top-K on their rows and the candidates'
// weights.
template <class Call>
class AsymRetriever final : public CodeRetriever {
 public:
  template <class... Codes>
  AsymRetriever(std::string name, Matrix<int8_t> weights, Codes&&... codes)
      : CodeRetriever(std::move(name), std::forward<Codes>(codes)...),
        weights_(std::move(weights)) {}

  size_t table_bytes() const override {
    return CodeRetriever::table_bytes() + weights_.values.size();
  }
  size_t query_bytes() const override { return weights_.cols; }

 private:
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto rows = Call::Rows(dynamic_cast<const CodeHistory&>(history), bits());
    auto& buffers = dynamic_cast<KernelScratch&>(scratch);
    const auto queries = GatherQueries(weights_.view(), candidates, buffers.queries);
    const simd::ScratchView work = ScratchFor(buffers.kernel, Call::ScratchBytes(rows, k));
    const size_t count = Call::TopK(rows, queries, {.k = k}, work, {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

  Matrix<int8_t> weights_;  // items x WeightBytes
};

struct PlainCall {
  static simd::CodeBlocksView Rows(const CodeHistory& history, size_t) { return history.view(); }
  static size_t ScratchBytes(const simd::CodeBlocksView& rows, size_t k) {
    return simd::AsymTopKScratchBytes(rows.n, rows.code_bytes, k);
  }
  static constexpr auto TopK = simd::AsymTopK;
};

struct FactorCall {
  static simd::FactorBlocksView Rows(const CodeHistory& history, size_t bits) {
    return {history.blocks.data(), history.length(), bits};
  }
  static size_t ScratchBytes(const simd::FactorBlocksView& rows, size_t k) {
    return simd::AsymFactorTopKScratchBytes(rows.n, rows.bits, k);
  }
  static constexpr auto TopK = simd::AsymFactorTopK;
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeEtaAsymRetriever(std::string name, const ItemTable& items,
                                                          const Hyperplanes& hyperplanes,
                                                          int threads) {
  FactorCodes codes = MakeFactorCodes(items, hyperplanes, FactorKind::kAsym, threads);
  auto retriever = MakeEtaAsymTableRetriever(std::move(name), codes.bits, std::move(codes.rows),
                                             MakeWeights(items, hyperplanes, threads));
  retriever->set_encoder_bytes(hyperplanes.bytes());
  return retriever;
}

std::unique_ptr<RefillableRetriever> MakeEtaAsymTableRetriever(std::string name, size_t bits,
                                                               Matrix<uint8_t> codes,
                                                               Matrix<int8_t> weights) {
  Require(codes.cols == simd::FactorCodeBytes(bits) && weights.rows == codes.rows &&
              weights.cols == simd::WeightBytes((bits + 7) / 8),
          name, ": codes [", codes.rows, ", ", codes.cols, "] and weights [", weights.rows, ", ",
          weights.cols, "] are not of ", bits, " bits");
  return std::make_unique<AsymRetriever<FactorCall>>(std::move(name), std::move(weights), bits,
                                                     std::move(codes));
}

std::unique_ptr<RefillableRetriever> MakeEtaAsymPlainRetriever(std::string name,
                                                               const ItemTable& items,
                                                               const Hyperplanes& hyperplanes,
                                                               int threads) {
  // The table first: it checks its arguments.
  CodeTable table(items, hyperplanes, threads);
  auto retriever = std::make_unique<AsymRetriever<PlainCall>>(
      std::move(name), MakeWeights(items, hyperplanes, threads), std::move(table));
  retriever->set_encoder_bytes(hyperplanes.bytes());
  return retriever;
}

}  // namespace eta
