// SPDX-License-Identifier: Apache-2.0
// simd/dot_i8.h's top-K against core/reference/dot_i8.h on every target.
#include <algorithm>

#include "core/reference/dot_i8.h"
#include "simd/dot_i8.h"
#include "tests/support/dot_i8_cases.h"
#include "tests/support/target_test_util.h"
#include "tests/support/topk_calls.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

Ranking<float> Ranked(const I8Case& c, const reference::I8Matrix& rows,
                      const reference::I8Matrix& queries, size_t q, TieOrder ties) {
  Ranking<float> ranking;
  for (const auto& row : reference::DotI8TopK(rows, queries, q, c.dim, c.n, ties)) {
    ranking.push_back({row.position, row.score});
  }
  return ranking;
}

// Runs one call on the queries that have a ranking.
void ExpectDotI8TopK(const I8Case& c, I8TestBlocks& blocks, const reference::I8Matrix& queries,
                     std::span<const Ranking<float>> rankings, const TopKCall& call) {
  SCOPED_TRACE(c);
  I8TestQueries some(c, queries, rankings.size());
  ExpectTopK<float>(
      call,
      {c.n, simd::DotI8TopKScratchBytes(c.n, call.options.k), c.offset, c.seed + call.options.k},
      rankings, [&](const auto& options, void* scratch, const auto& result) {
        return simd::DotI8TopK(blocks.view(), some.view(), options, scratch, result);
      });
}

// Calls of all kinds with several k, for each number of queries.
void ExpectTopKOfAllKinds(const I8Case& c, const std::vector<size_t>& numbers_of_queries) {
  const size_t most = *std::ranges::max_element(numbers_of_queries);
  const reference::I8Matrix rows = MakeI8Matrix(c, c.n, false);
  const reference::I8Matrix queries = MakeI8Matrix(c, most, true);
  I8TestBlocks blocks(c, rows);
  const size_t ks[] = {1, 3, 64, c.n + 1};
  for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
    std::vector<Ranking<float>> rankings;
    for (size_t q = 0; q < most; ++q) rankings.push_back(Ranked(c, rows, queries, q, ties));
    for (const size_t count : numbers_of_queries) {
      ForEachTopKCall(ks, ties, c.seed + count, [&](const TopKCall& call, uint64_t) {
        ExpectDotI8TopK(c, blocks, queries, std::span(rankings).first(count), call);
      });
    }
  }
}

class DotI8TopKTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(DotI8TopKTest);

TEST_P(DotI8TopKTest, TopK) {
  for (const I8Case& c : I8Sweep()) ExpectTopKOfAllKinds(c, {1});
}

TEST_P(DotI8TopKTest, SeveralQueriesAreAsSingleCalls) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{65}, size_t{400}}) {
    for (int pattern = 0; pattern < kI8Patterns; ++pattern) {
      ExpectTopKOfAllKinds({n, 17, static_cast<I8Pattern>(pattern), 1, n}, {0, 1, 7, 24, 25, 50});
    }
  }
}

// One high score among low ones, at each position in turn: no lane or block is left out.
TEST_P(DotI8TopKTest, OneHighScoreAnywhere) {
  for (size_t at = 0; at < 150; ++at) {
    const I8Case c{150, 5, kI8Patterns, 0, at};
    reference::I8Matrix rows{std::vector<int8_t>(150 * 5, -1), std::vector<float>(150, 1.0f)};
    const reference::I8Matrix query{{1, 2, 3, 4, 5}, {0.5f}};
    rows.values[at * 5 + at % 5] = 1;
    I8TestBlocks blocks(c, rows);
    const std::vector<Ranking<float>> rankings = {
        Ranked(c, rows, query, 0, TieOrder::kNewestFirst)};
    ASSERT_EQ(rankings[0][0].position, static_cast<int32_t>(at));
    for (const size_t k : {size_t{1}, size_t{2}, size_t{64}}) {
      ExpectDotI8TopK(c, blocks, query, rankings,
                      {{k, TieOrder::kNewestFirst, ResultOrder::kSorted}, true});
    }
  }
}

TEST_P(DotI8TopKTest, NoBehavioursNeedNoMemory) {
  const int8_t query[3] = {1, 2, 3};
  const float scale = 1.0f;
  Buffer<uint8_t> scratch(simd::DotI8TopKScratchBytes(0, 4));
  Buffer<int32_t> positions(4, 0, 16);
  Buffer<float> scores(4, 0, 16);
  EXPECT_EQ(simd::DotI8TopK({nullptr, nullptr, 0, 3}, {query, &scale, 1, 3},
                            {4, TieOrder::kNewestFirst, ResultOrder::kSorted}, scratch.data(),
                            {positions.data(), scores.data()}),
            0u);
  EXPECT_TRUE(positions.Untouched(0, 4));
  EXPECT_TRUE(scores.Untouched(0, 4));
}

}  // namespace
}  // namespace eta::test
