// SPDX-License-Identifier: Apache-2.0
// The searches of SIM, hard and soft, and the newest K.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

#include "baselines/methods.h"
#include "core/base/random.h"
#include "tests/support/method_problem.h"

namespace eta::test {
namespace {

TEST(SimHard, ReturnsTheNewestOfTheSameCategory) {
  const Problem problem(IntegerItems(kItems, 4, 8), 400, 100, 7);
  const auto category = [&](int32_t id) {
    return problem.items.categories[static_cast<size_t>(id)];
  };
  for (const size_t k : {size_t{1}, size_t{20}, size_t{60}, size_t{400}}) {
    const Lists lists = problem.Run("sim_hard", k);
    for (size_t b = 0; b < problem.candidates.size(); ++b) {
      std::vector<int32_t> expected;
      for (size_t i = problem.history.size(); i-- > 0 && expected.size() < k;) {
        if (category(problem.history[i]) == category(problem.candidates[b])) {
          expected.push_back(static_cast<int32_t>(i));
        }
      }
      ASSERT_EQ(lists[b], expected);
    }
  }
}

TEST(SimHard, ReturnsNothingForACategoryWithoutBehaviours) {
  Problem problem(IntegerItems(kItems, 4, 8), 400, 3, 7);
  std::ranges::fill(problem.items.categories, 1);
  problem.candidates = {0, 1, 2};
  std::ranges::replace(problem.history, 0, 3);
  std::ranges::replace(problem.history, 2, 3);
  problem.items.categories[0] = 0;  // before and after the only category of the history
  problem.items.categories[2] = 2;
  const Lists lists = problem.Run("sim_hard", 10);
  EXPECT_TRUE(lists[0].empty());
  EXPECT_EQ(lists[1].size(), 10u);
  EXPECT_TRUE(lists[2].empty());
}

TEST(SimHard, NeedsACategoryPerItem) {
  ItemTable items = IntegerItems(10, 4, 8);
  items.categories.pop_back();
  EXPECT_THROW(MakeMethod("sim_hard", items, {}), std::invalid_argument);
  items.categories.clear();
  EXPECT_THROW(MakeMethod("sim_hard", items, {}), std::invalid_argument);
}

TEST(Recent, ReturnsTheNewest) {
  const Problem problem(IntegerItems(kItems, 4, 8), 5, 2, 7);
  EXPECT_EQ(problem.Run("recent", 3), (Lists{{4, 3, 2}, {4, 3, 2}}));
  EXPECT_EQ(problem.Run("recent", 9), (Lists{{4, 3, 2, 1, 0}, {4, 3, 2, 1, 0}}));
}

// Independent normal embeddings have no clusters to find: the hardest case for an index.
TEST(SimSoft, HasRecallThatGrowsWithEffort) {
  for (const size_t n : {300, 1000, 5000}) {
    const Problem problem(NormalItems(20000, 32, 8), n, 60, 7);
    const Lists exact = problem.Run("exact", 64);
    const auto recall = [&](const char* spec) { return MeanRecall(problem.Run(spec, 64), exact); };
    EXPECT_GE(recall("sim_soft:ivf"), 0.5) << n;
    EXPECT_GE(recall("sim_soft:hnsw"), 0.5) << n;
    EXPECT_LT(recall("sim_soft:ivf:1"), recall("sim_soft:ivf")) << n;
    EXPECT_GE(recall("sim_soft:ivf:1000000"), 0.999) << n;  // all lists
    EXPECT_GE(recall("sim_soft:ivfpq"), 0.45) << n;
    EXPECT_LT(recall("sim_soft:ivfpq:1"), recall("sim_soft:ivfpq")) << n;
    EXPECT_GE(recall("sim_soft:ivfpq:1000000"), 0.6) << n;  // what the codes lose
    EXPECT_GE(recall("sim_soft:hnsw:2000"), recall("sim_soft:hnsw")) << n;
  }
}

TEST(SimSoft, HnswReturnsKWhenKExceedsEfSearch) {
  const Problem problem(NormalItems(20000, 32, 8), 5000, 20, 7);
  const Lists exact = problem.Run("exact", 500);
  const Lists lists = problem.Run("sim_soft:hnsw:1", 500);
  for (const auto& list : lists) EXPECT_EQ(list.size(), 500u);
  EXPECT_GE(MeanRecall(lists, exact), 0.5);
}

TEST(SimSoft, KeepsTheEmbeddingsOfItsConstruction) {
  for (const char* spec : {"sim_soft:ivf", "sim_soft:ivfpq", "sim_soft:hnsw"}) {
    Problem problem(NormalItems(kItems, 16, 8), 1000, 30, 7);
    const auto soft = MakeMethod(spec, problem.items, {});
    const auto exact = MakeMethod("exact", problem.items, {});
    const auto before = soft->Prepare(problem.history);
    const Lists soft_before = Retrieve(*soft, *before, problem.candidates, 20);
    const Lists exact_before =
        Retrieve(*exact, *exact->Prepare(problem.history), problem.candidates, 20);
    Random random(99);
    for (float& x : problem.items.embeddings.values) x = static_cast<float>(random.Normal());
    ExpectSame(Retrieve(*soft, *before, problem.candidates, 20), soft_before);
    ExpectSame(Retrieve(*soft, *soft->Prepare(problem.history), problem.candidates, 20),
               soft_before);
    EXPECT_TRUE(Retrieve(*exact, *exact->Prepare(problem.history), problem.candidates, 20) !=
                exact_before);
  }
}

TEST(SimSoft, DependsOnTheSeed) {
  const Problem problem(NormalItems(20000, 16, 8), 3000, 30, 7);
  for (const char* spec : {"sim_soft:ivf:2", "sim_soft:ivfpq:2", "sim_soft:hnsw:1"}) {
    EXPECT_TRUE(problem.Run(spec, 20, {.seed = 1}) != problem.Run(spec, 20, {.seed = 2})) << spec;
  }
}

// Data that make k-means split empty clusters again and again, and a graph of equal nodes.
TEST(SimSoft, SurvivesDegenerateEmbeddingsInSilence) {
  for (const float value : {0.0f, 1.0f, -1e18f}) {
    Problem problem(IntegerItems(kItems, 16, 8), 1000, 30, 7);
    std::ranges::fill(problem.items.embeddings.values, value);
    for (const char* spec : {"sim_soft:ivf", "sim_soft:ivfpq", "sim_soft:hnsw"}) {
      testing::internal::CaptureStderr();
      const Lists lists = problem.Run(spec, 20);
      EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << spec;
      EXPECT_EQ(lists.size(), 30u);
    }
  }
}

TEST(SimSoft, RefusesEmbeddingsItCannotMultiply) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e19f}) {
    ItemTable items = IntegerItems(kItems, 16, 8);
    items.embeddings.row(kItems - 1)[15] = bad;
    EXPECT_THROW(MakeMethod("sim_soft:ivf", items, {}), std::invalid_argument) << bad;
    EXPECT_THROW(MakeMethod("sim_soft:ivfpq", items, {}), std::invalid_argument) << bad;
    EXPECT_THROW(MakeMethod("sim_soft:hnsw", items, {}), std::invalid_argument) << bad;
  }
}

}  // namespace
}  // namespace eta::test
