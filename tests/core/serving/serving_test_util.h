// SPDX-License-Identifier: Apache-2.0
// What the tests of the cache and the service share: a keeper in memory, and codes that show which
// item and version they are of.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/data/events.h"
#include "core/retrieval/item_codes.h"
#include "core/serving/history_cache.h"
#include "simd/code_blocks.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {

inline Event EventOf(UserId user, int32_t item, int64_t time) {
  return {std::move(user), {item, time}};
}

// Histories in memory, as HistoryStore keeps them on disk.
class MemoryKeeper : public HistoryKeeper {
 public:
  bool Append(const EventBatch& batch, Durability) override {
    const std::lock_guard lock(mutex_);
    if (fail_appends) throw DataError("the disk is full");
    if (batch.source && offsets_[batch.source->partition] >= batch.source->offset) return false;
    if (batch.source) offsets_[batch.source->partition] = batch.source->offset;
    for (const Event& event : batch.events) {
      auto& history = histories_[event.user];
      const auto place = std::ranges::upper_bound(history, event.behaviour.time, {},
                                                  [](const Behaviour& b) { return b.time; });
      history.insert(place, event.behaviour);
    }
    return true;
  }

  std::vector<Behaviour> Read(const UserId& user, size_t newest) const override {
    const std::lock_guard lock(mutex_);
    ++reads;
    if (fail_reads) throw DataError("a file is damaged");
    const auto found = histories_.find(user);
    if (found == histories_.end()) return {};
    const auto& history = found->second;
    return {history.end() - static_cast<ptrdiff_t>(std::min(newest, history.size())),
            history.end()};
  }

  void Forget(const UserId& user) override {
    const std::lock_guard lock(mutex_);
    if (fail_appends) throw DataError("the disk is full");
    histories_.erase(user);
  }

  mutable std::atomic<int> reads = 0;
  std::atomic<bool> fail_reads = false, fail_appends = false;

 private:
  mutable std::mutex mutex_;
  std::map<UserId, std::vector<Behaviour>> histories_;
  std::map<std::string, uint64_t> offsets_;  // from 1
};

// Codes of 64 bits: the item and a stamp.
struct Mark {
  uint32_t stamp;
  uint32_t item;
  bool operator==(const Mark&) const = default;
};

inline constexpr size_t kMarkBits = 64;

// Embeddings that MarkPlanes make these codes of.
inline ItemTable MarkedItems(std::span<const int32_t> ids, uint32_t stamp) {
  ItemTable items;
  items.embeddings = Matrix<float>(ids.size(), kMarkBits);
  for (size_t i = 0; i < ids.size(); ++i) {
    const Mark mark{stamp, static_cast<uint32_t>(ids[i])};
    uint64_t code;
    static_assert(sizeof code == sizeof mark);
    std::memcpy(&code, &mark, sizeof code);
    for (size_t bit = 0; bit < kMarkBits; ++bit) {
      items.embeddings.row(i)[bit] = (code >> bit & 1) != 0 ? 1.0f : -1.0f;
    }
  }
  return items;
}

// Items 0 to count - 1.
inline ItemTable MarkedItems(size_t count, uint32_t stamp) {
  std::vector<int32_t> ids(count);
  for (size_t i = 0; i < count; ++i) ids[i] = static_cast<int32_t>(i);
  return MarkedItems(ids, stamp);
}

inline Hyperplanes MarkPlanes() {
  Matrix<float> matrix(kMarkBits, kMarkBits);
  for (size_t i = 0; i < kMarkBits; ++i) matrix.row(i)[i] = 1;
  return Hyperplanes::FromMatrix(std::move(matrix));
}

inline Mark MarkAt(const simd::CodeBlocksView& blocks, size_t position) {
  Mark mark;
  uint8_t code[sizeof mark];
  simd::GetBlockCode(blocks.data, blocks.code_bytes, position, code);
  std::memcpy(&mark, code, sizeof mark);
  return mark;
}

// A cache over a keeper, whose appends go to both.
struct CachedKeeper {
  CachedKeeper(const ItemCodes& codes, HistoryCacheOptions options)
      : cache(
            codes,
            [this](const UserId& user, size_t newest) {
              auto history = keeper.Read(user, newest);
              if (during_load) std::exchange(during_load, nullptr)();
              return history;
            },
            std::move(options)) {}

  bool Append(std::vector<Event> events) {
    return cache.Append(events, [&] { return keeper.Append({events, {}}, Durability::kNone); });
  }
  void Forget(const UserId& user) {
    cache.Forget(user, [&] { keeper.Forget(user); });
  }
  std::vector<int32_t> Items(const UserId& user) {
    const auto reading = cache.Read(user);
    return {reading.items().begin(), reading.items().end()};
  }

  MemoryKeeper keeper;
  std::function<void()> during_load;  // called once, after the keeper was read
  HistoryCache cache;
};

}  // namespace eta::test
