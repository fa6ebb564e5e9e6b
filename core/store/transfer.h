// SPDX-License-Identifier: Apache-2.0
// From the histories of a bundle to a store, and back.
#pragma once

#include <filesystem>
#include <vector>

#include "core/base/export.h"
#include "core/data/histories.h"
#include "core/store/history_store.h"

namespace eta {

// Makes a store of the histories of a bundle; a user's number is the row. A user without behaviours
// is not in the store. Without times a behaviour's time is its position. `folder` appears complete
// or not at all.
// Throws std::invalid_argument where times decrease within a history, or where there are none and
// `limits` has an age; DataError where `folder` exists or cannot be written.
ETA_CORE_API void ImportHistories(const Histories& histories, const std::filesystem::path& folder,
                                  const StoreLimits& limits = {});

// Histories in the layout of a bundle, and whose each is.
struct ETA_CORE_API ExportedHistories {
  Histories histories;        // with times
  std::vector<UserId> users;  // one per history, in the order of HistoryStore::ForEachUser
};

// All histories of a store, as of one moment, in memory. Throws DataError where it cannot be read.
ETA_CORE_API ExportedHistories ExportHistories(const HistoryStore& store);

}  // namespace eta
