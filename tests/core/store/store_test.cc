// SPDX-License-Identifier: Apache-2.0
// The store of histories where nothing goes wrong, and what it refuses.
#include "core/store/history_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <thread>

#include "core/base/random.h"
#include "core/store/check.h"
#include "tests/core/store/store_test_util.h"

namespace eta {
namespace {

namespace fs = std::filesystem;
using test::BatchOf;
using test::EventOf;
using test::Items;
using test::kAll;

class StoreTest : public ::testing::Test {
 protected:
  fs::path Make(const StoreLimits& limits = {}, const char* name = "store") {
    HistoryStore::Create(folder_ / name, limits);
    return folder_ / name;
  }

  TempFolder folder_;
};

TEST_F(StoreTest, ReadsTheNewestInOrderOfTimeThenOfAppends) {
  const fs::path path = Make();
  for (const bool reopened : {false, true}) {
    HistoryStore store(path);
    if (!reopened) {
      store.Append(BatchOf({EventOf(7, 1, 50), EventOf(7, 2, 10), EventOf(8, 3, 5)}),
                   Durability::kNone);
      store.Append(BatchOf({EventOf(7, 4, 50), EventOf(7, 5, 20)}), Durability::kFlushed);
      store.Append(BatchOf({{"7", {6, 1}}, {std::string("a\0b", 3), {7, -9}}}),
                   Durability::kSynced);
    }
    EXPECT_EQ(Items(store.Read(7, kAll)), (std::vector<int32_t>{2, 5, 1, 4}));
    EXPECT_EQ(store.Read(7, 2), (std::vector<Behaviour>{{1, 50}, {4, 50}}));
    EXPECT_TRUE(store.Read(7, 0).empty());
    EXPECT_EQ(Items(store.Read("7", kAll)), (std::vector<int32_t>{6}));
    EXPECT_EQ(store.Read(std::string("a\0b", 3), 1), (std::vector<Behaviour>{{7, -9}}));
    EXPECT_TRUE(store.Read(9, kAll).empty());
    EXPECT_TRUE(store.Read("a", kAll).empty());
  }
}

TEST_F(StoreTest, VisitsUsersInOrderAndCounts) {
  HistoryStore store(Make());
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const UserId& user :
       {UserId("b"), UserId(kMost), UserId(-1), UserId(0), UserId("a"), UserId(kLeast)}) {
    store.Append(BatchOf({{user, {1, 5}}, {user, {2, kLeast}}}), Durability::kNone);
  }
  std::vector<UserId> users;
  store.ForEachUser([&](const UserId& user, std::span<const Behaviour> behaviours) {
    users.push_back(user);
    EXPECT_EQ(behaviours.size(), 2u);
  });
  EXPECT_EQ(users, (std::vector<UserId>{kLeast, -1, 0, kMost, "a", "b"}));
  const StoreStats stats = store.Stats();
  EXPECT_EQ(stats.users, 6u);
  EXPECT_EQ(stats.behaviours, 12u);
  EXPECT_EQ(stats.oldest, kLeast);
  EXPECT_EQ(stats.newest, 5);
}

TEST_F(StoreTest, SkipsWhatASourceSendsAgain) {
  const fs::path path = Make();
  EventBatch batch = BatchOf({EventOf(1, 1, 1)});
  batch.source = {"p", 10};
  {
    HistoryStore store(path);
    EXPECT_EQ(store.Offset("p"), std::nullopt);
    EXPECT_TRUE(store.Append(batch, Durability::kFlushed));
    EXPECT_FALSE(store.Append(batch, Durability::kSynced));
    batch.source = {"q", 0};  // another partition has offsets of its own
    EXPECT_TRUE(store.Append(batch, Durability::kFlushed));
  }
  HistoryStore store(path);
  EXPECT_EQ(store.Offset("p"), 10u);
  batch.source = {"p", 9};
  EXPECT_FALSE(store.Append(batch, Durability::kSynced));
  EXPECT_EQ(store.Read(1, kAll).size(), 2u);
  batch.source = {"p", 12};
  EXPECT_TRUE(store.Append(batch, Durability::kSynced));
  EXPECT_TRUE(store.Append({{}, SourceOffset{"p", 13}}, Durability::kSynced));  // moves on alone
  EXPECT_EQ(store.Offset("p"), 13u);
  EXPECT_EQ(store.Read(1, kAll).size(), 3u);
  ASSERT_EQ(store.Stats().sources.size(), 2u);
  EXPECT_EQ(store.Stats().sources[1].partition, "q");
}

// Random appends, some late, reads, compactions and restarts, against a plain map.
TEST_F(StoreTest, AgreesWithAMapWheneverItCompacts) {
  for (const StoreLimits limits :
       {StoreLimits{}, StoreLimits{5, 0}, StoreLimits{0, 300}, StoreLimits{7, 200}}) {
    SCOPED_TRACE(Cat(limits.max_behaviours, ' ', limits.max_age_seconds));
    Random random(limits.max_behaviours, limits.max_age_seconds);
    std::atomic<int64_t> now = 1000;  // RocksDB's threads ask as well
    StoreOptions options;
    options.clock = [&now] { return now.load(); };
    const fs::path path =
        Make(limits, Cat("s", limits.max_behaviours, limits.max_age_seconds).c_str());
    auto store = std::make_unique<HistoryStore>(path, options);
    std::map<int64_t, std::vector<Behaviour>> all;
    const auto expected = [&](int64_t user) {
      std::vector<Behaviour> history = all[user];
      std::ranges::stable_sort(history, {}, &Behaviour::time);
      if (limits.max_age_seconds != 0) {
        std::erase_if(history, [&](const Behaviour& behaviour) {
          return behaviour.time < now - static_cast<int64_t>(limits.max_age_seconds);
        });
      }
      if (limits.max_behaviours != 0 && history.size() > limits.max_behaviours) {
        history.erase(history.begin(), history.end() - static_cast<int64_t>(limits.max_behaviours));
      }
      return history;
    };
    for (int step = 0; step < 250; ++step) {
      now += random.Below(8);
      EventBatch batch;
      for (uint32_t i = random.Below(6); i > 0; --i) {
        const Event event = EventOf(random.Below(4), static_cast<int32_t>(random.Below(1000)),
                                    now - random.Below(40));
        batch.events.push_back(event);
        all[std::get<int64_t>(event.user)].push_back(event.behaviour);
      }
      store->Append(batch, static_cast<Durability>(random.Below(2)));
      const int64_t user = random.Below(4);
      switch (random.Below(60)) {
        case 0:
          store->Compact();
          break;
        case 1:
          store.reset();
          store = std::make_unique<HistoryStore>(path, options);
          break;
        case 2:
          store->Forget(user);
          all[user].clear();
          break;
      }
      ASSERT_EQ(store->Read(user, kAll), expected(user)) << "step " << step;
    }
  }
}

TEST_F(StoreTest, ForgottenUsersLeaveTheDisk) {
  const std::string name = "forget-me-entirely";
  EventBatch batch;
  for (int32_t i = 0; i < 100; ++i) {
    batch.events.push_back({name, {0x5a5b5c5d, 0x4142434445464748}});
    batch.events.push_back(EventOf(i, i, i));
  }
  const std::string behaviour = "\x5d\x5c\x5b\x5aHGFEDCBA";
  StoreOptions options;
  options.compress = false;  // else the bytes are not found before either
  const fs::path path = Make();
  HistoryStore store(path, options);
  store.Append(batch, Durability::kSynced);
  EXPECT_GT(test::FilesWith(path, behaviour), 0u);
  store.Compact();
  EXPECT_GT(test::FilesWith(path, behaviour), 0u);  // now in a sorted file
  EXPECT_GT(test::FilesWith(path, name), 0u);
  store.Append(batch, Durability::kSynced);  // and in the log once more
  store.Forget(name);
  EXPECT_TRUE(store.Read(name, kAll).empty());
  store.Compact();
  EXPECT_EQ(test::FilesWith(path, behaviour), 0u);
  EXPECT_EQ(test::FilesWith(path, name), 0u);
  EXPECT_EQ(store.Read(3, kAll).size(), 2u);
  store.Append(BatchOf({{name, {1, 2}}}), Durability::kSynced);
  EXPECT_EQ(store.Read(name, kAll), (std::vector<Behaviour>{{1, 2}}));
}

TEST_F(StoreTest, WhatLimitsDropLeavesTheDisk) {
  std::atomic<int64_t> now = 1000;  // RocksDB's threads ask as well
  StoreOptions options;
  options.compress = false;
  options.clock = [&now] { return now.load(); };
  const fs::path path = Make({.max_behaviours = 2, .max_age_seconds = 100});
  HistoryStore store(path, options);
  store.Append(BatchOf({EventOf(1, 0x41414141, 990), EventOf(1, 2, 991), EventOf(1, 3, 992)}),
               Durability::kSynced);
  store.Append(BatchOf({EventOf(2, 0x42424242, 990), EventOf(2, 2, 1000)}), Durability::kSynced);
  store.Compact();
  EXPECT_EQ(test::FilesWith(path, "AAAA"), 0u);
  EXPECT_GT(test::FilesWith(path, "BBBB"), 0u);
  now = 1095;
  EXPECT_EQ(Items(store.Read(2, kAll)), (std::vector<int32_t>{2}));
  store.Compact();
  EXPECT_EQ(test::FilesWith(path, "BBBB"), 0u);
  EXPECT_TRUE(store.Read(1, kAll).empty());
  EXPECT_EQ(store.Stats().users, 1u);
}

// Ages around 2^63 seconds, before and after the first time that can be stored.
TEST_F(StoreTest, AnAgeLimitMayExceedAllTimes) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  StoreOptions options;
  options.clock = [] { return int64_t{1000}; };
  const auto kept = [&](uint64_t age) {
    HistoryStore store(Make({.max_age_seconds = age}, Cat("age", age).c_str()), options);
    store.Append(BatchOf({EventOf(1, 0, kLeast), EventOf(1, 1, kLeast + 999),
                          EventOf(1, 2, kLeast + 1000), EventOf(1, 3, kLeast + 1001)}),
                 Durability::kNone);
    return Items(store.Read(1, kAll));
  };
  EXPECT_EQ(kept(kHalf - 1), (std::vector<int32_t>{3}));
  EXPECT_EQ(kept(kHalf), (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(kept(kHalf + 1), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(kept(kHalf + 1000), (std::vector<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(kept(std::numeric_limits<uint64_t>::max()), (std::vector<int32_t>{0, 1, 2, 3}));
}

TEST_F(StoreTest, SnapshotsAreAMomentWhileAppendsGoOn) {
  const fs::path path = Make({.max_behaviours = 1000000});
  HistoryStore store(path);
  std::atomic<bool> stop = false;
  std::atomic<int32_t> appended = 0;
  std::thread writer([&] {
    for (int32_t i = 0; i < 50000 && !stop; ++i) {
      store.Append(BatchOf({EventOf(1, i, i), EventOf(2, i, i)}), Durability::kNone);
      appended = i + 1;
    }
  });
  for (int round = 0; round < 3; ++round) {
    const fs::path copy = folder_ / Cat("copy", round);
    const int32_t before = appended;
    store.Snapshot(copy);
    const HistoryStore snapshot(copy);
    std::vector<int32_t> whole(snapshot.Read(1, kAll).size());
    std::iota(whole.begin(), whole.end(), 0);
    EXPECT_EQ(Items(snapshot.Read(1, kAll)), whole);
    EXPECT_EQ(Items(snapshot.Read(2, kAll)), whole);
    EXPECT_GE(static_cast<int32_t>(whole.size()), before);
    EXPECT_EQ(snapshot.limits(), store.limits());
  }
  stop = true;
  writer.join();
  EXPECT_NE(test::DataErrorOf([&] { store.Snapshot(folder_ / "copy0"); }).find("exists already"),
            std::string::npos);
  EXPECT_EQ(folder_.CountEntries(), 4u);
  EXPECT_TRUE(CheckStore(folder_ / "copy2").damage.empty());
}

TEST_F(StoreTest, ThreadsAppendAndReadTogether) {
  HistoryStore store(Make());
  std::vector<std::thread> threads;
  for (int32_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&store, thread] {
      for (int32_t i = 0; i < 200; ++i) {
        EventBatch batch = BatchOf({EventOf(1, i, i), EventOf(100 + thread, i, i)});
        batch.source = {Cat("p", thread % 2), static_cast<uint64_t>(i)};
        store.Append(batch, i % 50 == 0 ? Durability::kSynced : Durability::kFlushed);
        EXPECT_LE(store.Read(1, kAll).size(), 400u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Two threads share a partition: of each offset one of them came first. There are two partitions.
  std::vector<int32_t> twice;
  for (int32_t i = 0; i < 200; ++i) twice.insert(twice.end(), 2, i);
  EXPECT_EQ(Items(store.Read(1, kAll)), twice);
  EXPECT_EQ(store.Stats().behaviours, 800u);
  EXPECT_EQ(store.Offset("p0"), 199u);
  EXPECT_EQ(store.Offset("p1"), 199u);
}

TEST_F(StoreTest, RefusesBadArguments) {
  const fs::path path = Make();
  HistoryStore store(path);
  const std::string long_name(256, 'x');
  const auto append = [&](EventBatch batch) { store.Append(batch, Durability::kNone); };
  EXPECT_THROW(append(BatchOf({EventOf(1, 1, 1), EventOf(1, -1, 1)})), std::invalid_argument);
  EXPECT_THROW(append(BatchOf({EventOf(1, 1, 1), {"", {1, 1}}})), std::invalid_argument);
  EXPECT_THROW(append(BatchOf({EventOf(1, 1, 1), {long_name, {1, 1}}})), std::invalid_argument);
  EXPECT_THROW(append({{EventOf(1, 1, 1)}, SourceOffset{"", 1}}), std::invalid_argument);
  EXPECT_THROW(append({{EventOf(1, 1, 1)}, SourceOffset{long_name, 1}}), std::invalid_argument);
  EXPECT_THROW(append(BatchOf(std::vector<Event>(kMaxBatchEvents + 1, EventOf(1, 1, 1)))),
               std::invalid_argument);
  EXPECT_THROW(store.Read("", 1), std::invalid_argument);
  EXPECT_THROW(store.Forget(long_name), std::invalid_argument);
  EXPECT_THROW(store.Offset(""), std::invalid_argument);
  EXPECT_EQ(store.Stats().behaviours, 0u);  // nothing of a refused batch is in
  EXPECT_EQ(store.Stats().sources.size(), 0u);

  StoreOptions small;
  small.buffer_bytes = 1;
  HistoryStore::Create(folder_ / "other");
  EXPECT_THROW(HistoryStore(folder_ / "other", small), std::invalid_argument);
}

TEST_F(StoreTest, RefusesFoldersThatAreNoStore) {
  const auto refuses = [&](const fs::path& path, const std::string& why) {
    const std::string error = test::DataErrorOf([&] { HistoryStore store(path); });
    EXPECT_NE(error.find(why), std::string::npos) << error;
    EXPECT_EQ(error.rfind(path.string(), 0), 0u) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    EXPECT_NE(test::DataErrorOf([&] { CheckStore(path); }), "");
  };
  refuses(folder_ / "absent", "no history store");
  EXPECT_EQ(folder_.CountEntries(), 0u);
  const fs::path path = Make();
  EXPECT_THROW(HistoryStore::Create(path), DataError);
  EXPECT_THROW(HistoryStore::Create(folder_ / "no" / "parent"), DataError);
  const fs::path description = path / "eta_store.txt";
  const std::string text = ReadText(description);
  EXPECT_EQ(text, "eta history store 1\nmax_behaviours 0\nmax_age_seconds 0\n");
  for (const std::string& bad :
       {std::string(), text + "\n", "eta history store 2\n" + text.substr(20), text.substr(0, 40),
        std::string("eta history store 1\nmax_behaviours 01\nmax_age_seconds 0\n"),
        std::string("eta history store 1\nmax_behaviours -1\nmax_age_seconds 0\n"),
        std::string(1000, '0')}) {
    WriteText(description, bad);
    refuses(path, "damaged");
  }
  WriteText(description, text);
  fs::remove_all(path / "db");
  refuses(path, "db");
}

TEST_F(StoreTest, ReadersShareAndAWriterIsAlone) {
  const fs::path path = Make();
  StoreOptions reading;
  reading.read_only = true;
  {
    HistoryStore writer(path);
    writer.Append(BatchOf({EventOf(1, 2, 3)}), Durability::kFlushed);
    for (const StoreOptions& options : {StoreOptions{}, reading}) {
      EXPECT_NE(test::DataErrorOf([&] { HistoryStore second(path, options); }).find("in use"),
                std::string::npos);
    }
    EXPECT_NE(test::DataErrorOf([&] { CheckStore(path); }).find("in use"), std::string::npos);
  }
  HistoryStore reader(path, reading);
  const HistoryStore second(path, reading);
  EXPECT_EQ(Items(second.Read(1, kAll)), (std::vector<int32_t>{2}));
  EXPECT_NE(test::DataErrorOf([&] { HistoryStore writer(path); }).find("in use"),
            std::string::npos);
  const std::vector<std::function<void()>> changes = {
      [&] { reader.Append(BatchOf({EventOf(1, 1, 1)}), Durability::kNone); },
      [&] { reader.Forget(1); }, [&] { reader.Compact(); }, [&] { reader.Sync(); },
      [&] { reader.Snapshot(folder_ / "copy"); }};
  for (const auto& change : changes) {
    EXPECT_NE(test::DataErrorOf(change).find("reading only"), std::string::npos);
  }
}

}  // namespace
}  // namespace eta
