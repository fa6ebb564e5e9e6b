// SPDX-License-Identifier: Apache-2.0
// core/serving/history_cache.h, by one thread.
#include "core/serving/history_cache.h"

#include <limits>
#include <string>

#include "tests/core/serving/serving_test_util.h"

namespace eta::test {
namespace {

using Ids = std::vector<int32_t>;

constexpr size_t kItems = 300;

// What a cache that has just loaded the history would give.
void ExpectAsFresh(CachedKeeper& cached, const ItemCodes& codes, const UserId& user,
                   const HistoryCacheOptions& options) {
  HistoryCache fresh(
      codes, [&](const UserId& of, size_t newest) { return cached.keeper.Read(of, newest); },
      options);
  const auto expected = fresh.Read(user);
  const auto reading = cached.cache.Read(user);
  ASSERT_TRUE(std::ranges::equal(reading.items(), expected.items()));
  ASSERT_EQ(reading.newest_time(), expected.newest_time());
  ASSERT_EQ(reading.version().number, expected.version().number);
  ASSERT_EQ(reading.blocks().n, reading.items().size());
  ASSERT_EQ(reading.blocks().code_bytes, expected.blocks().code_bytes);
  const size_t bytes = simd::CodeBlocksBytes(expected.blocks().n, expected.blocks().code_bytes);
  ASSERT_TRUE(SameValues<uint8_t>({reading.blocks().data, bytes}, {expected.blocks().data, bytes}));
}

TEST(HistoryCacheTest, LoadsOnceThenHits) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  cached.keeper.Append({{EventOf(7, 3, 10), EventOf(7, 4, 11), EventOf("7", 5, 12)}, {}},
                       Durability::kNone);
  for (const bool hit : {false, true, true}) {
    const auto reading = cached.cache.Read(7);
    EXPECT_EQ(reading.hit(), hit);
    EXPECT_TRUE(std::ranges::equal(reading.items(), Ids{3, 4}));
    EXPECT_EQ(reading.newest_time(), 11);
    EXPECT_EQ(MarkAt(reading.blocks(), 1), (Mark{1, 4}));
    EXPECT_EQ(reading.version().number, 1u);
  }
  EXPECT_EQ(cached.Items("7"), Ids{5});
  EXPECT_EQ(cached.keeper.reads, 2);
  EXPECT_TRUE(cached.Items(8).empty());
  EXPECT_TRUE(cached.cache.Read(8).hit());
  EXPECT_EQ(cached.cache.Read(8).newest_time(), 0);
  const HistoryCacheStats stats = cached.cache.Stats();
  EXPECT_EQ(stats.hits, 4u);
  EXPECT_EQ(stats.misses, 3u);
  EXPECT_EQ(stats.users, 3u);
  EXPECT_EQ(stats.evictions, 0u);
}

TEST(HistoryCacheTest, ExtensionsEqualAFreshGather) {
  Rng rng(1);
  for (const size_t bits : {size_t{13}, size_t{64}, size_t{129}}) {
    for (const size_t most : {size_t{1}, size_t{63}, size_t{64}, size_t{100}, size_t{100000}}) {
      SCOPED_TRACE(::testing::Message() << "bits=" << bits << " most=" << most);
      const ItemCodes codes(BellItems(kItems, 16, bits), Planes(16, bits));
      const HistoryCacheOptions options{.max_behaviours = most};
      CachedKeeper cached(codes, options);
      int64_t time = 0;
      int late = 0;
      for (int batch = 0; batch < 150; ++batch) {
        std::vector<Event> events;
        for (size_t i = rng() % 4; i > 0; --i) {
          time += static_cast<int64_t>(rng() % 2);  // equal times, too
          const bool is_late = rng() % 50 == 0;
          late += is_late ? 1 : 0;
          events.push_back(EventOf(static_cast<int64_t>(rng() % 2),
                                   static_cast<int32_t>(rng() % kItems), is_late ? 1 : time));
        }
        if (rng() % 2 == 0) std::ranges::reverse(events);
        cached.Append(events);
        for (const int64_t user : {0, 1}) {
          ASSERT_NO_FATAL_FAILURE(ExpectAsFresh(cached, codes, user, options));
        }
      }
      const HistoryCacheStats stats = cached.cache.Stats();
      EXPECT_GT(late, 0);
      EXPECT_GT(stats.extensions, 100u);
      EXPECT_GT(stats.drops, 0u);
      EXPECT_LE(stats.drops, static_cast<uint64_t>(late));
      EXPECT_EQ(stats.misses, 2 + stats.drops);  // nothing else was loaded
      EXPECT_EQ(stats.gathers > 0, most < 150);  // the window slid
    }
  }
}

TEST(HistoryCacheTest, ANewVersionIsGatheredFromTheIds) {
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  for (int32_t i = 0; i < 100; ++i) cached.Append({EventOf(1, i, i), EventOf(2, 299 - i, i)});
  EXPECT_EQ(cached.Items(1).size(), 100u);
  EXPECT_EQ(cached.Items(2).size(), 100u);
  codes.Rebuild(MarkedItems(kItems, 2), MarkPlanes());
  cached.Append({EventOf(1, 200, 100)});  // before anybody has gathered
  {
    const auto reading = cached.cache.Read(1);
    EXPECT_TRUE(reading.hit());
    ASSERT_EQ(reading.items().size(), 101u);
    for (size_t i = 0; i < 101; ++i) {
      EXPECT_EQ(MarkAt(reading.blocks(), i), (Mark{2, static_cast<uint32_t>(reading.items()[i])}));
    }
    codes.Refresh(2, Ids{5}, MarkedItems(Ids{5}, 3));
    EXPECT_EQ(MarkAt(reading.blocks(), 5), (Mark{2, 5})) << "a request keeps its version";
    EXPECT_EQ(reading.version().number, 2u);
  }
  EXPECT_EQ(MarkAt(cached.cache.Read(1).blocks(), 5), (Mark{3, 5}));
  EXPECT_EQ(cached.cache.Stats().gathers, 2u);
  EXPECT_EQ(cached.keeper.reads, 2);
  // Codes of another width.
  codes.Rebuild(BellItems(kItems, 16, 1), Planes(16, 200));
  ASSERT_NO_FATAL_FAILURE(ExpectAsFresh(cached, codes, 1, {}));
  codes.Rebuild(MarkedItems(kItems, 4), MarkPlanes());
  ASSERT_NO_FATAL_FAILURE(ExpectAsFresh(cached, codes, 1, {}));
}

TEST(HistoryCacheTest, ItemsThatAVersionLacksAreLeftOut) {
  ItemCodes codes(MarkedItems(10, 1), MarkPlanes());
  CachedKeeper cached(codes, {.max_behaviours = 4});
  cached.Append({EventOf(1, 8, 1), EventOf(1, 12, 2), EventOf(1, 3, 3)});
  EXPECT_EQ(cached.Items(1), (Ids{8, 3}));
  EXPECT_EQ(cached.Items(1), (Ids{8, 3}));
  EXPECT_EQ(cached.keeper.reads, 1) << "cached all the same";
  cached.Append({EventOf(1, 4, 4)});
  EXPECT_EQ(cached.Items(1), (Ids{8, 3, 4}));
  cached.Append({EventOf(1, 5, 5)});  // of the newest four, one is unknown
  EXPECT_EQ(cached.Items(1), (Ids{3, 4, 5}));
  codes.Rebuild(MarkedItems(13, 2), MarkPlanes());
  EXPECT_EQ(cached.Items(1), (Ids{12, 3, 4, 5}));
  codes.Rebuild(MarkedItems(5, 3), MarkPlanes());
  EXPECT_EQ(cached.Items(1), (Ids{3, 4}));
  codes.Rebuild(MarkedItems(13, 4), MarkPlanes());
  EXPECT_EQ(cached.Items(1), (Ids{12, 3, 4, 5}));
  cached.Append({EventOf(1, 13, 6)});
  EXPECT_EQ(cached.Items(1), (Ids{3, 4, 5}));
}

TEST(HistoryCacheTest, AnAgeLimitLoadsAgain) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  int64_t now = 100;
  CachedKeeper cached(codes, {.max_age_seconds = 50, .clock = [&] { return now; }});
  cached.Append({EventOf(1, 1, 60), EventOf(1, 2, 90)});
  EXPECT_FALSE(cached.cache.Read(1).hit());
  for (const int64_t at : {100, 110}) {
    now = at;
    EXPECT_TRUE(cached.cache.Read(1).hit()) << at;
  }
  now = 111;
  EXPECT_FALSE(cached.cache.Read(1).hit());
  now = 60;
  EXPECT_TRUE(cached.cache.Read(1).hit());
  now = std::numeric_limits<int64_t>::min();
  EXPECT_TRUE(cached.cache.Read(1).hit());
}

TEST(HistoryCacheTest, AFailedLoadCachesNothing) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  cached.Append({EventOf(1, 5, 1)});
  cached.keeper.fail_reads = true;
  for (int i = 0; i < 3; ++i) EXPECT_THROW(cached.cache.Read(1), DataError);
  EXPECT_EQ(cached.cache.Stats().users, 0u);
  EXPECT_EQ(cached.cache.Stats().bytes, 0u);
  EXPECT_EQ(cached.cache.Stats().misses, 3u);
  cached.keeper.fail_reads = false;
  EXPECT_EQ(cached.Items(1), Ids{5});
  cached.keeper.fail_reads = true;
  EXPECT_EQ(cached.Items(1), Ids{5}) << "a cached one needs no load";
}

TEST(HistoryCacheTest, AFailedAppendDropsTheUsers) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  cached.Append({EventOf(1, 5, 1), EventOf(2, 6, 1), EventOf(3, 7, 1)});
  for (const int64_t user : {1, 2, 3}) cached.cache.Read(user);
  // One that wrote its events and failed then, and one that wrote nothing.
  const std::vector<Event> events = {EventOf(1, 8, 2)};
  EXPECT_THROW(cached.cache.Append(events,
                                   [&]() -> bool {
                                     cached.keeper.Append({events, {}}, Durability::kNone);
                                     throw DataError("not synced");
                                   }),
               DataError);
  cached.keeper.fail_appends = true;
  EXPECT_THROW(cached.Append({EventOf(2, 9, 2)}), DataError);
  EXPECT_EQ(cached.Items(1), (Ids{5, 8}));
  EXPECT_EQ(cached.Items(2), Ids{6});
  EXPECT_TRUE(cached.cache.Read(3).hit());
  EXPECT_EQ(cached.cache.Stats().misses, 5u);
  EXPECT_THROW(cached.Forget(3), DataError);
  EXPECT_FALSE(cached.cache.Read(3).hit());
}

TEST(HistoryCacheTest, AReplayExtendsNothing) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  const EventBatch batch{{EventOf(1, 5, 1)}, SourceOffset{"p", 1}};
  cached.cache.Read(1);
  for (const bool added : {true, false}) {
    EXPECT_EQ(cached.cache.Append(batch.events,
                                  [&] { return cached.keeper.Append(batch, Durability::kNone); }),
              added);
    EXPECT_EQ(cached.Items(1), Ids{5});
  }
  EXPECT_TRUE(cached.cache.Append({}, [] { return true; }));
}

TEST(HistoryCacheTest, ForgettingAUserRemovesHim) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  cached.Append({EventOf("a", 5, 1), EventOf("b", 6, 1)});
  EXPECT_EQ(cached.Items("a"), Ids{5});
  EXPECT_EQ(cached.Items("b"), Ids{6});
  cached.Forget("a");
  EXPECT_EQ(cached.cache.Stats().users, 1u);
  EXPECT_TRUE(cached.Items("a").empty());
  EXPECT_TRUE(cached.cache.Read("b").hit());
  cached.Append({EventOf("a", 7, 0)});
  EXPECT_EQ(cached.Items("a"), Ids{7});
  // While he is being loaded: that reader began before and may see him, the next one may not.
  cached.Forget("a");
  cached.Append({EventOf("a", 8, 2)});
  cached.during_load = [&] { cached.Forget("a"); };
  EXPECT_EQ(cached.Items("a"), Ids{8});
  EXPECT_TRUE(cached.Items("a").empty());
}

// All ways in which a load and an append of one user can overlap.
TEST(HistoryCacheTest, ALoadThatMeetsAnAppendIsKeptWhereItIsKnownToLackIt) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  cached.during_load = [&] { cached.Append({EventOf(1, 5, 1)}); };
  EXPECT_TRUE(cached.Items(1).empty()) << "it had been read already";
  EXPECT_EQ(cached.Items(1), Ids{5});
  EXPECT_EQ(cached.cache.Stats().unkept, 1u);
  EXPECT_TRUE(cached.cache.Read(1).hit());
  // A whole load within an append, before it writes and after.
  for (const int32_t item : {6, 7}) {
    const bool is_before = item == 6;
    cached.cache.Forget(1, [] {});
    const std::vector<Event> events = {EventOf(1, item, item)};
    cached.cache.Append(events, [&] {
      if (is_before) {
        EXPECT_EQ(cached.Items(1), Ids{5});
        EXPECT_TRUE(cached.cache.Read(1).hit());
      }
      cached.keeper.Append({events, {}}, Durability::kNone);
      if (!is_before) {
        EXPECT_EQ(cached.Items(1), (Ids{5, 6, 7}));
        EXPECT_TRUE(cached.cache.Read(1).hit());
      }
      return true;
    });
    EXPECT_EQ(cached.cache.Read(1).hit(), is_before);
    EXPECT_EQ(cached.Items(1).back(), item);
    EXPECT_EQ(cached.Items(1).size(), static_cast<size_t>(item - 4));
  }
  // A load that begins within an append and ends after it.
  cached.cache.Forget(1, [] {});
  cached.during_load = [&] { cached.Append({EventOf(1, 8, 8)}); };
  EXPECT_EQ(cached.Items(1), (Ids{5, 6, 7}));
  EXPECT_EQ(cached.Items(1), (Ids{5, 6, 7, 8}));
  EXPECT_EQ(cached.cache.Stats().unkept, 2u);
}

// A load within an append of the same time as one that it read: it may have either.
TEST(HistoryCacheTest, ALoadWithinAnAppendOfAnOldTimeIsDropped) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  for (const int64_t time : {4, 5, 6}) {
    for (const bool is_empty : {false, true}) {
      CachedKeeper cached(codes, {});
      if (!is_empty) cached.Append({EventOf(1, 1, 5)});
      const std::vector<Event> events = {EventOf(1, 2, time), EventOf(1, 3, 7)};
      cached.cache.Append(events, [&] {
        EXPECT_EQ(cached.Items(1), is_empty ? Ids{} : Ids{1});
        return cached.keeper.Append({events, {}}, Durability::kNone);
      });
      EXPECT_EQ(cached.cache.Read(1).hit(), is_empty || time == 6) << time;
      EXPECT_EQ(cached.cache.Stats().drops, is_empty || time == 6 ? 0u : 1u) << time;
      ExpectAsFresh(cached, codes, 1, {});
    }
  }
}

// Two appends are under way while their user is loaded, which has the one and not the other.
TEST(HistoryCacheTest, ALoadWithinTwoAppendsHasEachOnce) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  for (const int64_t inner_time : {4, 5, 6}) {
    CachedKeeper cached(codes, {});
    cached.Append({EventOf(1, 1, 1)});
    const std::vector<Event> outer = {EventOf(1, 2, 5)}, inner = {EventOf(1, 3, inner_time)};
    cached.cache.Append(outer, [&] {
      cached.keeper.Append({outer, {}}, Durability::kNone);
      return cached.cache.Append(inner, [&] {
        EXPECT_EQ(cached.Items(1), (Ids{1, 2}));
        return cached.keeper.Append({inner, {}}, Durability::kNone);
      });
    });
    EXPECT_EQ(cached.Items(1), (inner_time == 4 ? Ids{1, 3, 2} : Ids{1, 2, 3})) << inner_time;
    ExpectAsFresh(cached, codes, 1, {});
  }
}

TEST(HistoryCacheTest, AppendsThatOverlapKeepTheKeepersOrder) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  for (const int64_t inner_time : {4, 5, 6}) {
    CachedKeeper cached(codes, {});
    cached.Append({EventOf(1, 1, 1)});
    EXPECT_EQ(cached.Items(1), Ids{1});
    // The outer one is written first and extends the cache last.
    const std::vector<Event> events = {EventOf(1, 2, 5)};
    cached.cache.Append(events, [&] {
      cached.keeper.Append({events, {}}, Durability::kNone);
      return cached.Append({EventOf(1, 3, inner_time)});
    });
    EXPECT_EQ(cached.Items(1), (inner_time == 4 ? Ids{1, 3, 2} : Ids{1, 2, 3})) << inner_time;
  }
}

TEST(HistoryCacheTest, EqualTimesOfOneAppendStayWhereAnotherOverlaps) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  cached.Append({EventOf(1, 1, 1)});
  EXPECT_EQ(cached.Items(1), Ids{1});
  const std::vector<Event> events = {EventOf(1, 2, 5), EventOf(1, 3, 5)};
  cached.cache.Append(events, [&] {
    cached.Append({EventOf(1, 4, 4)});
    return cached.keeper.Append({events, {}}, Durability::kNone);
  });
  EXPECT_TRUE(cached.cache.Read(1).hit());
  EXPECT_EQ(cached.Items(1), (Ids{1, 4, 2, 3}));
  EXPECT_EQ(cached.cache.Stats().drops, 0u);
  ExpectAsFresh(cached, codes, 1, {});
}

TEST(HistoryCacheTest, OptionsOutOfRangeAreRefused) {
  const ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  const auto load = [](const UserId&, size_t) { return std::vector<Behaviour>(); };
  const auto make = [&](HistoryCacheOptions options) {
    return Error([&] { HistoryCache(codes, load, std::move(options)); });
  };
  EXPECT_TRUE(Has(make({.max_behaviours = 0}), "max_behaviours = 0"));
  EXPECT_TRUE(Has(make({.max_behaviours = size_t{1} << 31}), "max_behaviours = 2147483648"));
  EXPECT_TRUE(Has(make({.shards = 1025}), "shards = 1025"));
  EXPECT_EQ(make({.shards = 1024}), "");
  EXPECT_TRUE(Has(Error([&] { HistoryCache(codes, nullptr, {}); }), "no function"));
}

}  // namespace
}  // namespace eta::test
