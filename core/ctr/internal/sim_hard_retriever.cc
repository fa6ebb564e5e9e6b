// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/internal/sim_hard_retriever.h"

#include <algorithm>
#include <utility>

namespace eta {
namespace {

struct CategoryKeys final : RefillableHistory {
  explicit CategoryKeys(size_t capacity) : RefillableHistory(capacity), keys(capacity) {}
  size_t bytes() const override { return length() * sizeof(uint64_t); }

  AlignedVector<uint64_t> keys;  // category, then age; the first length() ascend
};

class SimHardRetriever final : public RefillableRetriever {
 public:
  SimHardRetriever(std::string name, std::span<const int32_t> categories)
      : RefillableRetriever(std::move(name), categories.size()), categories_(categories) {}

  std::string target() const override { return "scalar"; }
  size_t table_bytes() const override { return categories_.size_bytes(); }

  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<CategoryKeys>(capacity);
  }

 private:
  void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const override {
    auto& keys = dynamic_cast<CategoryKeys&>(history).keys;
    for (size_t i = 0; i < items.size(); ++i) {
      keys[i] = MakeKey(items[i], static_cast<uint32_t>(items.size() - 1 - i));
    }
    std::sort(keys.begin(), keys.begin() + static_cast<ptrdiff_t>(items.size()));
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch&, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const CategoryKeys&>(history);
    const std::span keys(prepared.keys.data(), prepared.length());
    for (size_t b = 0; b < candidates.size(); ++b) {
      const uint64_t first = MakeKey(candidates[b], 0);
      size_t count = 0;
      for (auto key = std::ranges::lower_bound(keys, first);
           key != keys.end() && *key >> 32 == first >> 32 && count < k; ++key) {
        const size_t position = keys.size() - 1 - static_cast<uint32_t>(*key);
        out.positions[b * k + count++] = static_cast<int32_t>(position);
      }
      out.counts[b] = static_cast<int32_t>(count);
    }
  }

  // Age 0 is the newest.
  uint64_t MakeKey(int32_t item, uint32_t age) const {
    return static_cast<uint64_t>(categories_[static_cast<size_t>(item)]) << 32 | age;
  }

  std::span<const int32_t> categories_;
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeRefillableSimHardRetriever(
    std::string name, std::span<const int32_t> categories) {
  return std::make_unique<SimHardRetriever>(std::move(name), categories);
}

}  // namespace eta
