// SPDX-License-Identifier: Apache-2.0
// simd/attention_rows.h against sums in double, on every target.
#include "simd/attention_rows.h"

#include <ostream>

#include "tests/support/attention_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kDims[] = {1, 3, 4, 7, 8, 15, 16, 17, 20, 31, 32, 33, 48, 64, 80};

struct Case {
  size_t dim, heads;
  std::vector<size_t> counts;  // one per candidate
  size_t offset;

  friend std::ostream& operator<<(std::ostream& o, const Case& c) {
    o << "target=" << simd::TargetName(simd::ActiveTarget()) << " dim=" << c.dim
      << " heads=" << c.heads << " offset=" << c.offset << " counts=";
    for (const size_t count : c.counts) o << count << ' ';
    return o;
  }
};

// Exact-size, misaligned arrays with NaN between the rows: one read astray and a result is NaN.
void ExpectAttendRows(const Case& c, float scale) {
  SCOPED_TRACE(c);
  Rng rng(c.dim * 100 + c.heads + c.counts.size());
  constexpr size_t kItems = 50;
  const size_t dim = c.dim, stride = dim + c.offset % 3, queries = c.counts.size() * c.heads;
  const auto dense = MakeFloats(kItems * dim, [&] { return BellFloat(rng); });
  Buffer<float> table(WithStride<float>(dense, dim, stride, kNan), c.offset);
  const auto dense_queries = MakeFloats(queries * dim, [&] { return scale * BellFloat(rng); });
  Buffer<float> folded(WithStride<float>(dense_queries, dim, stride, kNan), c.offset);
  ChosenIds chosen(rng, c.counts, kItems);
  Buffer<uint8_t> scratch =
      MakeScratch(simd::AttendRowsScratchBytes(chosen.most, dim, c.heads), c.offset, dim);
  Buffer<float> sums(folded.size(), c.offset);
  simd::AttendRows(chosen.Of({table.data(), kItems, dim, stride}), c.heads,
                   {folded.data(), queries, stride}, scratch.data(), {sums.data(), stride});
  for (size_t q = 0; q < queries; ++q) {
    const FloatSpans rows = chosen.Rows(dense, dim, q / c.heads, 0, dim);
    const auto expected = ExpectedAttention({dense_queries.data() + q * dim, dim}, rows, rows, dim);
    for (size_t d = 0; d < dim; ++d) {
      ASSERT_NEAR(sums[q * stride + d], expected[d], AttentionTolerance(scale))
          << "candidate " << q / c.heads << " head " << q % c.heads << " dimension " << d;
    }
    if (q + 1 < queries) {
      EXPECT_TRUE(sums.Untouched(q * stride + dim, (q + 1) * stride));
    }
  }
}

class AttentionRowsTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(AttentionRowsTest);

TEST_P(AttentionRowsTest, AllCountsAndDims) {
  size_t turn = 0;
  for (const size_t dim : kDims) {
    for (size_t heads = 1; heads <= 7; ++heads) {
      Case c{dim, heads, {}, turn % 4};
      for (size_t i = 0; i < 4; ++i) {
        c.counts.push_back(kAttentionCounts[turn++ % std::size(kAttentionCounts)]);
      }
      ExpectAttendRows(c, 0.3f);
    }
  }
}

TEST_P(AttentionRowsTest, TheUsualSizeAndSharpScores) {
  ExpectAttendRows({64, 4, {64, 64, 10, 0, 64}, 0}, 0.3f);
  ExpectAttendRows({64, 4, {64, 256}, 1}, 4.0f);  // nearly all weight on one row
}

TEST_P(AttentionRowsTest, NoQuery) {
  simd::AttendRows({{nullptr, 0, 4, 4}, nullptr, nullptr, 0}, 1, {nullptr, 0, 4}, nullptr,
                   {nullptr, 4});
}

}  // namespace
}  // namespace eta::test
