// SPDX-License-Identifier: Apache-2.0
// A part of the cache: users' entries under a share of the byte budget, evicted by CLOCK.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/data/events.h"
#include "core/serving/internal/history_entry.h"

namespace eta::serving {

// Its mutex is the last that is taken: no entry's is taken under it.
class alignas(64) ClockShard {
 public:
  // Before the first use.
  void SetBudget(size_t bytes) { budget_ = bytes; }

  // The entry of a user, a new one where there is none; it counts as read.
  std::shared_ptr<HistoryEntry> FindOrAdd(const UserId& user);
  // The same without a new one, and without counting.
  std::shared_ptr<HistoryEntry> Find(const UserId& user) const;

  // Removes a user's entry; with `only`, if it is that one. Returns whether there was one.
  bool Remove(const UserId& user, const HistoryEntry* only = nullptr);

  // Says that an entry takes entry.bytes() now, and evicts others, or this one where it does not
  // fit at all. Nothing happens where the shard no longer has it. entry.mutex is held.
  void Charge(const UserId& user, const HistoryEntry& entry);

  uint64_t bytes() const;
  uint64_t users() const;
  uint64_t evictions() const;
  std::atomic<uint64_t> hits = 0;  // here, so that threads seldom write the same cache line

 private:
  struct Node {
    std::shared_ptr<HistoryEntry> entry;
    size_t bytes = 0;       // that are counted for it
    size_t place = 0;       // in ring_
    bool was_read = false;  // since the hand last passed, and again after it was added
  };
  using Nodes = std::unordered_map<UserId, Node>;

  // What an entry takes beside entry.bytes().
  static size_t Overhead(const UserId& user);
  void Erase(Nodes::iterator node);
  // Evicts others than `kept` while there are any and the budget is exceeded.
  void Evict(const Node* kept);

  mutable std::mutex mutex_;
  size_t budget_ = 0;
  size_t bytes_ = 0;
  uint64_t evictions_ = 0;
  Nodes nodes_;
  std::vector<Nodes::value_type*> ring_;
  size_t hand_ = 0;
};

}  // namespace eta::serving
