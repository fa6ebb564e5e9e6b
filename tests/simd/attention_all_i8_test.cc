// SPDX-License-Identifier: Apache-2.0
// simd/attention_all_i8.h against its scalar twin, bit for bit, on every target, and against
// attention over the rows before they were rounded.
#include "simd/attention_all_i8.h"

#include "core/reference/attention_i8.h"
#include "tests/support/attention_test_util.h"

namespace eta::test {
namespace {

struct Case {
  size_t n, heads, part, queries;
  float scale;  // of queries
};

// Rows of a case and what the kernel makes of them, in buffers of exact size.
struct Problem {
  explicit Problem(const Case& c)
      : c(c),
        dim(c.heads * c.part),
        stride(dim + c.n % 3),
        rng(c.n + c.heads * 1000 + c.part),
        keys(Bells(c.n * dim, 1.0f)),
        values(Bells(c.n * dim, 1.0f)),
        queries(Bells(c.queries * dim, c.scale)) {}

  std::vector<float> Bells(size_t count, float scale) {
    return MakeFloats(count, [&] { return scale * BellFloat(rng); });
  }

  // The attention of all queries, rows of `stride` floats.
  Buffer<float> Attend() const {
    const size_t offset = c.n % 4;
    Buffer<float> q(WithStride<float>(queries, dim, stride, kNan), offset);
    Buffer<uint8_t> packed(simd::ProjectedI8Bytes(c.n, c.heads, c.part), offset);
    // Keys dense, values with NaN between the rows.
    const auto strided = WithStride<float>(values, dim, stride, kNan);
    simd::PackProjectedI8(simd::DenseRows(keys.data(), c.n, dim),
                          {strided.data(), c.n, dim, stride}, c.heads, packed.data());
    Buffer<uint8_t> scratch =
        MakeScratch(simd::AttendAllI8ScratchBytes(c.n, c.part), offset, c.n + c.part);
    Buffer<float> out(q.size(), offset);
    simd::AttendAllI8({packed.data(), c.n, c.heads, c.part}, {q.data(), c.queries, stride},
                      {scratch.data(), scratch.size()}, {out.data(), stride});
    for (size_t b = 0; b + 1 < c.queries; ++b) {
      EXPECT_TRUE(out.Untouched(b * stride + dim, (b + 1) * stride));
    }
    return out;
  }

  void ExpectTwin() const {
    SCOPED_TRACE(::testing::Message() << "n=" << c.n << " heads=" << c.heads << " part=" << c.part
                                      << " queries=" << c.queries);
    Buffer<float> out = Attend();
    for (size_t b = 0; b < c.queries; ++b) {
      const auto expected =
          reference::AttendAllI8({queries.data() + b * dim, dim}, c.heads, keys, values, dim);
      ASSERT_TRUE(SameValues<float>({out.data() + b * stride, dim}, expected)) << "query " << b;
    }
  }

  Case c;
  size_t dim, stride;
  Rng rng;
  std::vector<float> keys, values, queries;
};

class AttentionAllI8Test : public TargetTest {};
ETA_FOR_EVERY_TARGET(AttentionAllI8Test);

TEST_P(AttentionAllI8Test, AllCountsAndParts) {
  size_t turn = 0;
  constexpr size_t kParts[] = {1, 3, 4, 8, 15, 16, 17, 32, 33, 64};
  for (const size_t n : kAttentionCounts) {
    for (size_t i = 0; i < 3; ++i, ++turn) {
      Problem({n, 1 + turn % 4, kParts[turn % std::size(kParts)], turn % 14, 0.3f}).ExpectTwin();
    }
  }
}

TEST_P(AttentionAllI8Test, TheUsualSizeAndSharpScores) {
  Problem({1024, 4, 16, 3, 0.3f}).ExpectTwin();
  Problem({1024, 4, 16, 2, 10.0f}).ExpectTwin();  // nearly all weight on one row
  Problem({300, 4, 16, 2, 200.0f}).ExpectTwin();  // all on one
}

// More rows than are summed exactly.
TEST_P(AttentionAllI8Test, CountsAboutTheRowsThatAreSummedExactly) {
  for (const size_t n : {511, 512, 513, 577, 1100}) {
    Problem({n, 1, 20, 2, 0.3f}).ExpectTwin();
  }
}

// The largest integers in 512 rows: sums neither wrap nor saturate.
TEST_P(AttentionAllI8Test, ExtremeValues) {
  for (const float key : {-1.0f, 1.0f}) {
    for (const float value : {-1.0f, 1.0f}) {
      Problem problem({512, 1, 16, 2, 1.0f});
      std::ranges::fill(problem.keys, key);
      std::ranges::fill(problem.values, value);
      std::ranges::fill(problem.queries, 1.0f);
      problem.ExpectTwin();
      Buffer<float> out = problem.Attend();
      EXPECT_FLOAT_EQ(out[0], value);
    }
  }
}

TEST_P(AttentionAllI8Test, RowsOfZerosAndSmallNumbers) {
  for (const float scale : {0.0f, 0x1p-101f, 0x1p-120f, 0x1p-140f}) {
    Problem problem({70, 2, 9, 3, 1.0f});
    for (size_t i = 0; i < problem.keys.size(); i += 2) problem.keys[i] *= scale;
    for (float& value : problem.values) value *= scale;
    std::fill_n(problem.keys.begin(), problem.dim, scale);
    std::fill_n(problem.queries.begin(), problem.dim, scale);
    problem.ExpectTwin();
  }
}

// What eight bits cost.
TEST_P(AttentionAllI8Test, IsNearTheAttentionOfTheFloats) {
  const Problem problem({1024, 4, 16, 3, 0.3f});
  Buffer<float> out = problem.Attend();
  for (size_t b = 0; b < 3; ++b) {
    for (size_t h = 0; h < 4; ++h) {
      const auto columns = [&](const std::vector<float>& rows) {
        FloatSpans spans;
        for (size_t r = 0; r < 1024; ++r) spans.push_back({rows.data() + r * 64 + h * 16, 16});
        return spans;
      };
      const auto expected = ExpectedAttention({problem.queries.data() + b * 64 + h * 16, 16},
                                              columns(problem.keys), columns(problem.values), 16);
      for (size_t i = 0; i < 16; ++i) {
        EXPECT_NEAR(out[b * problem.stride + h * 16 + i], expected[i], 0.02) << b << ", " << h;
      }
    }
  }
}

TEST(ProjectedI8, TakesAtMostAThirdOfTheBytes) {
  const size_t floats = 4 * (16 * 1024 + 16 * 1024) * sizeof(float);
  EXPECT_LE(simd::ProjectedI8Bytes(1024, 4, 16), floats / 3);
}

TEST(AttendAllI8Sizes, StopAtTheLargest) {
  EXPECT_EQ(simd::AttendAllI8ScratchBytes(SIZE_MAX, 16), SIZE_MAX);
  EXPECT_EQ(simd::AttendAllI8ScratchBytes(16, simd::kI8MaxDim + 1), SIZE_MAX);
  EXPECT_EQ(simd::AttendAllI8ScratchBytes(16, 0), SIZE_MAX);
  EXPECT_EQ(simd::ProjectedI8Bytes(SIZE_MAX, 4, 16), SIZE_MAX);
  EXPECT_LT(simd::AttendAllI8ScratchBytes(1024, 16), size_t{1} << 16);
}

}  // namespace
}  // namespace eta::test
