// SPDX-License-Identifier: Apache-2.0
// Looks for damage in a store, also in one that cannot be opened.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/export.h"
#include "core/store/history_store.h"

namespace eta {

// A damaged file of a store.
struct ETA_CORE_API StoreDamage {
  std::string file;  // relative to the store's folder
  std::string what;  // one line
};

// What CheckStore has found.
struct ETA_CORE_API StoreReport {
  size_t files = 0;                 // that were read
  std::vector<StoreDamage> damage;  // empty: every checksum fits and every value can be read
};

// Reads all files of a store and verifies their checksums: description, logs, manifest and sorted
// files one by one, and then, where these are whole, every history. Changes nothing. Of `options`
// only the file system, the clock and the size of the cache count. Throws DataError where `folder`
// is no store, is being written, or cannot be read.
ETA_CORE_API StoreReport CheckStore(const std::filesystem::path& folder,
                                    const StoreOptions& options = {});

}  // namespace eta
