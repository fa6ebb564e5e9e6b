// SPDX-License-Identifier: Apache-2.0
// Items and histories that serving_bench starts from, and the store made of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/serving/options.h"
#include "core/data/bundle.h"
#include "core/data/generator.h"
#include "core/store/history_store.h"

namespace eta::bench {

// A bundle, or generated data of which one history at a time is in memory.
class ServingData {
 public:
  // Throws DataError or std::invalid_argument.
  explicit ServingData(const ServingOptions& options);

  const ItemTable& items() const { return generator_ ? generator_->items() : bundle_->items; }
  size_t users() const { return generator_ ? generator_->users() : bundle_->histories.users(); }
  // The behaviours of a user, oldest first; without times their positions.
  std::vector<Behaviour> History(size_t user) const;

 private:
  std::optional<DataGenerator> generator_;
  std::optional<Bundle> bundle_;
};

// What FillStore has done.
struct FillResult {
  size_t behaviours = 0;
  double append_seconds = 0;   // until all was appended
  double compact_seconds = 0;  // and then all files were rewritten
};

// Appends all histories to an empty store, a user's number is the row, and compacts it, so that
// nothing is left to do in the background when the time begins. `progress` gets the share that is
// done.
FillResult FillStore(const ServingData& data, HistoryStore& store,
                     const std::function<void(double)>& progress);

// Bytes of all files below a folder.
uint64_t FolderBytes(const std::string& folder);

// `lists` lists of min(b, items) distinct candidates: items as often as they occur in histories,
// then any. The same for the same arguments.
std::vector<std::vector<int32_t>> MakeCandidates(const ServingData& data, size_t lists, size_t b,
                                                 uint64_t seed);

}  // namespace eta::bench
