// SPDX-License-Identifier: Apache-2.0
#include "core/serving/history_cache.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/serving/internal/clock_shard.h"
#include "core/serving/internal/history_entry.h"

namespace eta {
namespace {

using serving::ClockShard;
using serving::EntryState;
using serving::HistoryEntry;
using serving::LoadState;

// Appends that were begun and ended, of the users that share the stripe.
struct Stripe {
  std::atomic<uint64_t> begun = 0;
  std::atomic<uint64_t> ended = 0;
};

// 256 KiB of them. With 100 users in appends at once, 0.6 % of appends meet one of another user.
constexpr size_t kStripes = size_t{1} << 14;

// Well mixed, because std::hash of a number is the number.
uint64_t HashOf(const UserId& user) {
  const uint64_t hash = std::hash<UserId>()(user);
  return (hash ^ (hash >> 32)) * 0x9E3779B97F4A7C15u;
}

// The behaviours of one user in a batch, by time; of equal times in the batch's order.
struct UserEvents {
  const UserId* user;
  std::vector<Behaviour> behaviours;
  Stripe* stripe;
  uint64_t ticket = 0;      // number of this append in the stripe
  bool overlapped = false;  // by another append in it
};

HistoryCacheOptions Checked(HistoryCacheOptions options) {
  constexpr size_t kMost = std::numeric_limits<int32_t>::max();
  Require(options.max_behaviours >= 1 && options.max_behaviours <= kMost,
          "history cache: max_behaviours = ", options.max_behaviours, " is not in [1, ", kMost,
          "]");
  constexpr size_t kMostShards = 1024;
  Require(options.shards <= kMostShards, "history cache: shards = ", options.shards,
          " (expected up to ", kMostShards, ")");
  if (options.shards == 0) {
    options.shards = std::clamp<size_t>(options.budget_bytes >> 20, 1, 64);
  }
  if (!options.clock) {
    options.clock = [] {
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      return std::chrono::duration_cast<std::chrono::seconds>(now).count();
    };
  }
  return options;
}

}  // namespace

// Order of locks: an entry's mutex, then a shard's.
//
// How loads and appends meet. An append announces itself in its users' stripes before it writes,
// and extends what is cached when it has written. If it finds no entry, a later load has it. If it
// finds one under load, it does not wait, and has the loader not keep what it read. If it finds one
// that was loaded since the append began, the load may have it: the append is extended where all of
// its times are later than those that were loaded, and the entry is dropped otherwise.
struct HistoryCache::Impl {
  Impl(const ItemCodes& item_codes, Load from, HistoryCacheOptions given)
      : codes(item_codes),
        load(std::move(from)),
        options(Checked(std::move(given))),
        shards(options.shards),
        stripes(kStripes) {
    Require(static_cast<bool>(load), "history cache: there is no function that loads");
    for (ClockShard& shard : shards) shard.SetBudget(options.budget_bytes / options.shards);
  }

  ClockShard& ShardOf(const UserId& user) { return shards[(HashOf(user) >> 40) % shards.size()]; }
  Stripe& StripeOf(const UserId& user) { return stripes[(HashOf(user) >> 20) % kStripes]; }

  bool IsExpired(const HistoryEntry& entry) const {
    if (options.max_age_seconds == 0 || entry.items.empty()) return false;
    const int64_t now = options.clock();
    return now > entry.oldest_time &&
           static_cast<uint64_t>(now) - static_cast<uint64_t>(entry.oldest_time) >
               options.max_age_seconds;
  }

  // Makes who waits for the entry look again; its mutex is held.
  void Discard(const UserId& user, HistoryEntry& entry) {
    entry.state = EntryState::kGone;
    ShardOf(user).Remove(user, &entry);
  }

  // Loads an entry whose mutex is held, and returns the version that it is of.
  std::shared_ptr<const ItemCodesVersion> LoadEntry(const UserId& user, HistoryEntry& entry);
  // Brings an entry whose mutex is held to the current version. Nothing where it must be loaded.
  std::shared_ptr<const ItemCodesVersion> Renew(const UserId& user, HistoryEntry& entry);
  void Extend(const UserEvents& events);

  std::vector<UserEvents> Group(std::span<const Event> events);
  void Begin(std::span<UserEvents> users);
  void End(std::span<const UserEvents> users);

  const ItemCodes& codes;
  const Load load;
  const HistoryCacheOptions options;
  std::vector<ClockShard> shards;
  std::vector<Stripe> stripes;
  std::atomic<uint64_t> misses = 0, gathers = 0, extensions = 0, drops = 0, unkept = 0;
};

std::shared_ptr<const ItemCodesVersion> HistoryCache::Impl::LoadEntry(const UserId& user,
                                                                      HistoryEntry& entry) {
  ++misses;
  try {
    entry.load = LoadState::kUnderWay;
    const std::vector<Behaviour> history = load(user, options.max_behaviours);
    const bool missed_none = entry.load.exchange(LoadState::kNone) == LoadState::kUnderWay;
    entry.loaded_at = StripeOf(user).begun;
    auto version = codes.Current();
    entry.Fill(std::span(history).last(std::min(history.size(), options.max_behaviours)), *version);
    if (missed_none) {
      entry.state = EntryState::kReady;
      ShardOf(user).Charge(user, entry);
    } else {
      ++unkept;
      Discard(user, entry);
    }
    return version;
  } catch (...) {
    entry.load = LoadState::kNone;
    Discard(user, entry);
    throw;
  }
}

std::shared_ptr<const ItemCodesVersion> HistoryCache::Impl::Renew(const UserId& user,
                                                                  HistoryEntry& entry) {
  if (entry.state == EntryState::kGone) return nullptr;
  auto version = codes.Current();
  if (IsExpired(entry)) {
    Discard(user, entry);
    return nullptr;
  }
  if (entry.number == version->number) return version;
  ++gathers;
  if (!entry.Gather(*version)) {
    Discard(user, entry);
    return nullptr;
  }
  ShardOf(user).Charge(user, entry);
  return version;
}

void HistoryCache::Impl::Extend(const UserEvents& events) {
  const auto entry = ShardOf(*events.user).Find(*events.user);
  if (!entry || entry->MissLoad()) return;
  const std::lock_guard lock(entry->mutex);
  if (entry->state != EntryState::kReady) return;
  const auto version = codes.Current();
  bool extended = false;
  try {
    const bool overlapped = events.overlapped || events.ticket <= entry->loaded_at;
    extended = entry->Append(events.behaviours, overlapped, options.max_behaviours, *version);
  } catch (const std::bad_alloc&) {  // which the next reader may have, and the events are written
  }
  if (extended) {
    extensions += events.behaviours.size();
    ShardOf(*events.user).Charge(*events.user, *entry);
  } else {
    ++drops;
    Discard(*events.user, *entry);
  }
}

std::vector<UserEvents> HistoryCache::Impl::Group(std::span<const Event> events) {
  std::vector<const Event*> sorted(events.size());
  std::ranges::transform(events, sorted.begin(), [](const Event& event) { return &event; });
  std::ranges::stable_sort(sorted, [](const Event* a, const Event* b) {
    return a->user != b->user ? a->user < b->user : a->behaviour.time < b->behaviour.time;
  });
  std::vector<UserEvents> users;
  for (const Event* event : sorted) {
    if (users.empty() || *users.back().user != event->user) {
      users.push_back({&event->user, {}, &StripeOf(event->user)});
    }
    users.back().behaviours.push_back(event->behaviour);
  }
  return users;
}

void HistoryCache::Impl::Begin(std::span<UserEvents> users) {
  for (UserEvents& user : users) {
    user.ticket = ++user.stripe->begun;
    user.overlapped = user.stripe->ended != user.ticket - 1;
  }
}

void HistoryCache::Impl::End(std::span<const UserEvents> users) {
  for (const UserEvents& user : users) ++user.stripe->ended;
}

HistoryCache::HistoryCache(const ItemCodes& codes, Load load, HistoryCacheOptions options)
    : impl_(std::make_unique<Impl>(codes, std::move(load), std::move(options))) {}

HistoryCache::~HistoryCache() = default;

HistoryCache::Reading::Reading(std::shared_ptr<HistoryEntry> entry)
    : entry_(std::move(entry)),
      shared_(entry_->mutex, std::defer_lock),
      exclusive_(entry_->mutex, std::defer_lock) {}

void HistoryCache::Reading::See(std::shared_ptr<const ItemCodesVersion> version, bool hit) {
  version_ = std::move(version);
  items_ = entry_->window();
  blocks_ = entry_->view(version_->table.code_bytes());
  newest_time_ = entry_->newest_time;
  hit_ = hit;
}

HistoryCache::Reading HistoryCache::Read(const UserId& user) {
  ClockShard& shard = impl_->ShardOf(user);
  for (;;) {
    Reading reading(shard.FindOrAdd(user));
    HistoryEntry& entry = *reading.entry_;
    reading.shared_.lock();
    if (entry.state == EntryState::kReady) {
      auto version = impl_->codes.Current();
      if (entry.number == version->number && !impl_->IsExpired(entry)) {
        ++shard.hits;
        reading.See(std::move(version), true);
        return reading;
      }
    }
    reading.shared_.unlock();
    reading.exclusive_.lock();
    if (entry.state == EntryState::kNew) {
      reading.See(impl_->LoadEntry(user, entry), false);
      return reading;
    }
    if (auto version = impl_->Renew(user, entry)) {
      ++shard.hits;
      reading.See(std::move(version), true);
      return reading;
    }
  }
}

bool HistoryCache::Append(std::span<const Event> events, const std::function<bool()>& write) {
  std::vector<UserEvents> users = impl_->Group(events);
  impl_->Begin(users);
  bool written = false;
  try {
    written = write();
  } catch (...) {
    for (const UserEvents& user : users) impl_->ShardOf(*user.user).Remove(*user.user);
    impl_->End(users);
    throw;
  }
  for (UserEvents& user : users) {
    user.overlapped = user.overlapped || user.stripe->begun != user.ticket;
    if (written) impl_->Extend(user);
  }
  impl_->End(users);
  return written;
}

void HistoryCache::Forget(const UserId& user, const std::function<void()>& write) {
  UserEvents forgotten{&user, {}, &impl_->StripeOf(user)};
  const std::span<UserEvents> one(&forgotten, 1);
  impl_->Begin(one);
  try {
    write();
  } catch (...) {
    impl_->ShardOf(user).Remove(user);
    impl_->End(one);
    throw;
  }
  impl_->ShardOf(user).Remove(user);
  impl_->End(one);
}

HistoryCacheStats HistoryCache::Stats() const {
  HistoryCacheStats stats;
  stats.misses = impl_->misses;
  stats.gathers = impl_->gathers;
  stats.extensions = impl_->extensions;
  stats.drops = impl_->drops;
  stats.unkept = impl_->unkept;
  for (const ClockShard& shard : impl_->shards) {
    stats.hits += shard.hits;
    stats.evictions += shard.evictions();
    stats.bytes += shard.bytes();
    stats.users += shard.users();
  }
  return stats;
}

size_t HistoryCache::budget_bytes() const { return impl_->options.budget_bytes; }

}  // namespace eta
