// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/recent.h"

#include <algorithm>
#include <utility>

#include "core/retrieval/internal/history_length.h"

namespace eta {
namespace {

class Recent final : public RefillableRetriever {
 public:
  Recent(std::string name, size_t num_items) : RefillableRetriever(std::move(name), num_items) {}

  std::string target() const override { return "scalar"; }
  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<HistoryLength>(capacity);
  }

 private:
  void DoRefill(RefillableHistory&, std::span<const int32_t>) const override {}

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch&, RetrievedView out) const override {
    const auto newest = static_cast<int32_t>(history.length()) - 1;
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

std::unique_ptr<RefillableRetriever> MakeRecentRetriever(std::string name, size_t num_items) {
  return std::make_unique<Recent>(std::move(name), num_items);
}

}  // namespace eta
