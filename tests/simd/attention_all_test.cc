// SPDX-License-Identifier: Apache-2.0
// simd/attention_all.h against sums in double, on every target.
#include "simd/attention_all.h"

#include "simd/linear.h"
#include "tests/support/attention_test_util.h"

namespace eta::test {
namespace {

// Columns [first, first + width) of all rows of `dim` floats.
FloatSpans Columns(std::span<const float> rows, size_t dim, size_t first, size_t width) {
  FloatSpans columns;
  for (size_t r = 0; r < rows.size() / dim; ++r) {
    columns.push_back(rows.subspan(r * dim + first, width));
  }
  return columns;
}

struct Case {
  size_t n, heads, part, queries;
  float scale;
};

void ExpectAttendAll(const Case& c) {
  const size_t n = c.n, heads = c.heads, part = c.part, queries = c.queries;
  SCOPED_TRACE(::testing::Message()
               << "n=" << n << " heads=" << heads << " part=" << part << " queries=" << queries);
  Rng rng(n + heads * 1000 + part);
  const size_t dim = heads * part, stride = dim + n % 3;
  const auto bell = [&] { return BellFloat(rng); };
  const auto keys = MakeFloats(n * dim, bell), values = MakeFloats(n * dim, bell);
  const auto dense = MakeFloats(queries * dim, [&] { return c.scale * BellFloat(rng); });
  Buffer<float> q(WithStride<float>(dense, dim, stride, kNan), n % 4);
  Buffer<float> packed_keys(heads * simd::PackedLinearSize(part, n), n % 4);
  Buffer<float> packed_values(heads * simd::PackedLinearSize(n, part), n % 4);
  // Keys dense, values with NaN between the rows.
  const auto strided = WithStride<float>(values, dim, stride, kNan);
  simd::PackProjectedRows(simd::DenseRows(keys.data(), n, dim), {strided.data(), n, dim, stride},
                          heads, packed_keys.data(), packed_values.data());
  Buffer<uint8_t> scratch = MakeScratch(simd::AttendAllScratchBytes(n), n % 4, n);
  Buffer<float> out(q.size(), n % 4);
  simd::AttendAll({packed_keys.data(), packed_values.data(), n, heads, part},
                  {q.data(), queries, stride}, scratch.data(), {out.data(), stride});
  for (size_t b = 0; b < queries; ++b) {
    for (size_t h = 0; h < heads; ++h) {
      const auto expected = ExpectedAttention({dense.data() + b * dim + h * part, part},
                                              Columns(keys, dim, h * part, part),
                                              Columns(values, dim, h * part, part), part);
      for (size_t i = 0; i < part; ++i) {
        ASSERT_NEAR(out[b * stride + h * part + i], expected[i], AttentionTolerance(c.scale))
            << "query " << b << " head " << h << " component " << i;
      }
    }
    if (b + 1 < queries) {
      EXPECT_TRUE(out.Untouched(b * stride + dim, (b + 1) * stride));
    }
  }
}

class AttentionAllTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(AttentionAllTest);

TEST_P(AttentionAllTest, AllCountsAndParts) {
  size_t turn = 0;
  for (const size_t n : kAttentionCounts) {
    for (const size_t part : {1, 3, 4, 8, 15, 16, 17, 32, 33, 64}) {
      const size_t heads = 1 + turn % 4;
      ExpectAttendAll({n, heads, part, turn++ % 14, 0.3f});
    }
  }
}

TEST_P(AttentionAllTest, TheUsualSizeAndSharpScores) {
  ExpectAttendAll({1024, 4, 16, 7, 0.3f});
  ExpectAttendAll({1024, 4, 16, 6, 10.0f});  // nearly all weight on one row
}

}  // namespace
}  // namespace eta::test
