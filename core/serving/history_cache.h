// SPDX-License-Identifier: Apache-2.0
// Prepared histories in memory: item ids and code blocks of many users under a byte budget, in
// front of what keeps all histories. docs/store.md says what is guaranteed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <vector>

#include "core/base/export.h"
#include "core/data/events.h"
#include "core/retrieval/item_codes.h"
#include "simd/views.h"

namespace eta {

namespace serving {
struct HistoryEntry;
}

// How much is cached.
struct ETA_CORE_API HistoryCacheOptions {
  size_t budget_bytes = size_t{256} << 20;  // of all that is cached, see HistoryCache::Stats
  // A request sees the newest so many behaviours of a user, from 1 to 2^31 - 1. Not more than the
  // keeper's own limit, since appends would exceed that here.
  size_t max_behaviours = 1000;
  // The keeper's age limit: a history whose oldest behaviour is beyond it is read again. 0: none.
  uint64_t max_age_seconds = 0;
  // Seconds since 1970, for the age limit; empty: the system's clock. Several threads call it.
  std::function<int64_t()> clock = {};
  // Parts with a lock and an equal share of the budget each; a history larger than a share is not
  // kept. 0: one for each MiB, at most 64.
  size_t shards = 0;
};

// What a cache has done since it was made, and holds now.
struct ETA_CORE_API HistoryCacheStats {
  uint64_t hits = 0;       // reads that needed no load
  uint64_t misses = 0;     // reads that loaded, or failed to
  uint64_t evictions = 0;  // histories that made way for others
  uint64_t gathers = 0;  // hits whose codes were gathered anew: another version, or a full history
  uint64_t extensions = 0;  // behaviours that were added in place
  uint64_t drops = 0;       // histories that were dropped by an append that no place could take
  uint64_t unkept = 0;      // loads during which an append was written; only their reader saw them
  uint64_t bytes = 0;       // of item ids, code blocks (capacity), names and bookkeeping
  uint64_t users = 0;
};

// Histories of users, read by a function when they are first asked for and extended by appends. All
// functions may be called by any number of threads at once.
//
// A read sees all appends that returned before it began. Codes are those of the version that
// ItemCodes holds when the read finds the history; a history with codes of another version is
// gathered anew from its ids, by its first reader. Eviction is CLOCK: a history that was read since
// the hand last passed stays.
//
// A change of a user's history must go through Append or Forget, or Forget must be called after it.
class ETA_CORE_API HistoryCache {
 public:
  // The newest `newest` behaviours of a user, oldest first, as HistoryKeeper::Read gives them.
  // Several threads call it at once; what it throws, the read throws.
  using Load = std::function<std::vector<Behaviour>(const UserId& user, size_t newest)>;

  // `codes` must outlive this. Throws std::invalid_argument where an option is out of range.
  HistoryCache(const ItemCodes& codes, Load load, HistoryCacheOptions options = {});
  ~HistoryCache();
  HistoryCache(const HistoryCache&) = delete;
  HistoryCache& operator=(const HistoryCache&) = delete;

  // A history that is being read. While this lives, the history does not change: an append to this
  // user waits. So keep it for one request, and call neither Append nor Forget with it in hand. It
  // belongs to one thread and must not outlive the cache.
  class ETA_CORE_API Reading {
   public:
    // The history goes on to be held by the new one.
    Reading(Reading&&) = default;
    Reading& operator=(Reading&&) = delete;

    // The version that all codes are of: those of candidates must come from here.
    const ItemCodesVersion& version() const { return *version_; }
    // The behaviours' items, oldest first; items that version() does not have are left out.
    std::span<const int32_t> items() const { return items_; }
    // Their codes; position i is items()[i].
    const simd::CodeBlocksView& blocks() const { return blocks_; }
    int64_t newest_time() const { return newest_time_; }  // 0 where there is no behaviour
    bool hit() const { return hit_; }                     // nothing was loaded

   private:
    friend class HistoryCache;
    explicit Reading(std::shared_ptr<serving::HistoryEntry> entry);
    void See(std::shared_ptr<const ItemCodesVersion> version, bool hit);

    std::shared_ptr<serving::HistoryEntry> entry_;
    std::shared_lock<std::shared_mutex> shared_;     // one of the two is held
    std::unique_lock<std::shared_mutex> exclusive_;  // by who loaded or gathered
    std::shared_ptr<const ItemCodesVersion> version_;
    std::span<const int32_t> items_;
    simd::CodeBlocksView blocks_{};
    int64_t newest_time_ = 0;
    bool hit_ = false;
  };

  // The history of a user; empty for an unknown one. Allocates nothing on a hit. Throws what the
  // load throws; then nothing is cached.
  Reading Read(const UserId& user);

  // Calls `write`, which appends the events to what keeps them, and then extends the histories that
  // are cached, where it returns true. Where it throws, the users' histories are dropped, because
  // nobody knows what was written, and the exception is passed on. Returns what `write` returns.
  // `events` may be in any order of time. An event that belongs before others of its user, or whose
  // item the current version does not have, drops the history instead, so that the next reader
  // loads it. Appends of different threads to one user may be under way at once.
  bool Append(std::span<const Event> events, const std::function<bool()>& write);

  // Calls `write`, which removes or changes the user's history in what keeps it, and drops the
  // history here, also where `write` throws. Reads that begin afterwards load it again.
  void Forget(const UserId& user, const std::function<void()>& write);

  // The parts are counted one after the other, so that the sum is that of no one moment. `bytes`
  // never exceeds the budget. What requests hold beyond that, a history being loaded or evicted
  // meanwhile, is at most one history a thread.
  HistoryCacheStats Stats() const;
  // Bytes that may be cached.
  size_t budget_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eta
