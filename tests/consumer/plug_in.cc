// SPDX-License-Identifier: Apache-2.0
// A plug-in on eta::core. The compiler makes tables and inline members of these classes here, in
// the user's own file; with a static library none of them is exported beside eta_plug_in_run.
#include <cstdint>
#include <memory>
#include <vector>

#include "eta/core/base/check.h"
#include "eta/core/data/items.h"
#include "eta/core/retrieval/refillable.h"
#include "eta/simd/dot.h"

namespace {
class History final : public eta::RefillableHistory {  // as a user's own method has
 public:
  using RefillableHistory::RefillableHistory;
  size_t bytes() const override { return 0; }
};
}  // namespace

extern "C" __attribute__((visibility("default"))) int eta_plug_in_run() {
  const std::unique_ptr<eta::PreparedHistory> history = std::make_unique<History>(size_t{4});
  const auto scratch = std::make_unique<eta::KernelScratch>();
  eta::ItemTable items{eta::Matrix<float>(1, 2), {}};
  std::vector<float> blocks(eta::simd::FloatBlocksSize(1, 2));
  eta::simd::PackFloatBlocks(items.embeddings.view(), blocks.data());
  try {
    throw eta::DataError("a class that is thrown");
  } catch (const eta::DataError&) {
    return static_cast<int>((scratch->kernel.Get<uint8_t>(8) == nullptr) + history->length());
  }
}
