// SPDX-License-Identifier: Apache-2.0
// Items with other embeddings as candidates than as behaviours.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "baselines/methods.h"
#include "core/base/check.h"
#include "tests/support/method_problem.h"

namespace eta::test {
namespace {

constexpr size_t kDim = 16;

// Whether a method looks at the candidate's embedding at all.
bool SeesCandidates(const std::string& spec) {
  return spec != "recent" && spec != "random" && spec != "sim_hard";
}

// Item i as a candidate has the embedding that item `turned(i)` has as a behaviour.
int32_t Turned(int32_t item, size_t items) {
  return static_cast<int32_t>((static_cast<size_t>(item) + 7) % items);
}

Problem TwoTowers(const Problem& one) {
  Problem two = one;
  const size_t items = two.items.size();
  Matrix<float>& queries = two.items.candidate_embeddings.emplace(items, kDim);
  for (size_t i = 0; i < items; ++i) {
    const auto from = static_cast<size_t>(Turned(static_cast<int32_t>(i), items));
    std::copy_n(one.items.embeddings.row(from), kDim, queries.row(i));
  }
  return two;
}

// So a request of two towers is one of one tower with other candidates.
TEST(TwoTowers, EveryMethodComparesCandidatesByTheirOwnEmbeddings) {
  Problem one = ProblemWithoutTies();
  const Problem two = TwoTowers(one);
  Problem turned = one;
  for (int32_t& candidate : turned.candidates) candidate = Turned(candidate, one.items.size());
  for (const std::string& spec : SpecsOfAllForms()) {
    SCOPED_TRACE(spec);
    const Lists found = Sorted(two.Run(spec, 32, {.seed = 9}));
    ExpectSame(found, Sorted((SeesCandidates(spec) ? turned : one).Run(spec, 32, {.seed = 9})));
    EXPECT_EQ(found == Sorted(one.Run(spec, 32, {.seed = 9})), !SeesCandidates(spec));
  }
}

TEST(TwoTowers, TakeMemoryForBoth) {
  const Problem one(NormalItems(kItems, kDim, 3), 320, 1, 5);
  const Problem two = TwoTowers(one);
  constexpr size_t kEmbeddings = kItems * kDim * sizeof(float);
  // Beside the embeddings, which all methods share with the model.
  const auto more = [&](const std::string& spec) {
    EXPECT_EQ(MakeMethod(spec, two.items, {})->Prepare(two.history)->user_bytes(),
              MakeMethod(spec, one.items, {})->Prepare(one.history)->user_bytes());
    return MakeMethod(spec, two.items, {})->shared_bytes(two.items.embedding_bytes()) -
           MakeMethod(spec, one.items, {})->shared_bytes(one.items.embedding_bytes()) - kEmbeddings;
  };
  EXPECT_EQ(more("exact"), 0u);
  EXPECT_EQ(more("faiss_exact"), 0u);
  EXPECT_EQ(more("recent"), 0u);
  EXPECT_EQ(more("cosine"), kEmbeddings);
  EXPECT_EQ(more("scan_i8"), kItems * (kDim + 4));
  EXPECT_EQ(more("eta:24"), kItems * 3);
  EXPECT_EQ(more("faiss_binary:24"), kItems * 3);
  EXPECT_EQ(more("eta_norm:24"), kItems * 3);  // codes of candidates need no factor
  EXPECT_EQ(more("eta_asym:24"), 0u);
  EXPECT_EQ(more("pq4:24"), 0u);
  EXPECT_EQ(more("eta:24+rerank:3"), kItems * 3);
  EXPECT_EQ(more("eta:24+rerank_i8:3"), kItems * (3 + kDim + 4));
  EXPECT_EQ(more("sim_soft:ivf"), kEmbeddings);
}

TEST(TwoTowers, ShapesMustAgree) {
  for (const std::string& spec : SpecsOfAllForms()) {
    if (!SeesCandidates(spec)) continue;
    for (const auto& [rows, cols] :
         {std::pair<size_t, size_t>{kItems - 1, kDim}, {kItems, kDim - 1}, {0, 0}}) {
      ItemTable items = NormalItems(kItems, kDim, 3);
      items.candidate_embeddings = Matrix<float>(rows, cols);
      EXPECT_THROW(MakeMethod(spec, items, {}), std::invalid_argument) << spec;
    }
  }
}

}  // namespace
}  // namespace eta::test
