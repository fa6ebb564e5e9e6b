// SPDX-License-Identifier: Apache-2.0
// simd/attention_heads.h against sums in double, on every target.
#include "simd/attention_heads.h"

#include "tests/support/attention_test_util.h"

namespace eta::test {
namespace {

// Dense rows of heads * part floats become rows in the layout, with those of the second side behind
// those of the first; NaN fills the gap behind a row.
std::vector<float> InLayout(const std::vector<std::vector<float>>& sides,
                            const simd::HeadLayout& layout, size_t gap) {
  const size_t dim = layout.heads * layout.part;
  std::vector<float> rows;
  for (size_t r = 0; r * dim < sides[0].size(); ++r) {
    if (r > 0) rows.insert(rows.end(), gap, kNan);
    for (const std::vector<float>& side : sides) {
      std::vector<float> row(layout.columns());
      for (size_t c = 0; c < dim; ++c) {
        row[layout.column(c / layout.part, c % layout.part)] = side[r * dim + c];
      }
      rows.insert(rows.end(), row.begin(), row.end());
    }
  }
  return rows;
}

struct Case {
  simd::HeadLayout layout;
  std::vector<size_t> counts;  // one per query
  float scale;
  size_t offset;
};

void ExpectAttendHeads(const Case& c) {
  const simd::HeadLayout& layout = c.layout;
  const size_t heads = layout.heads, part = layout.part, columns = layout.columns();
  SCOPED_TRACE(::testing::Message() << "heads=" << heads << " part=" << part);
  constexpr size_t kItems = 50;
  Rng rng(heads * 100 + part + c.counts.size());
  const size_t dim = heads * part, gap = c.offset % 3, stride = columns + gap;
  const size_t queries = c.counts.size();
  const auto bell = [&] { return BellFloat(rng); };
  const auto keys = MakeFloats(kItems * dim, bell), values = MakeFloats(kItems * dim, bell);
  const auto dense = MakeFloats(queries * dim, [&] { return c.scale * BellFloat(rng); });
  Buffer<float> table(InLayout({keys, values}, layout, gap), c.offset);
  Buffer<float> q(InLayout({dense}, layout, gap), c.offset);
  ChosenIds chosen(rng, c.counts, kItems);
  Buffer<uint8_t> scratch = MakeScratch(simd::AttendHeadsScratchBytes(chosen.most), c.offset, part);
  Buffer<float> out(q.size(), c.offset);
  simd::AttendHeads(chosen.Of({table.data(), kItems, 2 * columns, 2 * columns + gap}), layout,
                    {q.data(), queries, stride}, scratch.data(), {out.data(), stride});
  for (size_t b = 0; b < queries; ++b) {
    for (size_t h = 0; h < heads; ++h) {
      const auto expected = ExpectedAttention({dense.data() + b * dim + h * part, part},
                                              chosen.Rows(keys, dim, b, h * part, part),
                                              chosen.Rows(values, dim, b, h * part, part), part);
      for (size_t i = 0; i < part; ++i) {
        ASSERT_NEAR(out[b * stride + layout.column(h, i)], expected[i], AttentionTolerance(c.scale))
            << "query " << b << " head " << h << " component " << i;
      }
    }
    if (b + 1 < queries) {
      EXPECT_TRUE(out.Untouched(b * stride + columns, (b + 1) * stride));
    }
  }
}

class AttentionHeadsTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(AttentionHeadsTest);

TEST_P(AttentionHeadsTest, AllCountsAndParts) {
  size_t turn = 0;
  for (const size_t part : {1, 3, 4, 5, 8, 12, 15, 16, 17, 20, 32, 64}) {
    for (size_t heads = 1; heads <= 9; ++heads) {
      std::vector<size_t> counts;
      for (size_t i = 0; i < 4; ++i) {
        counts.push_back(kAttentionCounts[turn++ % std::size(kAttentionCounts)]);
      }
      ExpectAttendHeads({{heads, part}, counts, 0.3f, turn % 4});
    }
  }
}

TEST_P(AttentionHeadsTest, TheUsualSizeAndSharpScores) {
  ExpectAttendHeads({{4, 16}, {64, 64, 10, 0, 64}, 0.3f, 0});
  ExpectAttendHeads({{4, 16}, {64, 256, 1}, 8.0f, 1});  // nearly all weight on one row
}

TEST(HeadLayout, ColumnsAreDistinctAndPaddedToFourByFour) {
  for (const size_t heads : {1, 2, 4, 5, 8}) {
    for (const size_t part : {1, 4, 7, 16}) {
      const simd::HeadLayout layout = {heads, part};
      std::vector<bool> taken(layout.columns());
      EXPECT_EQ(taken.size() % 16, 0u);
      for (size_t h = 0; h < heads; ++h) {
        for (size_t i = 0; i < part; ++i) {
          const size_t column = layout.column(h, i);
          ASSERT_LT(column, taken.size());
          EXPECT_FALSE(taken[column]);
          taken[column] = true;
        }
      }
    }
  }
  EXPECT_EQ((simd::HeadLayout{4, 16}.columns()), 64u);  // no padding with the usual settings
}

}  // namespace
}  // namespace eta::test
