// SPDX-License-Identifier: Apache-2.0
// simd/dot.h's top-K against core/reference/dot.h on every target.
#include <algorithm>

#include "core/reference/dot.h"
#include "simd/dot.h"
#include "tests/support/dot_cases.h"
#include "tests/support/target_test_util.h"
#include "tests/support/topk_calls.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

// Every pattern with every padding at a few sizes; one padding each at a large one.
std::vector<DotCase> PatternSweep() {
  std::vector<DotCase> cases;
  for (const size_t n : {size_t{65}, size_t{130}, size_t{700}, size_t{2500}}) {
    for (int pattern = 0; pattern < kDotPatterns; ++pattern) {
      for (size_t padding = 0; padding < std::size(kDotPaddings); ++padding) {
        if (n > 1000 && padding != static_cast<size_t>(pattern) % std::size(kDotPaddings)) continue;
        const size_t dim = 3 + cases.size() % 15;
        cases.push_back({n, dim, static_cast<DotPattern>(pattern), padding, 0, cases.size()});
      }
    }
  }
  return cases;
}

Ranking<float> Ranked(const DotCase& c, const DotData& data, size_t q, TieOrder ties) {
  Ranking<float> ranking;
  const std::span<const float> query(data.queries.data() + q * c.dim, c.dim);
  for (const auto& row : reference::DotTopK(data.rows, query, c.n, ties)) {
    ranking.push_back({row.position, row.score});
  }
  return ranking;
}

// Runs one call on the queries that have a ranking.
void ExpectDotTopK(const DotCase& c, Buffer<float>& blocks, const DotData& data,
                   std::span<const Ranking<float>> rankings, const TopKCall& call) {
  SCOPED_TRACE(c);
  const size_t stride = c.dim + c.seed % 3;
  const std::span<const float> dense(data.queries.data(), rankings.size() * c.dim);
  Buffer<float> queries(WithStride<float>(dense, c.dim, stride, kNan), c.offset);
  ExpectTopK<float>(
      call,
      {c.n, simd::DotTopKScratchBytes(c.n, call.options.k), c.offset, c.seed + call.options.k},
      rankings, [&](const auto& options, void* scratch, const auto& result) {
        return simd::DotTopK({blocks.data(), c.n, c.dim}, {queries.data(), rankings.size(), stride},
                             options, scratch, result);
      });
}

// Calls of all kinds on one data set, for each number of queries.
void ExpectTopKOfAllKinds(const DotCase& c, const DotData& data,
                          const std::vector<size_t>& numbers_of_queries) {
  Buffer<float> blocks = MakeFloatBlocks(c, data);
  for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
    std::vector<Ranking<float>> rankings;
    for (size_t q = 0; q * c.dim < data.queries.size(); ++q) {
      rankings.push_back(Ranked(c, data, q, ties));
    }
    for (const size_t count : numbers_of_queries) {
      ForEachTopKCall(SomeK(c.n), ties, c.seed + count, [&](const TopKCall& call, uint64_t) {
        ExpectDotTopK(c, blocks, data, std::span(rankings).first(count), call);
      });
    }
  }
}

class DotTopKTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(DotTopKTest);

TEST_P(DotTopKTest, TopK) {
  for (const DotCase& c : DotSweep()) ExpectTopKOfAllKinds(c, MakeDotData(c, 1), {1});
}

TEST_P(DotTopKTest, TopKOfEveryPatternAndPadding) {
  for (const DotCase& c : PatternSweep()) ExpectTopKOfAllKinds(c, MakeDotData(c, 2), {2});
}

TEST_P(DotTopKTest, SeveralQueriesAreAsSingleCalls) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{65}, size_t{400}}) {
    for (int pattern = 0; pattern < kDotPatterns; ++pattern) {
      const DotCase c{n, 17, static_cast<DotPattern>(pattern), 1, 1, n};
      ExpectTopKOfAllKinds(c, MakeDotData(c, 50), {0, 1, 7, 24, 25, 50});
    }
  }
}

// One dimension and the query 1: the scores are the rows, so they can be anything.
void ExpectTopKOfScores(std::vector<float> scores, uint64_t seed) {
  const DotCase c{scores.size(), 1, kDotPatterns, 1, 0, seed};
  const DotData data{std::move(scores), {1.0f}};
  ExpectTopKOfAllKinds(c, data, {1});
}

TEST_P(DotTopKTest, NanRanksWithMinusInfinity) {
  for (const size_t n : {size_t{1}, size_t{5}, size_t{64}, size_t{200}, size_t{1000}}) {
    Rng rng(n);
    ExpectTopKOfScores(std::vector<float>(n, kNan), n);
    ExpectTopKOfScores(std::vector<float>(n, -kInf), n);
    ExpectTopKOfScores(std::vector<float>(n, kInf), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 2) ? kNan : -kInf; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 2) ? kNan : BellFloat(rng); }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 20) ? kNan : BellFloat(rng); }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 20) ? BellFloat(rng) : kInf; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return AnyFloat(rng); }), n);
    ExpectTopKOfScores(
        MakeFloats(n, [&] { return Below(rng, 2)   ? -kInf
                                   : Below(rng, 2) ? kInf
                                                   : kNan; }), n);
  }
}

// Scores whose mean and spread say little about where the border lies.
TEST_P(DotTopKTest, SkewedScores) {
  for (const size_t n : {size_t{130}, size_t{1000}, size_t{5000}}) {
    Rng rng(n);
    constexpr float kMax = std::numeric_limits<float>::max();
    constexpr float kTiny = std::numeric_limits<float>::denorm_min();
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 2) ? kMax : -kMax; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return kTiny * SmallInteger(rng, 9); }), n);
    ExpectTopKOfScores(
        MakeFloats(n, [&] { return std::ldexp(1.0f, static_cast<int>(Below(rng, 250)) - 125); }),
        n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return 1.0f + 0x1p-23f * SmallInteger(rng, 2); }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 100) ? 0.0f : 1.0f; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 100) ? 1.0f : 0.0f; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 3) ? -1e-3f : 1e30f; }), n);
  }
}

// A negative product too small for a float rounds to -0, which must tie with the positive one's +0.
TEST_P(DotTopKTest, ZerosOfBothSignsTie) {
  for (const size_t n : {size_t{5}, size_t{64}, size_t{300}}) {
    const DotCase c{n, 1, kDotPatterns, 1, 0, n};
    DotData data;
    data.queries = {1e-30f};
    size_t negative = 0;
    for (size_t i = 0; i < n; ++i) {
      data.rows.push_back(i % 3 == 0 ? -1e-30f : 1e-30f);
      const float score = reference::Dot({data.queries.data(), 1}, {data.rows.data() + i, 1});
      ASSERT_EQ(score, 0.0f);
      negative += std::signbit(score);
    }
    ASSERT_EQ(negative, (n + 2) / 3);
    ExpectTopKOfAllKinds(c, data, {1});
  }
}

// One high score among low ones, at each position in turn: no lane or block is left out.
TEST_P(DotTopKTest, OneHighScoreAnywhere) {
  for (size_t at = 0; at < 150; ++at) {
    std::vector<float> scores(150, -1.0f);
    scores[at] = 1.0f;
    const DotCase c{150, 1, kDotPatterns, 4, 0, at};
    const DotData data{scores, {1.0f}};
    Buffer<float> blocks = MakeFloatBlocks(c, data);
    const std::vector<Ranking<float>> rankings = {Ranked(c, data, 0, TieOrder::kNewestFirst)};
    for (const size_t k : {size_t{1}, size_t{2}, size_t{64}}) {
      ExpectDotTopK(c, blocks, data, rankings,
                    {{k, TieOrder::kNewestFirst, ResultOrder::kSorted}, true});
    }
  }
}

TEST_P(DotTopKTest, NoBehavioursNeedNoMemory) {
  const float query[3] = {1, 2, 3};
  Buffer<uint8_t> scratch(simd::DotTopKScratchBytes(0, 4));
  Buffer<int32_t> positions(4, 0, 16);
  Buffer<float> scores(4, 0, 16);
  EXPECT_EQ(simd::DotTopK({nullptr, 0, 3}, {query, 1, 3},
                          {4, TieOrder::kNewestFirst, ResultOrder::kSorted}, scratch.data(),
                          {positions.data(), scores.data()}),
            0u);
  EXPECT_TRUE(positions.Untouched(0, 4));
  EXPECT_TRUE(scores.Untouched(0, 4));
}

// The order in literals, so that kernel and oracle cannot agree on another.
TEST_P(DotTopKTest, OrderByHand) {
  const DotCase c{6, 1, kDotPatterns, 2, 0, 1};
  const DotData data{{2, kNan, 5, 2, -kInf, -3}, {1}};
  Buffer<float> blocks = MakeFloatBlocks(c, data);
  const auto all = [&](TieOrder ties) {
    Buffer<uint8_t> scratch(simd::DotTopKScratchBytes(6, 6));
    std::vector<int32_t> positions(6);
    simd::DotTopK({blocks.data(), 6, 1}, {data.queries.data(), 1, 1},
                  {6, ties, ResultOrder::kSorted}, scratch.data(), {positions.data()});
    return positions;
  };
  EXPECT_EQ(all(TieOrder::kNewestFirst), (std::vector<int32_t>{2, 3, 0, 5, 4, 1}));
  EXPECT_EQ(all(TieOrder::kOldestFirst), (std::vector<int32_t>{2, 0, 3, 5, 1, 4}));
}

}  // namespace
}  // namespace eta::test
