// SPDX-License-Identifier: Apache-2.0
#include "baselines/recent.h"

#include <algorithm>
#include <utility>

namespace eta {
namespace {

class HistoryLength final : public PreparedHistory {
 public:
  using PreparedHistory::PreparedHistory;
  size_t bytes() const override { return 0; }
};

class Recent final : public Retriever {
 public:
  Recent(std::string name, const ItemTable& items) : Retriever(std::move(name), items.size()) {}

  std::string target() const override { return "scalar"; }

 private:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    return std::make_unique<HistoryLength>(history.size());
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch&, RetrievedView out) const override {
    const auto newest = static_cast<int32_t>(history.length() - 1);
    const auto count = static_cast<int32_t>(std::min(k, history.length()));
    for (size_t b = 0; b < candidates.size(); ++b) {
      for (int32_t i = 0; i < count; ++i) {
        out.positions[b * k + static_cast<size_t>(i)] = newest - i;
      }
      out.counts[b] = count;
    }
  }
};

}  // namespace

std::unique_ptr<Retriever> MakeRecentRetriever(std::string name, const ItemTable& items) {
  return std::make_unique<Recent>(std::move(name), items);
}

}  // namespace eta
