// SPDX-License-Identifier: Apache-2.0
// Exact search and its FAISS counterpart, up to ties.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/support/method_problem.h"

namespace eta::test {
namespace {

float Dot(const ItemTable& items, int32_t a, int32_t b) {
  const float* row = items.embeddings.row(static_cast<size_t>(a));
  return std::inner_product(row, row + items.dim(), items.embeddings.row(static_cast<size_t>(b)),
                            0.0f);
}

// Positions whose score is above the k-th best one, and how many more at exactly that score
// complete the top-K. Any choice among the latter is right for a method without a tie rule.
struct TopSet {
  std::vector<int32_t> surely;  // ascending
  float border = 0;
  size_t at_border = 0;
};

TopSet FindTop(const Problem& problem, int32_t candidate, size_t k) {
  std::vector<float> scores;
  for (const int32_t id : problem.history) scores.push_back(Dot(problem.items, id, candidate));
  std::vector<float> ranked = scores;
  std::ranges::sort(ranked, std::greater());
  const size_t count = std::min(k, ranked.size());
  TopSet top{.surely = {}, .border = ranked[count - 1], .at_border = 0};
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > top.border) top.surely.push_back(static_cast<int32_t>(i));
  }
  top.at_border = count - top.surely.size();
  return top;
}

void ExpectTop(const Problem& problem, int32_t candidate, size_t k, std::vector<int32_t> returned) {
  const TopSet top = FindTop(problem, candidate, k);
  const auto at_border = std::erase_if(returned, [&](int32_t position) {
    return Dot(problem.items, problem.history[static_cast<size_t>(position)], candidate) ==
           top.border;
  });
  std::ranges::sort(returned);
  EXPECT_EQ(returned, top.surely) << "k=" << k;
  EXPECT_EQ(at_border, top.at_border) << "k=" << k;
}

// FAISS follows no tie rule for inner products (see baselines/faiss_exact.cc), so both are held to
// the tie-free part of the answer and to the number of ties.
TEST(FaissExact, AgreesWithExactUpToTies) {
  // 3 candidates take FAISS's own loop, 50 its BLAS path; from k = 100 on it uses no heap.
  for (const size_t num_candidates : {3, 50}) {
    const Problem problem(IntegerItems(kItems, 16, 8), 1000, num_candidates, 7);
    for (const size_t k : {1, 16, 64, 128, 999, 1000}) {
      const Lists ours = problem.Run("exact", k);
      const Lists theirs = problem.Run("faiss_exact", k);
      for (size_t b = 0; b < num_candidates; ++b) {
        ExpectTop(problem, problem.candidates[b], k, ours[b]);
        ExpectTop(problem, problem.candidates[b], k, theirs[b]);
      }
    }
  }
}

TEST(FaissExact, FindsTheSetsOfExactWhereNothingTies) {
  const Problem problem = ProblemWithoutTies();
  ExpectSame(Sorted(problem.Run("faiss_exact", 64)), Sorted(problem.Run("exact", 64)));
}

TEST(FaissExact, LeavesOutScoresThatAreNotNumbers) {
  Problem problem(IntegerItems(kItems, 16, 8), 100, 30, 7);
  problem.history[40] = 0;
  problem.items.embeddings.row(0)[3] = std::numeric_limits<float>::quiet_NaN();
  std::ranges::replace(problem.candidates, 0, 1);
  for (const auto& list : problem.Run("faiss_exact", 100)) {
    EXPECT_LT(list.size(), 100u);
    EXPECT_EQ(std::ranges::count(list, 40), 0);
  }
}

}  // namespace
}  // namespace eta::test
