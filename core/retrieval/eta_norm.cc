// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/eta_norm.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/retrieval/factor_codes.h"
#include "core/retrieval/internal/code_retriever.h"
#include "simd/factors.h"

namespace eta {
namespace {

class EtaNormRetriever final : public CodeRetriever {
 public:
  using CodeRetriever::CodeRetriever;

 private:
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const CodeHistory&>(history);
    auto& buffers = dynamic_cast<KernelScratch&>(scratch);
    const simd::FactorBlocksView rows = {prepared.blocks.data(), prepared.length(), bits()};
    const auto queries = GatherQueries(candidate_codes(), candidates, buffers.queries);
    const simd::ScratchView work =
        ScratchFor(buffers.kernel, simd::NormTopKScratchBytes(rows.n, bits(), k));
    const size_t count = simd::NormTopK(rows, queries, {.k = k}, work, {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeEtaNormRetriever(std::string name, const ItemTable& items,
                                                          const Hyperplanes& hyperplanes,
                                                          int threads) {
  FactorCodes codes = MakeFactorCodes(items, hyperplanes, FactorKind::kNorm, threads);
  auto retriever =
      std::make_unique<EtaNormRetriever>(std::move(name), codes.bits, std::move(codes.rows));
  retriever->set_encoder_bytes(hyperplanes.bytes());
  retriever->SetCandidateCodes(CodeTable::OfCandidates(items, hyperplanes, threads));
  return retriever;
}

std::unique_ptr<RefillableRetriever> MakeEtaNormTableRetriever(std::string name, size_t bits,
                                                               Matrix<uint8_t> codes) {
  Require(codes.cols == simd::FactorCodeBytes(bits), name, ": rows of ", codes.cols,
          " bytes (expected ", simd::FactorCodeBytes(bits), ", for ", bits, " bits and a factor)");
  return std::make_unique<EtaNormRetriever>(std::move(name), bits, std::move(codes));
}

}  // namespace eta
