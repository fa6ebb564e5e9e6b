// SPDX-License-Identifier: Apache-2.0
// simd/rerank.h's DotRows against core/reference/rerank.h on every target.
#include "simd/rerank.h"

#include <cmath>
#include <limits>

#include "core/reference/rerank.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

constexpr size_t kDims[] = {1, 3, 15, 16, 17, 31, 32, 33, 64, 100, 128, 256};
constexpr size_t kCounts[] = {0, 1, 2, 3, 4, 5, 17, 64, 100};

// What rows and queries hold.
enum Pattern {
  kBells,  // rounded sums
  kHard,   // NaN, infinities, denormals, huge values
  kTiny,   // products of both signs that round to zeros
  kPatterns
};

std::vector<float> MakeRows(Pattern pattern, Rng& rng, size_t count, size_t dim) {
  if (pattern == kHard) return HardRows(rng, count, dim);
  return MakeFloats(count * dim, [&] {
    return pattern == kBells ? BellFloat(rng) : Below(rng, 4) ? -1e-30f : 1e-30f;
  });
}

class DotRowsTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(DotRowsTest);

// The last row of the table ends where its array ends, and so do the query and, by turns, the ids
// and scores: nothing behind them may be touched.
TEST_P(DotRowsTest, AsReference) {
  constexpr size_t kItems = 29;
  for (const size_t dim : kDims) {
    for (const size_t count : kCounts) {
      for (int pattern = 0; pattern < kPatterns; ++pattern) {
        Rng rng(dim * 1000 + count * 10 + static_cast<size_t>(pattern));
        const size_t stride = dim + Below(rng, 3), offset = Below(rng, 4);
        SCOPED_TRACE(::testing::Message() << "target=" << simd::TargetName(GetParam()) << " dim="
                                          << dim << " count=" << count << " pattern=" << pattern
                                          << " stride=" << stride << " offset=" << offset);
        const auto dense = MakeRows(static_cast<Pattern>(pattern), rng, kItems, dim);
        const auto query = MakeRows(static_cast<Pattern>(pattern), rng, 1, dim);
        auto list = RandomIds(rng, count, kItems);
        if (count > 0) list.back() = kItems - 1;
        Buffer<float> rows(WithStride<float>(dense, dim, stride, kNan), offset);
        Buffer<float> exact_query(std::span<const float>(query), (offset + 1) % 4);
        Buffer<int32_t> ids(std::span<const int32_t>(list), offset);
        Buffer<float> scores(count, (offset + 2) % 4, Below(rng, 2) * 16);
        simd::DotRows({rows.data(), kItems, dim, stride}, {ids.data(), count}, exact_query.data(),
                      scores.data());
        EXPECT_TRUE(SameValues<float>(scores.span(), reference::DotRows(dense, list, query)));
      }
    }
  }
}

TEST_P(DotRowsTest, NoRowsNeedNoMemory) {
  const float query = 1;
  simd::DotRows({nullptr, 0, 1, 1}, {nullptr, 0}, &query, nullptr);
}

float ScoreOf(const std::vector<float>& row, const std::vector<float>& query) {
  const int32_t id = 0;
  float score = 0;
  simd::DotRows(simd::DenseRows(row.data(), 1, row.size()), {&id, 1}, query.data(), &score);
  EXPECT_TRUE(Same(score, reference::DotInSixteenSums(query, row)));
  return score;
}

// A row of ones and a query of 1e8, -1e8 and 1, the rest 0: the sum is 1 only when the large ones
// meet before the small one joins them. In literals, so that kernel and twin cannot agree on
// another order.
TEST_P(DotRowsTest, OrderByHand) {
  const auto score = [](size_t large, size_t minus, size_t one) {
    std::vector<float> query(48, 0.0f);
    query[large] = 1e8f, query[minus] = -1e8f, query[one] = 1.0f;
    return ScoreOf(std::vector<float>(48, 1.0f), query);
  };
  EXPECT_EQ(score(0, 16, 1), 1.0f);   // a partial takes every 16th
  EXPECT_EQ(score(0, 32, 16), 0.0f);  // in rising order
  EXPECT_EQ(score(0, 16, 32), 1.0f);
  for (size_t one = 32; one < 48; ++one) {
    const size_t partial = one % 16;
    EXPECT_EQ(score(3, 11, one), partial == 3 || partial == 11 ? 0.0f : 1.0f) << one;  // + 8
    EXPECT_EQ(score(3, 15, one), partial % 4 == 3 ? 0.0f : 1.0f) << one;               // + 4
    EXPECT_EQ(score(1, 7, one), partial % 2 == 1 ? 0.0f : 1.0f) << one;                // + 2
    EXPECT_EQ(score(0, 1, one), 0.0f) << one;  // + 1 comes last: 1 has joined one of them
  }
}

// One rounding a step; see the same numbers in simhash_test.cc.
TEST_P(DotRowsTest, OneRoundingPerStep) {
  const float ulp = 0x1p-23f;
  std::vector<float> row(17, 0.0f), query(17, 0.0f);
  row[0] = 1, row[16] = std::ldexp(33025.0f, -27);
  query[0] = 1, query[16] = std::ldexp(32513.0f, -27);
  const float first = std::fma(row[16], query[16], 1.0f);
  EXPECT_EQ(ScoreOf(row, query), first);
  row[16] = std::ldexp(32769.0f, -27), query[0] = 1 + ulp, query[16] = std::ldexp(32767.0f, -27);
  EXPECT_EQ(ScoreOf(row, query), std::fma(row[16], query[16], 1 + ulp));
}

// Negative products too small for a float leave partials of -0; the zeros past the end make them 0.
TEST_P(DotRowsTest, ZerosPastTheEndMakeMinusZeroZero) {
  const auto score = [](size_t dim) {
    return ScoreOf(std::vector<float>(dim, -1e-30f), std::vector<float>(dim, 1e-30f));
  };
  EXPECT_TRUE(std::signbit(score(16)));
  EXPECT_TRUE(std::signbit(score(32)));
  // Among these whole vectors with nothing left to take, of 4 lanes and of 8.
  for (const size_t dim : {15, 17, 20, 24, 28, 36}) EXPECT_FALSE(std::signbit(score(dim))) << dim;
}

TEST(DotRowsAcrossTargets, Identical) {
  Rng rng(9);
  const auto table = MakeFloats(300 * 100, [&] { return BellFloat(rng); });
  const auto ids = RandomIds(rng, 90, 300);
  std::vector<float> first;
  for (const int64_t target : SupportedTargetList()) {
    SCOPED_TRACE(simd::TargetName(target));
    ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(target)));
    std::vector<float> scores(ids.size());
    simd::DotRows(simd::DenseRows(table.data(), 300, 100), {ids.data(), ids.size()},
                  table.data() + 700, scores.data());
    if (first.empty()) first = scores;
    EXPECT_TRUE(SameValues<float>(scores, first));
  }
  ASSERT_TRUE(simd::ForceTargetForTest(nullptr));
}

}  // namespace
}  // namespace eta::test
