// SPDX-License-Identifier: Apache-2.0
// simd/attention_heads_i8.h against its scalar twin, bit for bit, on every target, and against
// attention over the rows before they were rounded.
#include "simd/attention_heads_i8.h"

#include "core/reference/attention_i8.h"
#include "tests/support/attention_test_util.h"

namespace eta::test {
namespace {

struct Case {
  simd::I8HeadLayout layout;
  std::vector<size_t> counts;  // one per query
  float scale;                 // of queries
  size_t offset;
};

// Rows of a case and what the kernel makes of them, in buffers of exact size.
struct Problem {
  static constexpr size_t kItems = 50;

  Problem(const Case& c, std::span<const float> keys, std::span<const float> values)
      : c(c),
        dim(c.layout.dim()),
        gap(c.offset % 3),
        rng(c.layout.heads * 100 + c.layout.part + c.counts.size()),
        twin(reference::QuantizeHeads(keys, values, dim)),
        stride(c.layout.row_bytes() + c.offset),
        table((kItems - 1) * stride + c.layout.row_bytes(), c.offset),
        factors(2 * kItems, c.offset),
        dense(MakeFloats(c.counts.size() * dim, [&] { return c.scale * BellFloat(rng); })),
        chosen(rng, c.counts, kItems) {
    Buffer<float> k(WithStride<float>(keys, dim, dim + gap, kNan), c.offset);
    Buffer<float> v(WithStride<float>(values, dim, dim + gap, kNan), c.offset);
    simd::PackHeadsI8({k.data(), kItems, dim, dim + gap}, {v.data(), kItems, dim, dim + gap},
                      c.layout, {table.data(), factors.data(), stride});
    for (size_t r = 0; r + 1 < kItems; ++r) {
      EXPECT_TRUE(table.Untouched(r * stride + c.layout.row_bytes(), (r + 1) * stride));
    }
  }

  // The attention of all queries, rows of dim + gap floats.
  Buffer<float> Attend() {
    const size_t queries = c.counts.size();
    Buffer<float> q(WithStride<float>(dense, dim, dim + gap, kNan), c.offset);
    Buffer<uint8_t> scratch = MakeScratch(simd::AttendHeadsI8ScratchBytes(c.layout, chosen.most),
                                          c.offset, c.layout.part);
    Buffer<float> out(q.size(), c.offset);
    simd::AttendHeadsI8({{table.data(), kItems, c.layout.row_bytes(), stride},
                         factors.data(),
                         chosen.ids.data(),
                         chosen.counts.data(),
                         chosen.most},
                        c.layout, {q.data(), queries, dim + gap}, {scratch.data(), scratch.size()},
                        {out.data(), dim + gap});
    for (size_t b = 0; b + 1 < queries; ++b) {
      EXPECT_TRUE(out.Untouched(b * (dim + gap) + dim, (b + 1) * (dim + gap)));
    }
    return out;
  }

  void ExpectTwin() {
    SCOPED_TRACE(::testing::Message() << "target=" << simd::TargetName(simd::ActiveTarget())
                                      << " heads=" << c.layout.heads << " part=" << c.layout.part);
    Buffer<float> out = Attend();
    for (size_t b = 0; b < c.counts.size(); ++b) {
      const auto expected =
          reference::AttendHeadsI8({dense.data() + b * dim, dim}, c.layout.heads, twin,
                                   {chosen.ids.data() + b * chosen.most, c.counts[b]});
      ASSERT_TRUE(SameValues<float>({out.data() + b * (dim + gap), dim}, expected)) << b;
    }
  }

  Case c;
  size_t dim, gap;
  Rng rng;
  reference::I8Heads twin;
  size_t stride;
  Buffer<uint8_t> table;
  Buffer<float> factors;
  std::vector<float> dense;
  ChosenIds chosen;
};

std::vector<float> Bells(size_t count, uint64_t seed) {
  Rng rng(seed);
  return MakeFloats(count, [&] { return BellFloat(rng); });
}

void ExpectTwinOf(const Case& c) {
  const size_t size = Problem::kItems * c.layout.dim();
  Problem(c, Bells(size, c.layout.part), Bells(size, c.layout.heads + 1000)).ExpectTwin();
}

class AttentionHeadsI8Test : public TargetTest {};
ETA_FOR_EVERY_TARGET(AttentionHeadsI8Test);

TEST_P(AttentionHeadsI8Test, AllCountsAndParts) {
  size_t turn = 0;
  for (const size_t part : {1, 3, 4, 8, 15, 16, 17, 32, 48, 64}) {
    for (size_t heads = 1; heads <= 9; ++heads) {
      std::vector<size_t> counts;
      for (size_t i = 0; i < 4; ++i) {
        counts.push_back(kAttentionCounts[turn++ % std::size(kAttentionCounts)]);
      }
      ExpectTwinOf({{heads, part}, counts, 0.3f, turn % 4});
    }
  }
}

TEST_P(AttentionHeadsI8Test, TheUsualSizeAndSharpScores) {
  ExpectTwinOf({{4, 16}, {64, 64, 10, 0, 64}, 0.3f, 0});
  ExpectTwinOf({{3, 24}, {511, 512, 513, 1100}, 0.3f, 2});  // more rows than are summed exactly
  ExpectTwinOf({{4, 16}, {64, 256, 1}, 8.0f, 1});           // nearly all weight on one row
  ExpectTwinOf({{4, 16}, {64, 256, 1}, 200.0f, 1});         // all on one
}

// The largest integers in the widest head: sums neither wrap nor saturate.
TEST_P(AttentionHeadsI8Test, ExtremeValuesInTheWidestHead) {
  const Case c = {{1, simd::kI8MaxPart}, {1, 7}, 1.0f, 0};
  const size_t size = Problem::kItems * c.layout.dim();
  for (const float key : {-1.0f, 1.0f}) {
    for (const float query : {-1.0f, 1.0f}) {
      Problem problem(c, std::vector<float>(size, key), std::vector<float>(size, -2.0f));
      std::ranges::fill(problem.dense, query);
      problem.ExpectTwin();
    }
  }
}

TEST_P(AttentionHeadsI8Test, HardRowsAndQueries) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const Case c = {{3, 5 + seed}, {9, 4, 1, 2}, 1.0f, seed % 4};
    const size_t dim = c.layout.dim();
    Rng rng(seed);
    Problem problem(c, HardRows(rng, Problem::kItems, dim), HardRows(rng, Problem::kItems, dim));
    problem.dense = HardRows(rng, 4, dim);
    problem.ExpectTwin();
  }
}

// What eight bits cost: a value is off by up to 1 / 254 of the largest of its row.
TEST_P(AttentionHeadsI8Test, IsNearTheAttentionOfTheFloats) {
  const Case c = {{4, 16}, {64, 64, 10, 1}, 0.3f, 0};
  const size_t size = Problem::kItems * c.layout.dim();
  const auto keys = Bells(size, 1), values = Bells(size, 2);
  Problem problem(c, keys, values);
  Buffer<float> out = problem.Attend();
  for (size_t b = 0; b < c.counts.size(); ++b) {
    for (size_t h = 0; h < 4; ++h) {
      const auto expected =
          ExpectedAttention({problem.dense.data() + b * problem.dim + h * 16, 16},
                            problem.chosen.Rows(keys, problem.dim, b, h * 16, 16),
                            problem.chosen.Rows(values, problem.dim, b, h * 16, 16), 16);
      for (size_t i = 0; i < 16; ++i) {
        EXPECT_NEAR(out[b * problem.dim + h * 16 + i], expected[i], 0.02) << b << ", " << h;
      }
    }
  }
}

TEST(I8HeadLayout, TakesAQuarterOfTheBytes) {
  const simd::I8HeadLayout usual = {4, 16};
  EXPECT_EQ(usual.columns(), 64u);
  EXPECT_EQ(usual.row_bytes(), 128u);
  EXPECT_EQ((simd::I8HeadLayout{3, 17}.columns()), 128u);
}

TEST(AttendHeadsI8Sizes, StopAtTheLargest) {
  EXPECT_EQ(simd::AttendHeadsI8ScratchBytes({4, 16}, size_t{1} << 31), SIZE_MAX);
  EXPECT_EQ(simd::AttendHeadsI8ScratchBytes({4, simd::kI8MaxPart + 1}, 1), SIZE_MAX);
  EXPECT_EQ(simd::AttendHeadsI8ScratchBytes({SIZE_MAX, 16}, 1), SIZE_MAX);
  EXPECT_EQ(simd::AttendHeadsI8ScratchBytes({0, 16}, 1), SIZE_MAX);
  EXPECT_LT(simd::AttendHeadsI8ScratchBytes({4, 16}, 64), size_t{1} << 14);
}

}  // namespace
}  // namespace eta::test
