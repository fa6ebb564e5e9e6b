// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/base/check.h"
#include "core/data/generator.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/exact.h"
#include "core/retrieval/hyperplanes.h"

namespace eta {
namespace {

constexpr int kThreadCounts[] = {1, 2, 3, 8};
constexpr Split kSplits[] = {Split::kAuto, Split::kUsers, Split::kCandidates};

class FakeHistory final : public PreparedHistory {
 public:
  explicit FakeHistory(size_t length) : PreparedHistory(length) {}
  size_t bytes() const override { return 0; }
};

// Fails the test when two threads use one scratch at a time.
struct FakeScratch final : Scratch {
  std::atomic<bool> is_busy{false};
};

// Returns the positions candidate, candidate + 1, ... modulo the length. Throws for item 99, with
// the length of the history in the message.
class FakeRetriever final : public Retriever {
 public:
  FakeRetriever() : Retriever("fake", 100) {}
  std::string target() const override { return "none"; }
  bool threads_itself() const override { return is_threading_itself; }
  std::unique_ptr<Scratch> NewScratch() const override {
    ++scratches_made;
    return std::make_unique<FakeScratch>();
  }

  // True when so many calls ran at a time, which each call waits for, up to ten seconds. Relaxed,
  // so that it orders nothing and hides no race from ThreadSanitizer.
  bool HaveMet(int count) const { return most_inside.load(std::memory_order_relaxed) >= count; }

  bool is_threading_itself = false;
  int awaited = 1;
  mutable std::atomic<int> inside{0};
  mutable std::atomic<int> most_inside{0};
  mutable std::atomic<int> scratches_made{0};
  mutable std::atomic<int> calls{0};
  mutable std::atomic<bool> is_scratch_shared{false};
  mutable std::atomic<bool> is_cut_off_tile{false};

 protected:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    return std::make_unique<FakeHistory>(history.size());
  }
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    Meet();
    ++calls;
    auto& busy = static_cast<FakeScratch&>(scratch).is_busy;
    if (busy.exchange(true)) is_scratch_shared = true;
    // Requests of these tests begin with candidate 0, and candidate i is item i.
    if (candidates[0] % static_cast<int32_t>(kCandidateTile) != 0) is_cut_off_tile = true;
    for (size_t b = 0; b < candidates.size(); ++b) {
      if (candidates[b] == 99) {
        busy = false;
        throw std::runtime_error(Cat("length ", history.length()));
      }
      out.counts[b] = static_cast<int32_t>(std::min(k, history.length()));
      for (size_t i = 0; i < static_cast<size_t>(out.counts[b]); ++i) {
        out.positions[b * k + i] =
            static_cast<int32_t>((static_cast<size_t>(candidates[b]) + i) % history.length());
      }
    }
    busy = false;
  }

 private:
  void Meet() const {
    const int now = inside.fetch_add(1, std::memory_order_relaxed) + 1;
    if (now > most_inside.load(std::memory_order_relaxed)) {
      most_inside.store(now, std::memory_order_relaxed);
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!HaveMet(awaited) && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    inside.fetch_sub(1, std::memory_order_relaxed);
  }
};

std::vector<int32_t> FirstItems(size_t n) {
  std::vector<int32_t> items(n);
  for (size_t i = 0; i < n; ++i) items[i] = static_cast<int32_t>(i);
  return items;
}

// Requests with histories and candidate lists of all sorts of sizes, empty ones too.
struct FakeBatch {
  explicit FakeBatch(const Retriever& retriever) {
    for (const size_t length : {5u, 0u, 90u, 1u, 40u}) {
      for (const size_t num_candidates : {17u, 0u, 1u, 8u, 64u}) {
        histories.push_back(retriever.Prepare(FirstItems(length)));
        candidates.push_back(FirstItems(num_candidates));
      }
    }
    for (size_t r = 0; r < histories.size(); ++r) {
      requests.push_back({histories[r].get(), candidates[r]});
    }
  }
  std::vector<std::unique_ptr<PreparedHistory>> histories;
  std::vector<std::vector<int32_t>> candidates;
  std::vector<Request> requests;
};

TEST(BatchDriver, GivesTheSameAtAnyThreadCountAndSplit) {
  for (const bool is_threading_itself : {false, true}) {
    FakeRetriever retriever;
    retriever.is_threading_itself = is_threading_itself;
    const FakeBatch batch(retriever);
    BatchResult expected;
    RetrieveBatch(retriever, batch.requests, 7, {}, expected);
    for (const int threads : kThreadCounts) {
      for (const Split split : kSplits) {
        BatchResult result;
        RetrieveBatch(retriever, batch.requests, 7, {.threads = threads, .split = split}, result);
        EXPECT_EQ(result.positions, expected.positions) << threads << SplitName(split);
        EXPECT_EQ(result.counts, expected.counts) << threads << SplitName(split);
        EXPECT_EQ(result.offsets, expected.offsets) << threads << SplitName(split);
      }
    }
    EXPECT_FALSE(retriever.is_scratch_shared);
    EXPECT_FALSE(retriever.is_cut_off_tile);
  }
}

// Short requests may all be taken by one thread before another has woken up; ThreadSanitizer sees a
// race only if two threads do run.
TEST(BatchDriver, RunsRequestsAtATime) {
  for (const Split split : {Split::kUsers, Split::kCandidates}) {
    FakeRetriever retriever;
    const FakeBatch batch(retriever);
    retriever.awaited = 2;
    BatchResult result;
    RetrieveBatch(retriever, std::span(batch.requests).last(1 + 3 * (split == Split::kUsers)), 7,
                  {.threads = 2, .split = split}, result);
    EXPECT_TRUE(retriever.HaveMet(2)) << SplitName(split);
  }
}

TEST(BatchDriver, LaysOutResultsPerRequest) {
  const FakeRetriever retriever;
  const FakeBatch batch(retriever);
  BatchResult result;
  RetrieveBatch(retriever, batch.requests, 7, {.threads = 2}, result);
  EXPECT_EQ(result.k, 7);
  ASSERT_EQ(result.offsets.size(), batch.requests.size() + 1);
  EXPECT_TRUE(result.seconds.empty());
  for (size_t r = 0; r < batch.requests.size(); ++r) {
    const size_t length = batch.histories[r]->length();
    for (size_t c = 0; c < batch.candidates[r].size(); ++c) {
      const auto retrieved = result.retrieved(r, c);
      ASSERT_EQ(retrieved.size(), std::min<size_t>(7, length));
      if (length == 0) continue;
      EXPECT_EQ(retrieved[0], static_cast<int32_t>(c % length));
    }
  }
}

TEST(BatchDriver, PassesARequestOnWholeToARetrieverThatThreadsItself) {
  FakeRetriever retriever;
  const auto history = retriever.Prepare(FirstItems(10));
  const auto candidates = FirstItems(64);
  const std::vector<Request> requests(3, Request{history.get(), candidates});
  BatchResult result;
  const BatchOptions options{.threads = 4, .split = Split::kCandidates};
  RetrieveBatch(retriever, requests, 2, options, result);
  EXPECT_EQ(retriever.calls, 3 * 4);
  retriever.calls = 0;
  retriever.is_threading_itself = true;
  RetrieveBatch(retriever, requests, 2, options, result);
  EXPECT_EQ(retriever.calls, 3);
}

TEST(BatchDriver, KeepsItsMemory) {
  const FakeRetriever retriever;
  const FakeBatch batch(retriever);
  BatchDriver driver(retriever, {.threads = 3, .time_requests = true});
  EXPECT_EQ(retriever.scratches_made, 3);
  BatchResult result;
  driver.Run(batch.requests, 7, result);
  const BatchResult first = result;
  const int32_t* positions = result.positions.data();
  const double* seconds = result.seconds.data();
  driver.Run(std::span(batch.requests).first(2), 3, result);
  EXPECT_EQ(result.counts.size(), 17);
  EXPECT_EQ(result.seconds.size(), 2);
  driver.Run(batch.requests, 7, result);
  EXPECT_EQ(result.positions, first.positions);
  EXPECT_EQ(result.positions.data(), positions);
  EXPECT_EQ(result.seconds.data(), seconds);
  EXPECT_EQ(retriever.scratches_made, 3);
}

TEST(BatchDriver, TimesEveryRequest) {
  const FakeRetriever retriever;
  const FakeBatch batch(retriever);
  for (const Split split : kSplits) {
    BatchResult result;
    // Anything but a time stands for a request that was forgotten.
    result.seconds.assign(batch.requests.size(), -1);
    RetrieveBatch(retriever, batch.requests, 7,
                  {.threads = 2, .split = split, .time_requests = true}, result);
    ASSERT_EQ(result.seconds.size(), batch.requests.size());
    for (const double seconds : result.seconds) {
      EXPECT_GE(seconds, 0);
      EXPECT_LT(seconds, 60);
    }
  }
}

TEST(BatchDriver, ThrowsTheErrorOfTheFirstRequestThatFailed) {
  const FakeRetriever retriever;
  const std::vector<int32_t> good = FirstItems(20);
  std::vector<int32_t> bad = FirstItems(20);
  bad[13] = 99;
  std::vector<std::unique_ptr<PreparedHistory>> histories;
  std::vector<Request> requests;
  for (size_t r = 0; r < 40; ++r) {
    histories.push_back(retriever.Prepare(FirstItems(r + 1)));
    requests.push_back({histories.back().get(), r >= 5 && r % 5 == 0 ? bad : good});
  }
  for (const int threads : kThreadCounts) {
    for (const Split split : kSplits) {
      BatchDriver driver(retriever, {.threads = threads, .split = split});
      BatchResult result;
      try {
        driver.Run(requests, 4, result);
        ADD_FAILURE() << "no error with " << threads << " threads, split " << SplitName(split);
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "length 6") << threads << SplitName(split);
      }
      // The driver and the result serve on.
      driver.Run(std::span(requests).first(5), 4, result);
      EXPECT_EQ(result.retrieved(4, 19).size(), 4);
    }
  }
}

TEST(BatchDriver, AcceptsAnEmptyBatch) {
  const FakeRetriever retriever;
  for (const int threads : kThreadCounts) {
    for (const Split split : kSplits) {
      BatchResult result;
      result.counts.assign(5, 1);
      RetrieveBatch(retriever, {}, 4, {.threads = threads, .split = split}, result);
      EXPECT_EQ(result.offsets, std::vector<size_t>{0});
      EXPECT_TRUE(result.positions.empty());
      EXPECT_TRUE(result.counts.empty());
    }
  }
}

TEST(BatchDriver, RejectsBadArguments) {
  const FakeRetriever retriever;
  EXPECT_THROW(BatchDriver(retriever, {.threads = 0}), std::invalid_argument);
  EXPECT_THROW(BatchDriver(retriever, {.threads = -1}), std::invalid_argument);
  EXPECT_THROW(BatchDriver(retriever, {.threads = kMaxThreads + 1}), std::invalid_argument);
  const auto history = retriever.Prepare(FirstItems(3));
  const auto candidates = FirstItems(3);
  const Request good{history.get(), candidates};
  const Request no_history{nullptr, candidates};
  BatchResult result;
  EXPECT_THROW(RetrieveBatch(retriever, {&good, 1}, 0, {}, result), std::invalid_argument);
  EXPECT_THROW(RetrieveBatch(retriever, {&no_history, 1}, 1, {}, result), std::invalid_argument);
  EXPECT_THROW(RetrieveBatch(retriever, {&good, 1}, SIZE_MAX / 2, {}, result),
               std::invalid_argument);
}

TEST(Split, HasNames) {
  for (const Split split : kSplits) EXPECT_EQ(ParseSplit(SplitName(split)), split);
  EXPECT_THROW(ParseSplit("Users"), std::invalid_argument);
  EXPECT_THROW(ParseSplit(""), std::invalid_argument);
}

TEST(Split, AutoTakesUsersWhenThereAreEnough) {
  EXPECT_EQ(ResolveSplit(Split::kAuto, 8, 8), Split::kUsers);
  EXPECT_EQ(ResolveSplit(Split::kAuto, 7, 8), Split::kCandidates);
  EXPECT_EQ(ResolveSplit(Split::kAuto, 0, 1), Split::kUsers);
  EXPECT_EQ(ResolveSplit(Split::kUsers, 1, 8), Split::kUsers);
  EXPECT_EQ(ResolveSplit(Split::kCandidates, 8, 1), Split::kCandidates);
}

// The sets that every row of a result holds; the order within a row is not specified.
std::vector<std::vector<int32_t>> Rows(const BatchResult& result) {
  std::vector<std::vector<int32_t>> rows;
  for (size_t row = 0; row < result.counts.size(); ++row) {
    const auto retrieved = result.retrieved(0, row);
    rows.emplace_back(retrieved.begin(), retrieved.end());
    std::ranges::sort(rows.back());
  }
  return rows;
}

TEST(BatchDriver, SaysHowManyThreadsRan) {
  const FakeRetriever retriever;
  const auto history = retriever.Prepare(FirstItems(20));
  const auto candidates = FirstItems(40);
  const std::vector<Request> requests(5, Request{history.get(), candidates});
  for (const Split split : {Split::kUsers, Split::kCandidates}) {
    BatchResult result;
    RetrieveBatch(retriever, requests, 4, {.threads = 1, .split = split}, result);
    EXPECT_EQ(result.threads, 1);
    RetrieveBatch(retriever, requests, 4, {.threads = 3, .split = split}, result);
    EXPECT_EQ(result.threads, 3);
    // A region inside another has one thread, unless nesting is asked for.
#pragma omp parallel num_threads(2)
    {
      BatchResult inner;
      RetrieveBatch(retriever, requests, 4, {.threads = 3, .split = split}, inner);
#pragma omp critical
      EXPECT_EQ(inner.threads, 1) << SplitName(split);
    }
  }
}

TEST(BatchDriver, RunsTheRealRetrieversAlike) {
  GeneratorOptions generator;
  generator.users = 12;
  generator.items = 500;
  generator.dim = 24;
  generator.categories = 5;
  generator.median_length = 150;
  generator.max_length = 1000;
  const Bundle bundle = GenerateBundle(generator);
  const auto planes = Hyperplanes::Make(HyperplaneKind::kGaussian, generator.dim, 72, 3);
  const auto candidates = FirstItems(37);
  std::vector<std::unique_ptr<Retriever>> retrievers;
  retrievers.push_back(MakeEtaRetriever("eta:72", bundle.items, planes));
  retrievers.push_back(MakeExactRetriever("exact", bundle.items));
  for (const auto& retriever : retrievers) {
    std::vector<std::unique_ptr<PreparedHistory>> histories;
    std::vector<Request> requests;
    for (size_t user = 0; user < bundle.histories.users(); ++user) {
      histories.push_back(retriever->Prepare(bundle.histories[user]));
      requests.push_back({histories.back().get(), candidates});
    }
    BatchResult expected;
    RetrieveBatch(*retriever, requests, 20, {}, expected);
    for (const int threads : kThreadCounts) {
      for (const Split split : kSplits) {
        BatchResult result;
        RetrieveBatch(*retriever, requests, 20, {.threads = threads, .split = split}, result);
        EXPECT_EQ(Rows(result), Rows(expected))
            << retriever->name() << " " << threads << " " << SplitName(split);
      }
    }
  }
}

}  // namespace
}  // namespace eta
