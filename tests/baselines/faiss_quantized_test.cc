// SPDX-License-Identifier: Apache-2.0
// FAISS's quantised searches.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "baselines/methods.h"
#include "core/base/random.h"
#include "tests/support/method_problem.h"

namespace eta::test {
namespace {

// Those that this FAISS can make.
std::vector<std::string> Specs() {
  std::vector<std::string> specs;
  for (const std::string& spec : SpecsOfAllForms()) {
    const bool is_of_codes = spec.starts_with("faiss_binary");
    if (spec.starts_with("faiss_") && !is_of_codes && spec != "faiss_exact") specs.push_back(spec);
  }
  return specs;
}

std::string ErrorOf(const std::string& spec, const ItemTable& items) {
  try {
    MakeMethod(spec, items, {});
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

// Independent normal embeddings have no structure to learn: the hardest case for a quantiser.
TEST(FaissPq4, HasRecallThatGrowsWithBitsAndRefining) {
  const Problem problem(NormalItems(20000, 32, 8), 1000, 60, 7);
  const Lists exact = problem.Run("exact", 64);
  const auto recall = [&](const char* spec) { return MeanRecall(problem.Run(spec, 64), exact); };
  const double narrow = recall("faiss_pq4:32"), wide = recall("faiss_pq4:128");
  EXPECT_GT(narrow, 0.35);
  EXPECT_GT(wide, 0.85);
  EXPECT_GT(recall("faiss_pq4:32+refine:2"), narrow + 0.1);
  EXPECT_GT(recall("faiss_pq4:32+refine:4"), recall("faiss_pq4:32+refine:2"));
  EXPECT_GT(recall("faiss_pq4:128+refine:2"), 0.99);
}

// Coordinates that matter in pairs far apart, which subspaces of neighbours cannot use.
TEST(FaissOpq4, HasABetterRecallWhereARotationHelps) {
  ItemTable items = NormalItems(5000, 32, 8);
  for (size_t i = 0; i < items.size(); ++i) {
    float* row = items.embeddings.row(i);
    for (size_t d = 16; d < 32; ++d) row[d] = row[d - 16] + 0.1f * row[d];
  }
  const Problem problem(std::move(items), 1000, 60, 7);
  const Lists exact = problem.Run("exact", 64);
  EXPECT_GT(MeanRecall(problem.Run("faiss_opq4:32", 64), exact),
            MeanRecall(problem.Run("faiss_pq4:32", 64), exact) + 0.1);
}

TEST(FaissSq8, FindsNearlyAll) {
  const Problem problem(NormalItems(20000, 32, 8), 1000, 60, 7);
  EXPECT_GT(MeanRecall(problem.Run("faiss_sq8", 64), problem.Run("exact", 64)), 0.97);
}

TEST(FaissRaBitQ, HasTheRecallOfABitADimension) {
  const std::vector<std::string> specs = Specs();
  if (std::ranges::find(specs, "faiss_rabitq") == specs.end()) GTEST_SKIP() << "FAISS is too old";
  const Problem problem(NormalItems(20000, 64, 8), 1000, 60, 7);
  const double recall = MeanRecall(problem.Run("faiss_rabitq", 64), problem.Run("exact", 64));
  EXPECT_GT(recall, 0.5);
  EXPECT_LT(recall, 0.9);
  EXPECT_TRUE(problem.Run("faiss_rabitq", 64, {.seed = 2}) != problem.Run("faiss_rabitq", 64));
}

TEST(FaissPq4, IsExactWhereAllIsRefined) {
  const Problem problem = ProblemWithoutTies();  // 1,500 behaviours
  ExpectSame(Sorted(problem.Run("faiss_pq4:8+refine:50", 32)), Sorted(problem.Run("exact", 32)));
  ExpectSame(Sorted(problem.Run("faiss_opq4:8+refine:50", 32)), Sorted(problem.Run("exact", 32)));
  EXPECT_TRUE(Sorted(problem.Run("faiss_pq4:8", 32)) != Sorted(problem.Run("exact", 32)));
}

TEST(FaissQuantized, ReturnsAllOfATinyHistory) {
  const ItemTable items = NormalItems(kItems, 16, 3);
  for (const std::string& spec : Specs()) {
    const auto method = MakeMethod(spec, items, {});
    for (const size_t n : {1, 2, 15, 16, 17, 31, 32, 33, 65}) {
      const Problem problem(items, n, 40, 7);
      const auto history = method->Prepare(problem.history);
      for (const size_t k : {n, n + 1, 2 * n + 40}) {
        for (const auto& list : Retrieve(*method, *history, problem.candidates, k)) {
          EXPECT_EQ(std::set(list.begin(), list.end()).size(), n) << spec << " k=" << k;
        }
      }
    }
  }
}

TEST(FaissQuantized, ReturnsKOfEqualBehaviours) {
  Problem problem(NormalItems(kItems, 16, 3), 1000, 30, 7);
  std::ranges::fill(problem.history, 5);
  for (const std::string& spec : Specs()) {
    const auto method = MakeMethod(spec, problem.items, {});
    const auto history = method->Prepare(problem.history);
    for (const size_t k : {1, 20, 21, 64, 999}) {
      for (const auto& list : Retrieve(*method, *history, problem.candidates, k)) {
        EXPECT_EQ(std::set(list.begin(), list.end()).size(), k) << spec;
      }
    }
  }
}

// FAISS finds nothing or anything where all scores are equal; what it finds are positions.
TEST(FaissQuantized, SurvivesCandidatesWithoutLength) {
  for (const std::string& spec : Specs()) {
    Problem problem(NormalItems(kItems, 16, 3), 100, 30, 7);
    std::fill_n(problem.items.embeddings.row(3), 16, 0.0f);
    std::ranges::fill(problem.candidates, 3);
    for (const auto& list : problem.Run(spec, 10)) EXPECT_LE(list.size(), 10u);
  }
}

TEST(FaissQuantized, TrainsOnFewItemsInSilence) {
  for (const std::string& spec : Specs()) {
    for (const size_t num_items : {1, 2, 15, 16, 17}) {
      const Problem problem(NormalItems(num_items, 16, 3), 50, 5, 7);
      testing::internal::CaptureStderr();
      for (const auto& list : problem.Run(spec, 20)) {
        // One item makes all scores equal, so FAISS finds none.
        EXPECT_EQ(list.size(), num_items == 1 ? list.size() : 20u) << spec;
      }
      EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << spec;
    }
    EXPECT_EQ(MakeMethod(spec, NormalItems(0, 16, 3), {})->Prepare({})->bytes(), 0u);
  }
}

// Codebooks stay those of the construction, codes do not.
TEST(FaissQuantized, CodesTheEmbeddingsAsTheyAre) {
  Problem problem(NormalItems(kItems, 16, 3), 400, 30, 7);
  const auto method = MakeMethod("faiss_pq4:32+refine:20", problem.items, {});
  const auto exact = MakeMethod("exact", problem.items, {});
  const auto sets = [&](const Retriever& retriever) {
    return Sorted(Retrieve(retriever, *retriever.Prepare(problem.history), problem.candidates, 20));
  };
  const Lists before = sets(*method);
  Random random(99);
  for (float& x : problem.items.embeddings.values) x = static_cast<float>(random.Normal());
  const std::vector<Lists> after = {sets(*method), sets(*exact)};
  EXPECT_TRUE(after[0] != before);
  EXPECT_GT(MeanRecall(after[0], after[1]), 0.99);  // equal items tie
}

TEST(FaissPq4, DependsOnTheSeed) {
  const Problem problem(NormalItems(3000, 16, 8), 1000, 30, 7);
  EXPECT_TRUE(problem.Run("faiss_pq4:32", 20, {.seed = 1}) !=
              problem.Run("faiss_pq4:32", 20, {.seed = 2}));
}

TEST(FaissPq4, RefusesWidthsThatDoNotFit) {
  const ItemTable items = NormalItems(50, 12, 8);
  EXPECT_EQ(ErrorOf("faiss_pq4:8", items), "no error");   // 2 sub-quantisers
  EXPECT_EQ(ErrorOf("faiss_pq4:48", items), "no error");  // 12
  for (const char* spec : {"faiss_pq4:32", "faiss_pq4:32+refine:2", "faiss_pq4:64"}) {
    const std::string error = ErrorOf(spec, items);
    EXPECT_NE(error.find(spec), std::string::npos) << error;
    EXPECT_NE(error.find("dimension 12 is not a multiple of the "), std::string::npos) << error;
  }
  for (const char* spec : {"faiss_pq4:4", "faiss_pq4:12", "faiss_pq4:1032", "faiss_pq4:0"}) {
    const std::string error = ErrorOf(spec, items);
    EXPECT_NE(error.find("BITS must be"), std::string::npos) << error;
  }
  EXPECT_EQ(ErrorOf("faiss_pq4:1024", NormalItems(20, 256, 8)), "no error");
}

TEST(FaissQuantized, RefusesEmbeddingsItCannotTrainOn) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e19f}) {
    ItemTable items = NormalItems(kItems, 16, 8);
    items.embeddings.row(kItems - 1)[15] = bad;
    for (const std::string& spec : Specs()) {
      EXPECT_NE(ErrorOf(spec, items).find("not finite or too long"), std::string::npos) << spec;
    }
  }
}

}  // namespace
}  // namespace eta::test
