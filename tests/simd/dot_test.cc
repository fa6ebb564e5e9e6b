// SPDX-License-Identifier: Apache-2.0
// Float blocks and scores of simd/dot.h against core/reference/dot.h on every target.
#include "simd/dot.h"

#include "core/reference/code_blocks.h"
#include "core/reference/dot.h"
#include "tests/support/dot_cases.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

class DotTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(DotTest);

TEST_P(DotTest, PackFloatBlocks) {
  for (const DotCase& c : DotSweep()) {
    SCOPED_TRACE(c);
    const DotData data = MakeDotData(c, 0);
    const size_t stride = c.dim + c.seed % 3;
    Buffer<float> rows(WithStride<float>(data.rows, c.dim, stride, kNan), c.offset);
    Buffer<float> blocks(simd::FloatBlocksSize(c.n, c.dim), c.offset, c.seed % 2 * 16);
    simd::PackFloatBlocks({rows.data(), c.n, c.dim, stride}, blocks.data());
    EXPECT_TRUE(SameValues<float>(blocks.span(), reference::PackFloatBlocks(data.rows, c.dim)));
  }
}

TEST_P(DotTest, GatherFloatBlocks) {
  constexpr size_t kItems = 37;
  for (const DotCase& c : DotSweep()) {
    SCOPED_TRACE(c);
    Rng rng(c.seed);
    const auto dense = MakeFloats(kItems * c.dim, [&] { return BellFloat(rng); });
    const size_t stride = c.dim + c.seed % 3;
    Buffer<float> table(WithStride<float>(dense, c.dim, stride, kNan), c.offset);
    std::vector<int32_t> list = RandomIds(rng, c.n, kItems);
    if (c.n > 1) list.front() = kItems - 1, list.back() = 0;
    Buffer<int32_t> ids{std::span<const int32_t>(list)};
    Buffer<float> blocks(simd::FloatBlocksSize(c.n, c.dim), c.offset, c.seed % 2 * 16);
    simd::GatherFloatBlocks({table.data(), kItems, c.dim, stride}, {ids.data(), c.n},
                            blocks.data());
    EXPECT_TRUE(SameValues<float>(blocks.span(), reference::GatherFloatBlocks(dense, c.dim, list)));
  }
}

TEST_P(DotTest, Scores) {
  for (const DotCase& c : DotSweep()) {
    SCOPED_TRACE(c);
    constexpr size_t kMany[] = {1, 2, 5, 6, 7, 13};
    const size_t num_queries = kMany[c.seed % std::size(kMany)];
    const DotData data = MakeDotData(c, num_queries);
    Buffer<float> blocks = MakeFloatBlocks(c, data);
    const size_t stride = c.dim + c.seed % 3;
    Buffer<float> queries(WithStride<float>(data.queries, c.dim, stride, kNan), c.offset);
    const size_t padded = simd::PaddedRows(c.n);
    const size_t score_stride = padded + c.seed % 2 * 5;
    Buffer<float> scores((num_queries - 1) * score_stride + padded, c.offset, c.seed % 2 * 16);
    simd::DotScores({blocks.data(), c.n, c.dim}, {queries.data(), num_queries, stride},
                    scores.data(), score_stride);
    for (size_t q = 0; q < num_queries; ++q) {
      const std::span<const float> query(data.queries.data() + q * c.dim, c.dim);
      const size_t begin = q * score_stride;
      EXPECT_TRUE(
          SameValues<float>({scores.data() + begin, c.n}, reference::DotScores(data.rows, query)))
          << "query " << q;
      EXPECT_TRUE(q + 1 == num_queries || scores.Untouched(begin + padded, begin + score_stride));
    }
  }
}

// One rounding a step: a sum that differs when it is rounded to float, or to double, in between.
// See the same numbers in simhash_test.cc.
TEST_P(DotTest, OneRoundingPerStep) {
  const float ulp = 0x1p-23f;
  const DotData data{{1, std::ldexp(33025.0f, -27), 1, std::ldexp(32769.0f, -27)},
                     {1, std::ldexp(32513.0f, -27), 1 + ulp, std::ldexp(32767.0f, -27)}};
  ASSERT_EQ(reference::Dot({data.rows.data(), 2}, {data.queries.data(), 2}), 1 + ulp);
  for (size_t q = 0; q < 2; ++q) {
    const DotCase c{2, 2, kDotPatterns, 0, 0, q};
    SCOPED_TRACE(c);
    Buffer<float> blocks = MakeFloatBlocks(c, data);
    Buffer<float> scores(64);
    const float* query = data.queries.data() + 2 * q;
    simd::DotScores({blocks.data(), 2, 2}, {query, 1, 2}, scores.data(), 64);
    EXPECT_TRUE(SameValues<float>({scores.data(), 2}, reference::DotScores(data.rows, {query, 2})));
  }
}

TEST(DotAcrossTargets, ScoresAreIdentical) {
  for (const DotPattern pattern : {kBells, kHard}) {
    const DotCase c{130, 100, pattern, 0, 0, 42};
    const DotData data = MakeDotData(c, 7);
    Buffer<float> blocks = MakeFloatBlocks(c, data);
    std::vector<float> first;
    for (const int64_t target : SupportedTargetList()) {
      ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(target)));
      SCOPED_TRACE(c);
      std::vector<float> scores(7 * 192);
      simd::DotScores({blocks.data(), 130, 100}, {data.queries.data(), 7, 100}, scores.data(), 192);
      if (first.empty()) first = scores;
      EXPECT_TRUE(SameValues<float>(scores, first));
    }
    ASSERT_TRUE(simd::ForceTargetForTest(nullptr));
  }
}

}  // namespace
}  // namespace eta::test
