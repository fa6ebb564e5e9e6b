// SPDX-License-Identifier: Apache-2.0
// The byte budget of core/serving/history_cache.h. ETA_CACHE_APPENDS=10000000 sets how many appends
// the long run makes; the default takes less than a second.
#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "tests/core/serving/serving_test_util.h"
#include "tests/support/sanitizers.h"

namespace eta::test {
namespace {

constexpr size_t kItems = 1000;

// A history of `length` behaviours for every user, without memory for any.
HistoryCache::Load LoadsOf(size_t length) {
  return [length](const UserId& user, size_t newest) {
    const int64_t number = std::get<int64_t>(user);
    std::vector<Behaviour> history(std::min(length, newest));
    for (size_t i = 0; i < history.size(); ++i) {
      history[i] = {static_cast<int32_t>((static_cast<size_t>(number) + i) % kItems),
                    static_cast<int64_t>(i)};
    }
    return history;
  };
}

TEST(HistoryCacheBudgetTest, HoldsTheBudget) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  for (const size_t shards : {1, 3, 16}) {
    for (const size_t budget : {size_t{0}, size_t{100}, size_t{100000}, size_t{1} << 20}) {
      SCOPED_TRACE(::testing::Message() << "shards=" << shards << " budget=" << budget);
      HistoryCache cache(codes, LoadsOf(100), {.budget_bytes = budget, .shards = shards});
      EXPECT_EQ(cache.budget_bytes(), budget);
      Rng rng(budget);
      for (int i = 0; i < 3000; ++i) {
        const auto user = static_cast<int64_t>(rng() % 2000);
        const auto reading = cache.Read(user);
        ASSERT_EQ(reading.items().size(), 100u);
        ASSERT_EQ(MarkAt(reading.blocks(), 99),
                  (Mark{1, static_cast<uint32_t>((user + 99) % int64_t{kItems})}));
        ASSERT_LE(cache.Stats().bytes, budget);
      }
      const HistoryCacheStats stats = cache.Stats();
      EXPECT_EQ(stats.hits + stats.misses, 3000u);
      if (budget < 1000) {
        EXPECT_EQ(stats.hits, 0u);
        EXPECT_EQ(stats.bytes, 0u);
      } else {
        EXPECT_GT(stats.evictions, 0u);
        EXPECT_GT(stats.bytes, budget * 7 / 10) << "much of the budget is not used";
        EXPECT_GT(stats.hits, 0u);
      }
    }
  }
}

TEST(HistoryCacheBudgetTest, WhoIsReadOftenStays) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  HistoryCache cache(codes, LoadsOf(100), {.budget_bytes = 100000, .shards = 1});
  cache.Read(0);
  for (int64_t user = 1; user < 2000; ++user) {
    cache.Read(user);
    ASSERT_TRUE(cache.Read(0).hit()) << user;
  }
  EXPECT_FALSE(cache.Read(1).hit());
}

TEST(HistoryCacheBudgetTest, ANewHistoryStaysUntilTheHandComesRound) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  HistoryCache cache(codes, LoadsOf(100), {.budget_bytes = 100000, .shards = 1});
  for (int64_t user = 0; user < 2000; ++user) cache.Read(user);
  ASSERT_GT(cache.Stats().users, 40u);
  for (int64_t user = 1999; user >= 1980; --user) EXPECT_TRUE(cache.Read(user).hit()) << user;
}

TEST(HistoryCacheBudgetTest, AHistoryTooLargeEvictsNobody) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  HistoryCache cache(codes,
                     [](const UserId& user, size_t newest) {
                       return LoadsOf(std::get<int64_t>(user) == 99 ? 100000 : 10)(user, newest);
                     },
                     {.budget_bytes = 100000, .max_behaviours = 100000, .shards = 1});
  for (int64_t user = 0; user < 50; ++user) cache.Read(user);
  for (int i = 0; i < 2; ++i) {
    const auto reading = cache.Read(99);
    EXPECT_FALSE(reading.hit());
    EXPECT_EQ(reading.items().size(), 100000u);
  }
  for (int64_t user = 0; user < 50; ++user) EXPECT_TRUE(cache.Read(user).hit()) << user;
}

// A history that is evicted while it is read stays until the reader is done.
TEST(HistoryCacheBudgetTest, AReadingOutlivesEviction) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  HistoryCache cache(codes, LoadsOf(100), {.budget_bytes = 20000, .shards = 1});
  const auto reading = cache.Read(5);
  for (int64_t user = 10; user < 200; ++user) cache.Read(user);
  EXPECT_EQ(reading.items()[0], 5);
  EXPECT_EQ(MarkAt(reading.blocks(), 0), (Mark{1, 5}));
  EXPECT_FALSE(cache.Read(6).hit());
}

// Bytes of this process that malloc has given out.
size_t Allocated() {
#if defined(__GLIBC__)
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

TEST(HistoryCacheBudgetTest, MemoryStaysInBudgetOverManyAppends) {
  const char* given = std::getenv("ETA_CACHE_APPENDS");
  const int64_t appends = given == nullptr ? 200000 : std::atoll(given);
  constexpr size_t kBudget = size_t{1} << 20;
  constexpr int64_t kUsers = 5000;
  constexpr int64_t kBatch = 20;
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  const size_t before = Allocated();
  {
    HistoryCache cache(codes, LoadsOf(10),
                       {.budget_bytes = kBudget, .max_behaviours = 500, .shards = 4});
    const size_t empty = Allocated() - before;  // stripes, which are no part of the budget
    EXPECT_LT(empty, size_t{1} << 20);
    Rng rng(1);
    std::vector<Event> events(kBatch);
    size_t most = 0;
    for (int64_t i = 0; i < appends; i += kBatch) {
      for (int64_t j = 0; j < kBatch; ++j) {
        // Squared, so that some users are popular.
        const auto user = static_cast<int64_t>(rng() % 1000 * (rng() % 1000)) * kUsers / 1000000;
        events[static_cast<size_t>(j)] =
            EventOf(user, static_cast<int32_t>(rng() % kItems), 100 + i + j);
      }
      cache.Append(events, [] { return true; });
      cache.Read(events[0].user);
      ASSERT_LE(cache.Stats().bytes, kBudget);
      if (i / kBatch % 1000 == 0) most = std::max(most, Allocated() - before - empty);
    }
    const HistoryCacheStats stats = cache.Stats();
    EXPECT_GT(stats.extensions, static_cast<uint64_t>(appends / 20));
    EXPECT_GT(stats.bytes, kBudget / 2);
    EXPECT_GT(stats.evictions, 0u);
#if !ETA_IS_SANITIZED  // which have a malloc of their own
    // malloc's own bytes beside those that are counted, 16 for each block, and fragments.
    EXPECT_LT(most, kBudget * 12 / 10);
#endif
  }
}

}  // namespace
}  // namespace eta::test
