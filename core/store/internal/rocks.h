// SPDX-License-Identifier: Apache-2.0
// RocksDB as the store uses it: options, the merge operator that joins histories, the compaction
// filter that applies limits, and errors.
#pragma once

#include <rocksdb/options.h>
#include <rocksdb/status.h>

#include <cstdint>
#include <filesystem>
#include <functional>

#include "core/store/history_store.h"

namespace eta::store {

using Clock = std::function<int64_t()>;

// `given`, or the system's clock where it is empty.
Clock ClockOf(const Clock& given);

// What every open of a store's database uses.
rocksdb::Options MakeOptions(const StoreLimits& limits, const StoreOptions& options,
                             const Clock& clock);

// Throws DataError, one line, unless `status` is good.
void CheckStatus(const rocksdb::Status& status, const std::filesystem::path& folder,
                 const char* what);

}  // namespace eta::store
