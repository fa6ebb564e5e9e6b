// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/eta_gather.h"

#include <algorithm>
#include <utility>

#include "core/retrieval/internal/code_retriever.h"
#include "core/retrieval/internal/item_ids.h"

namespace eta {
namespace {

class EtaGatherRetriever final : public CodeRetriever {
 public:
  using CodeRetriever::CodeRetriever;

  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<ItemIds>(capacity);
  }

 private:
  void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const override {
    std::ranges::copy(items, dynamic_cast<ItemIds&>(history).ids.begin());
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const ItemIds&>(history);
    auto& buffers = dynamic_cast<KernelScratch&>(scratch);
    const size_t n = prepared.length();
    auto* blocks = buffers.blocks.Get<uint8_t>(simd::CodeBlocksBytes(n, code_bytes()));
    GatherBlocks(prepared.in_use(), blocks);
    const size_t count =
        HammingTopK({blocks, n, code_bytes()}, candidates, k, buffers, out.positions.data());
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeEtaGatherRetriever(std::string name,
                                                            const ItemTable& items,
                                                            const Hyperplanes& hyperplanes,
                                                            int threads) {
  return std::make_unique<EtaGatherRetriever>(std::move(name), items, hyperplanes, threads);
}

}  // namespace eta
