// SPDX-License-Identifier: Apache-2.0
// What users do, one event after the other, and the interface of what keeps it: HistoryStore
// (core/store/history_store.h) is one on disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/export.h"

namespace eta {

// A user's name: a number, or a text of 1 to 255 bytes. The number 7 and the text "7" are two
// users.
using UserId = std::variant<int64_t, std::string>;

// One thing a user did.
struct ETA_CORE_API Behaviour {
  int32_t item = 0;  // not negative: a row of the item table
  int64_t time = 0;  // seconds since 1970

  bool operator==(const Behaviour&) const = default;
};

// A behaviour and whose it is.
struct ETA_CORE_API Event {
  UserId user;
  Behaviour behaviour;
};

// Where a batch comes from: a partition of a message queue, and the offset of the batch's last
// message in it.
struct ETA_CORE_API SourceOffset {
  std::string partition;  // 1 to 255 bytes
  uint64_t offset = 0;
};

// Events that become visible, and survive a crash, all together or not at all.
struct ETA_CORE_API EventBatch {
  std::vector<Event> events;           // at most kMaxBatchEvents
  std::optional<SourceOffset> source;  // makes a replay harmless, see HistoryStore::Append
};

inline constexpr size_t kMaxBatchEvents = 1 << 20;  // RocksDB holds a batch in memory, twice

// What an append waits for. Whatever is lost, it is the batches appended last, never one between
// others that survive.
enum class Durability {
  kNone,     // memory: the end of the process, by SIGKILL too, may lose it
  kFlushed,  // the operating system: lost only where the machine stops
  kSynced,   // the disk: not lost
};

// Where the histories of all users are kept. Every function may be called by many threads at once.
// A history is ordered by time; of equal times the one appended first comes first. Functions throw
// std::invalid_argument for arguments out of range, DataError where the data cannot be used.
class ETA_CORE_API HistoryKeeper {
 public:
  virtual ~HistoryKeeper() = default;

  // Adds the events of a batch, in any order of time. Visible to reads when it returns. Returns
  // whether the batch was added, false where its source's offset says that it is in already. After
  // a DataError it is unknown whether the batch is in.
  virtual bool Append(const EventBatch& batch, Durability durability) = 0;

  // The newest `newest` behaviours of a user, or all where there are fewer, oldest first. Empty for
  // an unknown user.
  virtual std::vector<Behaviour> Read(const UserId& user, size_t newest) const = 0;

  // Removes a user's behaviours. Later appends start a new history.
  virtual void Forget(const UserId& user) = 0;
};

}  // namespace eta
