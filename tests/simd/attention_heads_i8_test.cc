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
  static constexpr size_t kItems = 50, kListed = 70;

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
        list(RandomIds(rng, kListed, kItems), c.offset),
        chosen(rng, c.counts, kListed) {
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
    const size_t q_stride = c.layout.columns() + gap;
    Buffer<float> q(WithStride<float>(dense, dim, dim + gap, kNan), c.offset);
    Buffer<int8_t> q_bytes((queries - 1) * q_stride + c.layout.columns(), c.offset);
    Buffer<float> q_factors(queries * c.layout.heads, c.offset);
    simd::PackHeadQueriesI8({q.data(), queries, dim, dim + gap}, c.layout,
                            {q_bytes.data(), q_factors.data(), q_stride});
    for (size_t b = 0; b + 1 < queries; ++b) {
      EXPECT_TRUE(q_bytes.Untouched(b * q_stride + c.layout.columns(), (b + 1) * q_stride));
    }
    // Of rows in reverse: queries are chosen like those that they attend to.
    Buffer<int32_t> q_ids(queries, c.offset);
    for (size_t b = 0; b < queries; ++b) q_ids[b] = static_cast<int32_t>(queries - 1 - b);
    Buffer<uint8_t> scratch = MakeScratch(simd::AttendHeadsI8ScratchBytes(c.layout, chosen.most),
                                          c.offset, c.layout.part);
    Buffer<float> out(q.size(), c.offset);
    simd::AttendHeadsI8({{table.data(), kItems, c.layout.row_bytes(), stride},
                         factors.data(),
                         {list.data(), list.size()},
                         chosen.ids.data(),
                         chosen.counts.data(),
                         chosen.most},
                        c.layout,
                        {{q_bytes.data(), queries, c.layout.columns(), q_stride},
                         q_factors.data(),
                         q_ids.data(),
                         queries},
                        {scratch.data(), scratch.size()}, {out.data(), dim + gap});
    for (size_t b = 0; b + 1 < queries; ++b) {
      EXPECT_TRUE(out.Untouched(b * (dim + gap) + dim, (b + 1) * (dim + gap)));
    }
    return out;
  }

  // Query b, and the table rows that it attends to.
  std::span<const float> Query(size_t b) const {
    return {dense.data() + (c.counts.size() - 1 - b) * dim, dim};
  }
  std::vector<int32_t> Rows(size_t b) const {
    std::vector<int32_t> rows;
    for (size_t j = 0; j < c.counts[b]; ++j) {
      rows.push_back(list.data()[chosen.ids.data()[b * chosen.most + j]]);
    }
    return rows;
  }

  void ExpectTwin() {
    SCOPED_TRACE(::testing::Message() << "target=" << simd::TargetName(simd::ActiveTarget())
                                      << " heads=" << c.layout.heads << " part=" << c.layout.part);
    Buffer<float> out = Attend();
    for (size_t b = 0; b < c.counts.size(); ++b) {
      const auto expected = reference::AttendHeadsI8(Query(b), c.layout.heads, twin, Rows(b));
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
  Buffer<int32_t> list;
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
      FloatSpans of_keys, of_values;
      for (const int32_t row : problem.Rows(b)) {
        const size_t first = static_cast<size_t>(row) * problem.dim + h * 16;
        of_keys.push_back(std::span(keys).subspan(first, 16));
        of_values.push_back(std::span(values).subspan(first, 16));
      }
      const auto query = problem.Query(b).subspan(h * 16, 16);
      const auto expected = ExpectedAttention(query, of_keys, of_values, 16);
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
