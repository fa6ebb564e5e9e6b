// SPDX-License-Identifier: Apache-2.0
// Histories on disk that grow while they are read: RocksDB's log-structured tree, one value per
// user. docs/store.md says what survives which fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/export.h"
#include "core/data/events.h"

namespace rocksdb {
class Env;
}

namespace eta {

// What a store forgets by itself. A folder keeps the limits that it was made with.
struct ETA_CORE_API StoreLimits {
  uint64_t max_behaviours = 0;   // the newest so many of each user are kept; 0: all
  uint64_t max_age_seconds = 0;  // older behaviours are dropped; 0: none is too old

  bool operator==(const StoreLimits&) const = default;
};

// How a store is opened.
struct ETA_CORE_API StoreOptions {
  bool read_only = false;          // several processes may read while none writes
  size_t cache_bytes = 64 << 20;   // of blocks read from disk, their indexes and filters
  size_t buffer_bytes = 64 << 20;  // of appends before they become a file; at least 64 KiB
  bool compress = true;            // new files, by LZ4
  // Seconds since 1970, for the age limit; empty: the system's clock. Several threads call it at
  // once, RocksDB's own among them, and it must not throw.
  std::function<int64_t()> clock;
  // For tests: a wrapper of the local file system that outlives the store; null: the local file
  // system. The description is written, and description and logs are checked, around it.
  rocksdb::Env* env = nullptr;
};

// What HistoryStore::Stats counts.
struct ETA_CORE_API StoreStats {
  uint64_t users = 0;
  uint64_t behaviours = 0;
  int64_t oldest = 0;                 // time of a behaviour, 0 where there is none
  int64_t newest = 0;                 // likewise
  uint64_t table_bytes = 0;           // in sorted files on disk
  uint64_t buffer_bytes = 0;          // of appends in memory
  uint64_t cache_bytes = 0;           // of blocks in memory
  std::vector<SourceOffset> sources;  // in order of their partitions' names
};

// The histories of all users in one folder. Every function may be called by many threads at once.
//
// A history is ordered by time; of equal times the one appended first comes first. So what a limit
// keeps is the end of a history, and reads apply the limits as well: results do not depend on when
// files were compacted, provided that the clock never runs backwards.
//
// Functions throw std::invalid_argument for arguments out of range, and DataError (one line:
// folder, what failed, which file) where the disk, the file system or a damaged file stands in the
// way. After an append has failed that way it is unknown whether the batch is in, and the store
// refuses further changes until it is opened again; with a source, send the batch again then.
class ETA_CORE_API HistoryStore final : public HistoryKeeper {
 public:
  // Makes an empty store. `folder` appears complete or not at all. Throws DataError where it exists
  // or cannot be made.
  static void Create(const std::filesystem::path& folder, const StoreLimits& limits = {});

  // Opens a store. One process at a time may write; others get a DataError that says so. Damage to
  // the logs of appends is refused here (docs/store.md), and so is damage to the footer or index of
  // a sorted file where RocksDB reads them; other damage is found by the reads that meet it.
  explicit HistoryStore(const std::filesystem::path& folder, const StoreOptions& options = {});
  ~HistoryStore() override;  // as Sync(), but tells nobody of a failure
  HistoryStore(const HistoryStore&) = delete;
  HistoryStore& operator=(const HistoryStore&) = delete;

  // The limits that the folder was made with.
  const StoreLimits& limits() const;

  // Adds the events of a batch, in any order of time. Visible to reads when it returns.
  // With a source the offset is stored in the same atomic step. A batch whose offset is not above
  // the stored one is skipped, though made as durable as asked; offsets may leave gaps.
  // Returns whether the batch was added, false where it was skipped.
  bool Append(const EventBatch& batch, Durability durability) override;

  // Brings all that was appended to disk.
  void Sync();

  // The newest `newest` behaviours of a user, or all where there are fewer, oldest first. Empty for
  // an unknown user. Throws DataError where a file is damaged, and names it.
  std::vector<Behaviour> Read(const UserId& user, size_t newest) const override;

  // Removes a user's behaviours, synced. Later appends start a new history. The bytes leave the
  // disk with Compact(), or when RocksDB next rewrites their files.
  void Forget(const UserId& user) override;

  // Rewrites all files: afterwards none holds what was forgotten or is beyond the limits, nor the
  // name of a forgotten user, once the scans and snapshots that began before have ended. Reads and
  // appends go on meanwhile.
  void Compact();

  // The last offset stored for a partition: where its consumer goes on. Nothing if there is none.
  std::optional<uint64_t> Offset(const std::string& partition) const;

  // Calls `visit` for each user that has behaviours, as of one moment: numbers in ascending order,
  // then texts in order of their bytes. The span is valid during the call.
  void ForEachUser(
      const std::function<void(const UserId&, std::span<const Behaviour>)>& visit) const;

  // Counts by reading all of the store.
  StoreStats Stats() const;

  // Writes a store of its own to `folder`, which appears complete or not at all, as of one moment
  // between call and return; appends go on meanwhile. Files are hard links where the file system
  // allows. What is forgotten here later stays in the snapshot.
  void Snapshot(const std::filesystem::path& folder);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eta
