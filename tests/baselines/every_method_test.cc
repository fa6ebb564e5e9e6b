// SPDX-License-Identifier: Apache-2.0
// What every method must keep to, whatever it returns.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "baselines/methods.h"
#include "tests/support/method_problem.h"

namespace eta::test {
namespace {

class EveryMethod : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Specs, EveryMethod, testing::ValuesIn(SpecsOfAllForms()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, ':', '_');
                           std::ranges::replace(name, '+', '_');
                           return name;
                         });

// Retrieve() of method_problem.h does most of the checking here.
TEST_P(EveryMethod, KeepsTheContractAtAwkwardSizes) {
  const ItemTable items = IntegerItems(kItems, 16, 3);
  const auto retriever = MakeMethod(GetParam(), items, {});
  for (const size_t n : {0, 1, 2, 63, 64, 65, 255, 256, 257, 1000}) {
    const Problem problem(items, n, 100, n + 1);
    const auto history = retriever->Prepare(problem.history);
    const bool may_return_fewer =
        GetParam() == "sim_hard" || (GetParam().starts_with("sim_soft") && n >= 256);
    for (const size_t num_candidates : {0, 1, 19, 20, 33, 100}) {
      const std::vector<int32_t> candidates(
          problem.candidates.begin(),
          problem.candidates.begin() + static_cast<ptrdiff_t>(num_candidates));
      for (const size_t k : {size_t{1}, size_t{64}, std::max<size_t>(n, 1), n + 5}) {
        const Lists lists = Retrieve(*retriever, *history, candidates, k);
        ASSERT_EQ(lists.size(), num_candidates);
        if (may_return_fewer) continue;
        for (const auto& list : lists) {
          ASSERT_EQ(list.size(), std::min(n, k)) << "n=" << n << " k=" << k;
        }
      }
    }
  }
}

TEST_P(EveryMethod, ThrowsOnBadArguments) {
  const Problem problem(IntegerItems(kItems, 8, 3), 100, 2, 5);
  const auto retriever = MakeMethod(GetParam(), problem.items, {});
  const auto past_the_end = static_cast<int32_t>(kItems);
  for (const int32_t bad : {-1, past_the_end, std::numeric_limits<int32_t>::max()}) {
    const std::vector<int32_t> ids = {1, bad};
    EXPECT_THROW(retriever->Prepare(ids), std::invalid_argument);
    const auto history = retriever->Prepare(problem.history);
    EXPECT_THROW(Retrieve(*retriever, *history, ids, 4), std::invalid_argument);
  }
  const auto history = retriever->Prepare(problem.history);
  EXPECT_THROW(Retrieve(*retriever, *history, problem.candidates, 0), std::invalid_argument);
}

TEST_P(EveryMethod, KnowsItself) {
  const Problem problem(IntegerItems(kItems, 8, 3), 300, 2, 5);
  const auto retriever = MakeMethod(GetParam(), problem.items, {});
  EXPECT_EQ(retriever->name(), GetParam());
  EXPECT_FALSE(retriever->target().empty());
  EXPECT_EQ(retriever->target().find("FAISS ") == 0,
            GetParam().starts_with("faiss") || GetParam().starts_with("sim_soft"));
  const auto has = [](const char* text) { return GetParam().find(text) != std::string::npos; };
  EXPECT_EQ(retriever->bits(), has(":24") ? 24u : has(":32") ? 32u : has("rabitq") ? 8u : 0u);
  EXPECT_EQ(retriever->Prepare({})->bytes(), 0u + (GetParam() == "sim_hard" ? 4 : 0));
  const size_t bytes = retriever->Prepare(problem.history)->bytes();
  if (GetParam() == "recent" || GetParam() == "random") {
    EXPECT_EQ(bytes, 0u);
  } else {
    EXPECT_GE(bytes, 300u * 3);
    EXPECT_LE(bytes, 300u * 8 * 4 * 20);
  }
}

// Two threads share a retriever and a history; each must get what one alone gets.
TEST_P(EveryMethod, IsSafeToShare) {
  const Problem problem(NormalItems(kItems, 16, 3), 700, 40, 5);
  auto retriever = MakeMethod(GetParam(), problem.items, {});
  const auto history = retriever->Prepare(problem.history);
  const Lists serial = Retrieve(*retriever, *history, problem.candidates, 32);
  std::vector<Lists> results(40);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = t; i < results.size(); i += 2) {
        results[i] = Retrieve(*retriever, *history, problem.candidates, 32);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Lists& lists : results) ExpectSame(lists, serial);
}

TEST_P(EveryMethod, IsDeterministic) {
  const Problem problem = ProblemWithoutTies();
  const Lists first = problem.Run(GetParam(), 32, {.seed = 9});
  ExpectSame(problem.Run(GetParam(), 32, {.seed = 9}), first);
  ExpectSame(Sorted(problem.Run(GetParam(), 32, {.seed = 9, .threads = 2})), Sorted(first));
}

TEST_P(EveryMethod, RunsInsideAParallelRegion) {
  const Problem problem = ProblemWithoutTies();
  const auto retriever = MakeMethod(GetParam(), problem.items, {.threads = 2});
  const auto history = retriever->Prepare(problem.history);
  const Lists alone = Sorted(Retrieve(*retriever, *history, problem.candidates, 32));
  std::vector<Lists> results(4);
#pragma omp parallel for num_threads(2)
  for (size_t i = 0; i < 4; ++i) {
    results[i] = Sorted(Retrieve(*retriever, *history, problem.candidates, 32));
  }
  for (const Lists& lists : results) ExpectSame(lists, alone);
}

}  // namespace
}  // namespace eta::test
