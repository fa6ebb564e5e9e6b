// SPDX-License-Identifier: Apache-2.0
// core/serving/ranking_service.h over histories on disk.
#include "core/serving/ranking_service.h"

#include <rocksdb/env.h>

#include "core/store/history_store.h"
#include "tests/core/serving/serving_test_util.h"
#include "tests/core/store/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace eta::test {
namespace {

constexpr size_t kItems = 50;

// The newest items of a user as a request sees them.
std::vector<int32_t> Seen(RankingService& service, const UserId& user) {
  constexpr size_t kMost = 10;
  const std::vector<int32_t> candidates = {0};
  std::vector<int32_t> positions(kMost), counts(1), items(kMost);
  const RequestReport report =
      service.Retrieve(user, candidates, kMost, {positions, counts}, items);
  std::vector<int32_t> seen(report.length);
  for (size_t i = 0; i < report.length; ++i) seen[static_cast<size_t>(positions[i])] = items[i];
  return seen;
}

using Ids = std::vector<int32_t>;

EventBatch BatchOf(std::vector<Event> events) { return {std::move(events), std::nullopt}; }

TEST(RankingStoreTest, AppendsReachDiskAndCache) {
  const TempFolder temp;
  HistoryStore::Create(temp.path() / "s", {.max_behaviours = 3});
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  for (const bool reopened : {false, true}) {
    HistoryStore store(temp.path() / "s");
    RankingService service(store, codes, {.cache = {.max_behaviours = 3}});
    EventBatch batch = BatchOf({EventOf(1, 5, 1), EventOf("one", 6, 1), EventOf(1, 7, 2)});
    batch.source = {"p", 1};
    EXPECT_EQ(service.Append(batch, Durability::kSynced), !reopened);
    EXPECT_EQ(Seen(service, "one"), Ids{6});
    if (reopened) {
      EXPECT_EQ(Seen(service, 1), (Ids{7, 8, 9}));
      service.Forget(1);
      EXPECT_TRUE(Seen(service, 1).empty());
      EXPECT_TRUE(store.Read(1, 10).empty());
    } else {
      EXPECT_EQ(Seen(service, 1), (Ids{5, 7}));
      service.Append(BatchOf({EventOf(1, 8, 3), EventOf(1, 9, 4)}), Durability::kFlushed);
      EXPECT_EQ(Seen(service, 1), (Ids{7, 8, 9})) << "limited as on disk";
      EXPECT_EQ(service.CacheStats().misses, 2u);
    }
  }
}

TEST(RankingStoreTest, AFullDiskFailsAppendsAndNotRequests) {
  const TempFolder temp;
  HistoryStore::Create(temp.path() / "s");
  const auto disk = std::make_shared<FaultFs>();
  const auto env = rocksdb::NewCompositeEnv(disk);
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  StoreOptions options;
  options.env = env.get();
  HistoryStore store(temp.path() / "s", options);
  RankingService service(store, codes);
  service.Append(BatchOf({EventOf(1, 5, 1), EventOf(2, 6, 1)}), Durability::kSynced);
  EXPECT_EQ(Seen(service, 1), Ids{5});
  disk->SetSpace(0);
  EXPECT_THROW(service.Append(BatchOf({EventOf(1, 7, 2)}), Durability::kSynced), DataError);
  const auto on_disk = store.Read(1, 10);  // with the append or without, nobody can tell
  EXPECT_EQ(Seen(service, 1).size(), on_disk.size());
  EXPECT_EQ(Seen(service, 2), Ids{6});
  EXPECT_THROW(service.Forget(2), DataError);
  EXPECT_EQ(Seen(service, 2), Ids{6});
  EXPECT_TRUE(Has(service.PrometheusText(), "eta_failed_appends_total 1\n"));
}

// A sorted file with a changed byte in its first block, which holds the users.
TEST(RankingStoreTest, DamageFailsLoadsAndNotWhatIsCached) {
  const TempFolder temp;
  const auto folder = temp.path() / "s";
  HistoryStore::Create(folder);
  {
    HistoryStore store(folder);
    store.Append(BatchOf({EventOf(1, 5, 1), EventOf(2, 6, 1)}), Durability::kSynced);
    store.Compact();
  }
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  StoreOptions options;
  options.cache_bytes = 0;
  HistoryStore store(folder, options);
  RankingService service(store, codes);
  EXPECT_EQ(Seen(service, 1), Ids{5});
  int damaged = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "db")) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(0).put(byte);
    ++damaged;
  }
  ASSERT_GT(damaged, 0);
  const std::vector<int32_t> candidates = {0};
  std::vector<int32_t> positions(1, -7), counts(1, -7);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(service.Retrieve(2, candidates, 1, {positions, counts}), DataError);
  }
  EXPECT_EQ(counts[0], -7);
  EXPECT_EQ(Seen(service, 1), Ids{5});
  EXPECT_TRUE(Has(service.PrometheusText(), "eta_failed_requests_total{kind=\"retrieve\"} 2\n"));
}

}  // namespace
}  // namespace eta::test
