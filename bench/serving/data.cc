// SPDX-License-Identifier: Apache-2.0
#include "bench/serving/data.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <unordered_set>

#include "core/base/check.h"
#include "core/base/random.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kCandidateStream = 5;
constexpr size_t kBatchEvents = 1 << 16;  // any size that fits memory would do
constexpr size_t kPopularityUsers = 256;  // whose behaviours candidates are drawn from

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The events of users from `user` on, at least kBatchEvents of them where there are so many.
EventBatch NextBatch(const ServingData& data, size_t& user) {
  EventBatch batch;
  for (; user < data.users() && batch.events.size() < kBatchEvents; ++user) {
    for (const Behaviour& behaviour : data.History(user)) {
      Event& event = batch.events.emplace_back();
      event.user = static_cast<int64_t>(user);
      event.behaviour = behaviour;
    }
  }
  return batch;
}

// RocksDB holds a batch in memory, and a history may be longer than a batch may be.
void AppendInParts(EventBatch batch, HistoryStore& store) {
  for (size_t begin = 0; begin < batch.events.size(); begin += kMaxBatchEvents) {
    const size_t end = std::min(batch.events.size(), begin + kMaxBatchEvents);
    if (begin == 0 && end == batch.events.size()) {
      store.Append(batch, Durability::kNone);
      return;
    }
    EventBatch part;
    part.events.assign(batch.events.begin() + static_cast<ptrdiff_t>(begin),
                       batch.events.begin() + static_cast<ptrdiff_t>(end));
    store.Append(part, Durability::kNone);
  }
}

}  // namespace

ServingData::ServingData(const ServingOptions& options) {
  if (options.bundle.empty()) {
    generator_.emplace(options.generator);
  } else {
    bundle_ = ReadBundle(options.bundle);
  }
  Require(items().size() > 0, "the data set has no items");
  Require(users() > 0, "the data set has no users");
}

std::vector<Behaviour> ServingData::History(size_t user) const {
  Histories alone;
  if (generator_) {
    generator_->AppendUser(user, alone);
  } else {
    const auto items = bundle_->histories[user];
    alone.items.assign(items.begin(), items.end());
    if (!bundle_->histories.times.empty()) {
      const auto begin = bundle_->histories.times.begin() + bundle_->histories.offsets[user];
      alone.times.assign(begin, begin + static_cast<ptrdiff_t>(items.size()));
    }
  }
  std::vector<Behaviour> history;
  for (size_t i = 0; i < alone.items.size(); ++i) {
    const int64_t time = alone.times.empty() ? static_cast<int64_t>(i) : alone.times[i];
    history.push_back({.item = alone.items[i], .time = time});
  }
  return history;
}

FillResult FillStore(const ServingData& data, HistoryStore& store,
                     const std::function<void(double)>& progress) {
  FillResult result;
  const auto start = Clock::now();
  size_t user = 0;
  EventBatch batch = NextBatch(data, user);
  while (!batch.events.empty()) {
    // The next batch is made while this one is written.
    auto next = std::async(std::launch::async, [&] { return NextBatch(data, user); });
    result.behaviours += batch.events.size();
    AppendInParts(std::move(batch), store);
    batch = next.get();
    progress(static_cast<double>(user) / static_cast<double>(data.users()));
  }
  store.Sync();
  result.append_seconds = SecondsSince(start);
  const auto compaction = Clock::now();
  store.Compact();
  result.compact_seconds = SecondsSince(compaction);
  return result;
}

uint64_t FolderBytes(const std::string& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    std::error_code gone;  // RocksDB removes files
    const uint64_t size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

std::vector<std::vector<int32_t>> MakeCandidates(const ServingData& data, size_t lists, size_t b,
                                                 uint64_t seed) {
  const size_t items = data.items().size();
  Random random(seed, kCandidateStream);
  const auto below = [&](size_t bound) { return random.Below(static_cast<uint32_t>(bound)); };
  std::vector<int32_t> popular;
  for (size_t i = 0; i < kPopularityUsers; ++i) {
    for (const Behaviour& behaviour : data.History(below(data.users()))) {
      popular.push_back(behaviour.item);
    }
  }
  std::vector<std::vector<int32_t>> candidates(lists);
  for (std::vector<int32_t>& list : candidates) {
    std::unordered_set<int32_t> taken;
    const auto take = [&](int32_t item) {
      if (list.size() < std::min(b, items) && taken.insert(item).second) list.push_back(item);
    };
    // Few items may hold nearly all behaviours, so luck gets a limited number of attempts.
    for (size_t i = 0; i < 4 * b && !popular.empty(); ++i) take(popular[below(popular.size())]);
    const size_t first = below(items);
    for (size_t i = 0; i < items && list.size() < b; ++i) {
      take(static_cast<int32_t>((first + i) % items));
    }
  }
  return candidates;
}

}  // namespace eta::bench
