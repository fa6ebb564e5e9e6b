// SPDX-License-Identifier: Apache-2.0
#include "core/serving/internal/clock_shard.h"

#include <utility>

namespace eta::serving {

size_t ClockShard::Overhead(const UserId& user) {
  const auto* text = std::get_if<std::string>(&user);
  // Of the map: a link and the hash of each node, and a bucket. Then the ring, and the counts of a
  // shared pointer.
  return sizeof(Nodes::value_type) + 3 * sizeof(void*) + 2 * sizeof(void*) + 2 * sizeof(void*) +
         (text != nullptr ? text->size() : 0);
}

std::shared_ptr<HistoryEntry> ClockShard::FindOrAdd(const UserId& user) {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(user);
  if (found != nodes_.end()) {
    found->second.was_read = true;
    return found->second.entry;
  }
  ring_.reserve(nodes_.size() + 1 > ring_.capacity() ? 2 * nodes_.size() + 16 : ring_.capacity());
  auto entry = std::make_shared<HistoryEntry>();
  const auto added = nodes_.try_emplace(user).first;
  added->second.entry = entry;
  added->second.place = ring_.size();
  added->second.bytes = Overhead(user) + sizeof(HistoryEntry);
  bytes_ += added->second.bytes;
  ring_.push_back(&*added);
  Evict(&added->second);
  if (bytes_ > budget_) Erase(added);  // not even this one fits
  return entry;
}

std::shared_ptr<HistoryEntry> ClockShard::Find(const UserId& user) const {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(user);
  return found == nodes_.end() ? nullptr : found->second.entry;
}

bool ClockShard::Remove(const UserId& user, const HistoryEntry* only) {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(user);
  if (found == nodes_.end() || (only != nullptr && found->second.entry.get() != only)) return false;
  Erase(found);
  return true;
}

void ClockShard::Charge(const UserId& user, const HistoryEntry& entry) {
  const size_t bytes = Overhead(user) + entry.bytes();
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(user);
  if (found == nodes_.end() || found->second.entry.get() != &entry) return;
  if (bytes > budget_) {  // the others stay, for it would not fit without them either
    ++evictions_;
    return Erase(found);
  }
  bytes_ += bytes - found->second.bytes;
  found->second.bytes = bytes;
  Evict(&found->second);
}

void ClockShard::Erase(Nodes::iterator node) {
  const size_t place = node->second.place;
  bytes_ -= node->second.bytes;
  ring_[place] = ring_.back();
  ring_[place]->second.place = place;
  ring_.pop_back();
  nodes_.erase(node);
}

void ClockShard::Evict(const Node* kept) {
  while (bytes_ > budget_ && ring_.size() > 1) {
    if (hand_ >= ring_.size()) hand_ = 0;
    Nodes::value_type& candidate = *ring_[hand_];
    if (&candidate.second == kept || std::exchange(candidate.second.was_read, false)) {
      ++hand_;
      continue;
    }
    ++evictions_;
    Erase(nodes_.find(candidate.first));
    ++hand_;  // past the newest entry, which took the place
  }
}

uint64_t ClockShard::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

uint64_t ClockShard::users() const {
  const std::lock_guard lock(mutex_);
  return nodes_.size();
}

uint64_t ClockShard::evictions() const {
  const std::lock_guard lock(mutex_);
  return evictions_;
}

}  // namespace eta::serving
