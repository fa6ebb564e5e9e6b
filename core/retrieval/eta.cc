// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/eta.h"

#include <algorithm>
#include <utility>

#include "core/retrieval/internal/code_retriever.h"

namespace eta {
namespace {

class EtaRetriever final : public CodeRetriever {
 public:
  using CodeRetriever::CodeRetriever;

 private:
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const CodeHistory&>(history);
    const size_t count = HammingTopK(prepared.view(), candidates, k,
                                     dynamic_cast<KernelScratch&>(scratch), out.positions.data());
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeEtaRetriever(std::string name, const ItemTable& items,
                                                      const Hyperplanes& hyperplanes, int threads) {
  return std::make_unique<EtaRetriever>(std::move(name), items, hyperplanes, threads);
}

std::unique_ptr<RefillableRetriever> MakeEtaRetriever(std::string name, size_t bits,
                                                      const Matrix<uint8_t>& codes) {
  return std::make_unique<EtaRetriever>(std::move(name), bits, codes.view());
}

}  // namespace eta
