// SPDX-License-Identifier: Apache-2.0
// Quantisation, blocks and scores of simd/dot_i8.h against core/reference/dot_i8.h on every target.
#include "simd/dot_i8.h"

#include <limits>

#include "core/reference/dot_i8.h"
#include "tests/support/dot_i8_cases.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();

class DotI8Test : public TargetTest {};
ETA_FOR_EVERY_TARGET(DotI8Test);

void ExpectQuantized(const std::vector<float>& rows, size_t dim, uint64_t seed) {
  SCOPED_TRACE(::testing::Message()
               << simd::TargetName(simd::ActiveTarget()) << " dim " << dim << " seed " << seed);
  const size_t n = rows.size() / dim, stride = dim + seed % 3, value_stride = dim + seed % 2 * 5;
  Buffer<float> in(WithStride<float>(rows, dim, stride, kNan), seed % 4);
  Buffer<int8_t> values((n - 1) * value_stride + dim, seed % 3, seed % 2 * 16);
  Buffer<float> scales(n, seed % 4, seed % 2 * 16);
  simd::QuantizeI8({in.data(), n, dim, stride}, values.data(), value_stride, scales.data());
  const reference::I8Matrix expected = reference::QuantizeI8(rows, dim);
  EXPECT_TRUE(SameValues<float>(scales.span(), expected.scales));
  for (size_t i = 0; i < n; ++i) {
    const size_t begin = i * value_stride;
    EXPECT_TRUE(
        SameValues<int8_t>({values.data() + begin, dim}, {expected.values.data() + i * dim, dim}))
        << "row " << i;
    EXPECT_TRUE(i + 1 == n || values.Untouched(begin + dim, begin + value_stride));
  }
}

TEST_P(DotI8Test, Quantize) {
  for (const size_t dim : {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 128, 256, 700}) {
    Rng rng(dim);
    ExpectQuantized(MakeFloats(20 * dim, [&] { return BellFloat(rng); }), dim, dim);
    ExpectQuantized(MakeFloats(20 * dim, [&] { return AnyFloat(rng); }), dim, dim + 1);
    ExpectQuantized(HardRows(rng, 30, dim), dim, dim + 2);
    ExpectQuantized(MakeFloats(20 * dim, [&] { return kTiny * SmallInteger(rng, 300); }), dim,
                    dim + 3);
    ExpectQuantized(std::vector<float>(dim, 0.0f), dim, dim + 4);
    ExpectQuantized(std::vector<float>(dim, kNan), dim, dim + 5);
    ExpectQuantized(std::vector<float>(dim, -kInf), dim, dim + 6);
  }
}

// Written out, so that the twin is not the only witness.
TEST_P(DotI8Test, QuantizeByHand) {
  const float rows[] = {127,  -127, 0.5f, 1.5f, -2.5f, 63,    //
                        kInf, -1,   kNan, 0,    -kInf, kMax,  //
                        kNan, 0,    -0.f, 0,    0,     kTiny};
  int8_t values[18];
  float scales[3];
  simd::QuantizeI8(simd::DenseRows(rows, 3, 6), values, 6, scales);
  const int8_t expected[] = {127, -127, 0, 2, -2, 63, 127, 0, 0, 0, -127, 127, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(SameValues<int8_t>(values, expected));
  const float expected_scales[] = {1.0f, kMax / 127.0f, 0.0f};
  EXPECT_TRUE(SameValues<float>(scales, expected_scales));
}

TEST_P(DotI8Test, PackAndGather) {
  for (const I8Case& c : I8Sweep()) {
    SCOPED_TRACE(c);
    const reference::I8Matrix rows = MakeI8Matrix(c, c.n, false);
    const size_t stride = c.dim + c.seed % 3;
    Buffer<int8_t> values(WithStride<int8_t>(rows.values, c.dim, stride, -128), c.offset);
    Buffer<float> scales{std::span<const float>(rows.scales)};
    std::vector<float> padded = rows.scales;
    padded.resize(simd::PaddedRows(c.n), 0.0f);
    Buffer<uint8_t> blocks(simd::I8BlocksBytes(c.n, c.dim), c.offset, c.seed % 2 * 16);
    Buffer<float> block_scales(padded.size(), c.offset % 3, c.seed % 2 * 16);
    simd::PackI8Blocks({values.data(), scales.data(), c.n, c.dim, stride}, blocks.data(),
                       block_scales.data());
    EXPECT_TRUE(SameValues<uint8_t>(blocks.span(), reference::PackI8Blocks(rows.values, c.dim)));
    EXPECT_TRUE(SameValues<float>(block_scales.span(), padded));

    constexpr size_t kItems = 37;
    const reference::I8Matrix items = MakeI8Matrix(c, kItems, true);
    Buffer<int8_t> table(WithStride<int8_t>(items.values, c.dim, stride, -128), c.offset);
    Buffer<float> table_scales{std::span<const float>(items.scales)};
    Rng rng(c.seed);
    std::vector<int32_t> list = RandomIds(rng, c.n, kItems);
    if (c.n > 1) list.front() = kItems - 1, list.back() = 0;
    Buffer<int32_t> ids{std::span<const int32_t>(list)};
    std::vector<int8_t> gathered;
    std::vector<float> gathered_scales;
    for (const int32_t id : list) {
      const auto row = items.values.begin() + static_cast<ptrdiff_t>(id * c.dim);
      gathered.insert(gathered.end(), row, row + static_cast<ptrdiff_t>(c.dim));
      gathered_scales.push_back(items.scales[static_cast<size_t>(id)]);
    }
    gathered_scales.resize(padded.size(), 0.0f);
    simd::GatherI8Blocks({table.data(), table_scales.data(), kItems, c.dim, stride},
                         {ids.data(), c.n}, blocks.data(), block_scales.data());
    EXPECT_TRUE(SameValues<uint8_t>(blocks.span(), reference::PackI8Blocks(gathered, c.dim)));
    EXPECT_TRUE(SameValues<float>(block_scales.span(), gathered_scales));
  }
}

void ExpectScores(const I8Case& c, size_t num_queries) {
  SCOPED_TRACE(c);
  const reference::I8Matrix rows = MakeI8Matrix(c, c.n, false);
  const reference::I8Matrix queries = MakeI8Matrix(c, num_queries, true);
  I8TestBlocks blocks(c, rows);
  I8TestQueries some(c, queries, num_queries);
  const size_t padded = simd::PaddedRows(c.n);
  const size_t score_stride = padded + c.seed % 2 * 5;
  Buffer<float> scores((num_queries - 1) * score_stride + padded, c.offset, c.seed % 2 * 16);
  std::vector<uint8_t> scratch(simd::DotI8ScoresScratchBytes());
  simd::DotI8Scores(blocks.view(), some.view(), {scratch.data(), scratch.size()}, scores.data(),
                    score_stride);
  for (size_t q = 0; q < num_queries; ++q) {
    const size_t begin = q * score_stride;
    EXPECT_TRUE(SameValues<float>({scores.data() + begin, c.n},
                                  reference::DotI8Scores(rows, queries, q, c.dim)))
        << "query " << q;
    EXPECT_TRUE(q + 1 == num_queries || scores.Untouched(begin + padded, begin + score_stride));
  }
}

TEST_P(DotI8Test, Scores) {
  constexpr size_t kMany[] = {1, 2, 3, 4, 5, 6, 7, 13, 24, 25};
  for (const I8Case& c : I8Sweep()) ExpectScores(c, kMany[c.seed % std::size(kMany)]);
}

TEST_P(DotI8Test, ScoresOfEveryPattern) {
  for (int pattern = 0; pattern < kI8Patterns; ++pattern) {
    for (const size_t dim : {size_t{3}, size_t{64}, size_t{65}}) {
      for (size_t offset = 0; offset < 4; ++offset) {
        const auto seed = static_cast<uint64_t>(pattern) + dim;
        ExpectScores({130, dim, static_cast<I8Pattern>(pattern), offset, seed}, 5 + offset);
      }
    }
  }
}

// The largest dimension leaves room for few queries a pass, and the extremes make the largest sums:
// 4,096 * 127 * 127 rounded to float.
TEST_P(DotI8Test, LargestDimension) {
  for (const I8Pattern pattern : {kRandom, kExtremes, kAllPositive, kAllNegative}) {
    for (const size_t dim : {size_t{1041}, size_t{4095}, size_t{4096}}) {
      ExpectScores({65, dim, pattern, 1, dim}, 10);
    }
  }
}

// (sum * row scale) * query scale: other ways to place the brackets round to other scores.
TEST_P(DotI8Test, OrderOfTheTwoProducts) {
  size_t differ = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const I8Case c{64, 3, kRandom, 0, seed};
    const reference::I8Matrix rows = MakeI8Matrix(c, 64, false);
    const reference::I8Matrix query = MakeI8Matrix(c, 1, true);
    ExpectScores(c, 1);
    for (size_t i = 0; i < 64; ++i) {
      const auto sum = static_cast<float>(
          reference::DotI8({rows.values.data() + 3 * i, 3}, {query.values.data(), 3}));
      const float scales = rows.scales[i] * query.scales[0];
      const float by_query = sum * query.scales[0];
      const float score = reference::DotI8Scores(rows, query, 0, 3)[i];
      differ += sum * scales != score && by_query * rows.scales[i] != score;
    }
  }
  EXPECT_GT(differ, 0u);  // else the test could not tell
}

TEST_P(DotI8Test, NoBehavioursNeedNoMemory) {
  const int8_t query[3] = {1, 2, 3};
  const float scale = 1.0f;
  std::vector<uint8_t> scratch(simd::DotI8ScoresScratchBytes());
  simd::DotI8Scores({nullptr, nullptr, 0, 3}, {query, &scale, 1, 3}, scratch.data(), nullptr, 0);
  simd::PackI8Blocks({nullptr, nullptr, 0, 3, 3}, nullptr, nullptr);
}

}  // namespace
}  // namespace eta::test
