// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/random_positions.h"

#include <algorithm>
#include <utility>

#include "core/base/random.h"
#include "core/retrieval/internal/history_length.h"

namespace eta {
namespace {

struct DrawScratch final : Scratch {
  AlignedVector<uint8_t> is_drawn;  // a flag per position, all 0 between calls
};

class RandomRetriever final : public RefillableRetriever {
 public:
  RandomRetriever(std::string name, size_t num_items, uint64_t seed)
      : RefillableRetriever(std::move(name), num_items), seed_(seed) {}

  std::string target() const override { return "scalar"; }
  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<HistoryLength>(capacity);
  }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<DrawScratch>(); }

 private:
  void DoRefill(RefillableHistory&, std::span<const int32_t>) const override {}

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const size_t n = history.length();
    const size_t count = std::min(k, n);
    auto& is_drawn = dynamic_cast<DrawScratch&>(scratch).is_drawn;
    is_drawn.resize(std::max(is_drawn.size(), n));
    for (size_t b = 0; b < candidates.size(); ++b) {
      Random random(seed_, uint64_t{static_cast<uint32_t>(candidates[b])} << 31 | n);
      Draw(n, out.positions.subspan(b * k, count), is_drawn, random);
      out.counts[b] = static_cast<int32_t>(count);
    }
  }

  // Floyd's sample: position j is drawn in place of one that has been drawn before, so that all
  // sets are equally likely and a set of K takes K draws.
  static void Draw(size_t n, std::span<int32_t> out, std::span<uint8_t> is_drawn, Random& random) {
    size_t j = n - out.size();
    for (int32_t& position : out) {
      size_t drawn = random.Below(static_cast<uint32_t>(j + 1));
      if (is_drawn[drawn] != 0) drawn = j;
      is_drawn[drawn] = 1;
      position = static_cast<int32_t>(drawn);
      ++j;
    }
    for (const int32_t position : out) is_drawn[static_cast<size_t>(position)] = 0;
  }

  uint64_t seed_;
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeRandomRetriever(std::string name, size_t num_items,
                                                         uint64_t seed) {
  return std::make_unique<RandomRetriever>(std::move(name), num_items, seed);
}

}  // namespace eta
