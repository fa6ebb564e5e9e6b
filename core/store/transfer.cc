// SPDX-License-Identifier: Apache-2.0
#include "core/store/transfer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/check.h"
#include "core/base/staged_folder.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBatchEvents = 1 << 16;  // any size that fits memory would do

void CheckHistories(const Histories& histories, const StoreLimits& limits) {
  ValidateItemLists(histories, size_t{1} << 31, "histories");
  const std::vector<int64_t>& times = histories.times;
  if (times.empty()) {
    Require(limits.max_age_seconds == 0 || histories.items.empty(),
            "the histories have no times, so that max_age_seconds cannot apply");
    return;
  }
  Require(times.size() == histories.items.size(), "histories have ", times.size(), " times for ",
          histories.items.size(), " behaviours");
  for (size_t user = 0; user < histories.users(); ++user) {
    const auto begin = times.begin() + histories.offsets[user];
    const auto end = times.begin() + histories.offsets[user + 1];
    Require(std::is_sorted(begin, end), "times of user ", user, " decrease");
  }
}

void Fill(const Histories& histories, HistoryStore& store) {
  EventBatch batch;
  for (size_t user = 0; user < histories.users(); ++user) {
    const auto begin = static_cast<size_t>(histories.offsets[user]);
    const std::span<const int32_t> items = histories[user];
    for (size_t i = 0; i < items.size(); ++i) {
      const int64_t time =
          histories.times.empty() ? static_cast<int64_t>(i) : histories.times[begin + i];
      Event& event = batch.events.emplace_back();
      event.user = static_cast<int64_t>(user);
      event.behaviour = {.item = items[i], .time = time};
      if (batch.events.size() == kBatchEvents) {
        store.Append(batch, Durability::kNone);
        batch.events.clear();
      }
    }
  }
  store.Append(batch, Durability::kSynced);
  store.Sync();
}

}  // namespace

void ImportHistories(const Histories& histories, const fs::path& folder,
                     const StoreLimits& limits) {
  CheckHistories(histories, limits);
  StagedFolder staged(folder);
  const fs::path made = staged.path() / "store";
  HistoryStore::Create(made, limits);
  {
    HistoryStore store(made);
    Fill(histories, store);
  }
  for (const auto& entry : fs::directory_iterator(made)) {
    fs::rename(entry.path(), staged.path() / entry.path().filename());
  }
  fs::remove(made);
  staged.Commit();
}

ExportedHistories ExportHistories(const HistoryStore& store) {
  ExportedHistories exported;
  store.ForEachUser([&](const UserId& user, std::span<const Behaviour> behaviours) {
    exported.users.push_back(user);
    for (const Behaviour& behaviour : behaviours) {
      exported.histories.items.push_back(behaviour.item);
      exported.histories.times.push_back(behaviour.time);
    }
    exported.histories.offsets.push_back(static_cast<int64_t>(exported.histories.items.size()));
  });
  return exported;
}

}  // namespace eta
