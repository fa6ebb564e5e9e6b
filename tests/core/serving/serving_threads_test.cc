// SPDX-License-Identifier: Apache-2.0
// core/serving under requests, appends and new models at once. ETA_SERVING_READS=100000 sets how
// many reads each thread of the longest test makes; the default takes a second or two.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <thread>

#include "core/serving/ranking_service.h"
#include "tests/core/serving/serving_test_util.h"
#include "tests/support/ctr_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kItems = 300;
constexpr int64_t kUsers = 6;
constexpr size_t kMost = 90;  // behaviours of a window, which slides

// Behaviour number `n` of a user; numbers begin at 0, and are the times.
int32_t ItemOf(int64_t user, int64_t n) {
  return static_cast<int32_t>((n * 7 + user * 31) % int64_t{kItems});
}

// Version 1 + 3 m is model m + 1 as it was built, the next two refresh every third item.
uint32_t StampOf(uint64_t version, int32_t item) {
  const uint64_t model = (version - 1) / 3;
  return static_cast<uint32_t>(item % 3 == 0 ? version : 1 + 3 * model);
}

template <class IsDone>
void Swap(ItemCodes& codes, IsDone is_done) {
  std::vector<int32_t> changed;
  for (int32_t i = 0; i < static_cast<int32_t>(kItems); i += 3) changed.push_back(i);
  for (uint32_t version = 2; !is_done(); ++version) {
    if (version % 3 == 1) {
      codes.Rebuild(MarkedItems(kItems, version), MarkPlanes());
    } else {
      codes.Refresh((version - 1) / 3 + 1, changed, MarkedItems(changed, version));
    }
  }
}

// What is wrong with a reading: codes that are not of its version or not of its items, or
// behaviours that are not a window of the user's. Empty where all is well.
std::string Fault(const HistoryCache::Reading& reading, int64_t user, int64_t acknowledged) {
  const auto items = reading.items();
  if (reading.blocks().n != items.size()) return "blocks of another length";
  for (size_t i = 0; i < items.size(); ++i) {
    const Mark mark = MarkAt(reading.blocks(), i);
    if (mark.item != static_cast<uint32_t>(items[i])) return "a code of another item";
    if (mark.stamp != StampOf(reading.version().number, items[i]))
      return "a code of another version";
  }
  const int64_t end = items.empty() ? 0 : reading.newest_time() + 1;
  if (end < acknowledged) return "an append that was acknowledged is not there";
  if (items.size() != std::min(static_cast<size_t>(end), kMost))
    return "a window of another length";
  for (size_t i = 0; i < items.size(); ++i) {
    const int64_t n = end - static_cast<int64_t>(items.size() - i);
    if (items[i] != ItemOf(user, n)) return "a behaviour is not in its place";
  }
  return "";
}

// Budgets with which everything stays, and half of it.
class ServingThreadsTest : public ::testing::TestWithParam<size_t> {};

TEST_P(ServingThreadsTest, AReadSeesOneVersionAndEveryAppend) {
  constexpr int kReaders = 3;
  const char* given = std::getenv("ETA_SERVING_READS");
  const int reads = given == nullptr ? 500 : std::atoi(given);
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {.budget_bytes = GetParam(), .max_behaviours = kMost, .shards = 2});
  std::atomic<int64_t> acknowledged[kUsers] = {};
  const bool evicts = GetParam() < 1 << 20;
  // A quick reader may be done before the others begin, so it goes on until it met their work.
  const auto met_all = [&] {
    const HistoryCacheStats stats = cached.cache.Stats();
    return stats.gathers > 0 && stats.extensions > 0 && (!evicts || stats.evictions > 0);
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  const auto is_late = [&] { return std::chrono::steady_clock::now() > deadline; };
  std::atomic<int> reading = kReaders;
  std::atomic<int> faults = 0;
  std::atomic<uint64_t> made = 0;
  std::vector<std::thread> threads;
  for (int r = 0; r < kReaders; ++r) {
    threads.emplace_back([&, r] {
      uint64_t last = 0;
      int i = 0;
      for (; i < reads || !(met_all() || is_late()); ++i) {
        const int64_t user = (i + r) % kUsers;
        const int64_t count = acknowledged[user];
        const auto seen = cached.cache.Read(user);
        std::string fault = Fault(seen, user, count);
        std::this_thread::yield();
        // The second look comes after others had the time to write.
        if (fault.empty()) fault = Fault(seen, user, count);
        if (fault.empty() && seen.version().number < last) fault = "an older version";
        last = seen.version().number;
        if (!fault.empty() && faults++ == 0) ADD_FAILURE() << fault;
      }
      made += static_cast<uint64_t>(i);
      --reading;
    });
  }
  for (int64_t writer = 0; writer < 2; ++writer) {  // each has half of the users
    threads.emplace_back([&, writer] {
      for (int64_t n = 0; reading > 0; ++n) {
        std::vector<Event> events;
        for (int64_t user = writer; user < kUsers; user += 2) {
          events.push_back(EventOf(user, ItemOf(user, n), n));
        }
        cached.Append(events);
        for (int64_t user = writer; user < kUsers; user += 2) acknowledged[user] = n + 1;
        std::this_thread::yield();
      }
    });
  }
  Swap(codes, [&] { return reading == 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(faults, 0);
  const HistoryCacheStats stats = cached.cache.Stats();
  EXPECT_EQ(stats.hits + stats.misses, made);
  EXPECT_GE(made, kReaders * static_cast<uint64_t>(reads));
  EXPECT_TRUE(met_all());
  EXPECT_EQ(stats.evictions > 0, evicts);
}

INSTANTIATE_TEST_SUITE_P(Budgets, ServingThreadsTest, ::testing::Values(1 << 20, 5000));

// Users are forgotten and begin anew. What is seen after Forget must not be from before.
TEST(ServingThreadsTest, ForgottenBehavioursDoNotComeBack) {
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  std::atomic<bool> done = false;
  std::atomic<int64_t> life = 0;  // the user's items are those of his life
  std::atomic<int> ghosts = 0;
  std::vector<std::thread> threads;
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back([&] {
      while (!done) {
        const int64_t least = life;
        const auto seen = cached.cache.Read(1);
        for (const int32_t item : seen.items()) ghosts += item < least % 200 ? 1 : 0;
      }
    });
  }
  for (int64_t l = 0; l < 200; ++l) {
    for (int n = 0; n < 3; ++n) cached.Append({EventOf(1, static_cast<int32_t>(l), l)});
    cached.Forget(1);
    life = l + 1;
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ghosts, 0);
  EXPECT_TRUE(cached.Items(1).empty());
}

// Two appends of one time, kept in one order and cached in the other.
TEST(ServingThreadsTest, AppendsThatOverlapKeepTheKeepersOrder) {
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  CachedKeeper cached(codes, {});
  cached.Append({EventOf(1, 1, 1)});
  EXPECT_EQ(cached.Items(1).size(), 1u);
  const std::vector<Event> first = {EventOf(1, 2, 5)}, second = {EventOf(1, 3, 5)};
  std::promise<void> is_kept, may_return;
  std::thread other;
  cached.cache.Append(second, [&] {
    other = std::thread([&] {
      cached.cache.Append(first, [&] {
        cached.keeper.Append({first, {}}, Durability::kNone);
        is_kept.set_value();
        may_return.get_future().wait();
        return true;
      });
    });
    is_kept.get_future().wait();
    return cached.keeper.Append({second, {}}, Durability::kNone);
  });
  may_return.set_value();
  other.join();
  EXPECT_EQ(cached.Items(1), (std::vector<int32_t>{1, 2, 3}));
}

// Positions that a whole request returns, checked by the codes of one version: behaviours of the
// candidate's item have distance 0 there, and only there.
TEST(ServingThreadsTest, RequestsAreOfOneVersion) {
  constexpr int kReaders = 3, kRequests = 300;
  constexpr size_t kCandidates = 20;
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  MemoryKeeper keeper;
  RankingService service(keeper, codes,
                         {.cache = {.budget_bytes = 20000, .max_behaviours = kMost}});
  EventBatch batch;
  for (int64_t user = 0; user < kUsers; ++user) {
    for (int64_t n = 0; n < 80; ++n) batch.events.push_back(EventOf(user, ItemOf(user, n), n));
  }
  service.Append(batch, Durability::kNone);
  std::atomic<int> running = kReaders;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int r = 0; r < kReaders; ++r) {
    threads.emplace_back([&, r] {
      std::vector<int32_t> candidates(kCandidates), positions(kCandidates), items(kCandidates),
          counts(kCandidates);
      for (int i = 0; i < kRequests; ++i) {
        const int64_t user = (i + r) % kUsers;
        for (size_t c = 0; c < kCandidates; ++c) {
          candidates[c] = ItemOf(user, static_cast<int64_t>(c) + 50);  // which he has
        }
        const RequestReport report =
            service.Retrieve(user, candidates, 1, {positions, counts}, items);
        if (items != candidates) ++wrong;
        if (report.version == 0 || report.length < 80) ++wrong;
      }
      --running;
    });
  }
  threads.emplace_back([&] {
    for (int64_t n = 80; n < 100 && running > 0; ++n) {  // candidates stay in the window
      EventBatch more;
      for (int64_t user = 0; user < kUsers; ++user) {
        more.events.push_back(EventOf(user, ItemOf(user, n), n));
      }
      service.Append(more, Durability::kNone);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  threads.emplace_back([&] {
    while (running > 0) {
      EXPECT_FALSE(service.PrometheusText().empty());
      std::this_thread::yield();
    }
  });
  Swap(codes, [&] { return running == 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(service.retrieve_latency().count(), uint64_t{kReaders * kRequests});
}

// Two models take turns; the logits of each request are those of one of them.
TEST(ServingThreadsTest, ScoresAreOfOneModel) {
  constexpr int kReaders = 3, kRequests = 100;
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  MemoryKeeper keeper;
  RankingService service(keeper, codes);
  EventBatch batch;
  for (int64_t n = 0; n < 80; ++n) batch.events.push_back(EventOf(1, ItemOf(1, n), n));
  service.Append(batch, Durability::kNone);
  const std::vector<int32_t> candidates = {0, 5, 17, 200};
  std::shared_ptr<const CtrExport> models[2];
  std::vector<float> expected[2];
  for (size_t m = 0; m < 2; ++m) {
    models[m] = std::make_shared<const CtrExport>(
        ModelMaker(CtrUnit::kEta, SomeSettings(8, 2), kItems, 5 + m).Make());
    service.ServeCtr(models[m]);  // number m + 1
    expected[m].resize(candidates.size());
    service.Score(1, candidates, expected[m]);
  }
  ASSERT_NE(expected[0], expected[1]);
  std::atomic<int> running = kReaders;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int r = 0; r < kReaders; ++r) {
    threads.emplace_back([&] {
      std::vector<float> logits(candidates.size());
      for (int i = 0; i < kRequests; ++i) {
        const RequestReport report = service.Score(1, candidates, logits);
        if (logits != expected[(report.model - 1) % 2]) ++wrong;
      }
      --running;
    });
  }
  threads.emplace_back([&] {  // other users, who share the cache
    for (int64_t n = 0; running > 0; ++n) {
      service.Append({{EventOf(2 + n % 3, ItemOf(2, n), n)}, {}}, Durability::kNone);
      std::vector<float> logits(candidates.size());
      service.Score(2 + n % 3, candidates, logits);
    }
  });
  for (size_t m = 0; running > 0; m = 1 - m) service.ServeCtr(models[m]);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace eta::test
