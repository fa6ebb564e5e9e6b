// SPDX-License-Identifier: Apache-2.0
// simd/cross_features.h against its scalar twin, bit for bit, on every target.
#include "simd/cross_features.h"

#include <limits>

#include "core/reference/cross_features.h"
#include "core/reference/linear_i8.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kItems = 11;

// Candidates with what the kernels read and write, in buffers of exact size with garbage between
// rows and where products go.
struct Problem {
  Problem(size_t rows, size_t dim, size_t parts, uint64_t seed, bool is_hard)
      : rows(rows),
        dim(dim),
        parts(parts),
        gap(seed % 4),
        offset(seed % 5),
        rng(seed),
        dense_table(Floats(kItems, dim, is_hard)),
        given(Floats(rows * parts, dim, is_hard)),
        table(WithStride<float>(dense_table, dim, dim + gap, kNan), offset),
        ids(RandomIds(rng, rows, kItems), offset),
        weights(MakeFloats(parts, [&] { return BellFloat(rng); }), offset) {}

  std::vector<float> Floats(size_t count, size_t width, bool is_hard) {
    if (is_hard) return HardRows(rng, count, width);
    return MakeFloats(count * width, [&] { return BellFloat(rng); });
  }

  size_t width() const { return 2 * parts * dim; }
  size_t stride() const { return width() + gap; }
  size_t size() const { return rows == 0 ? 0 : (rows - 1) * stride() + width(); }

  // The features of all rows, without the products.
  std::vector<float> Given() const {
    std::vector<float> values(size(), kNan);
    for (size_t i = 0; i < given.size(); ++i) {
      const size_t r = i / (parts * dim), p = i / dim % parts;
      values[r * stride() + 2 * p * dim + i % dim] = given[i];
    }
    return values;
  }

  reference::CrossedRow Expected(size_t r) const {
    const auto id = static_cast<size_t>(ids.data()[r]);
    return reference::CrossFeatures({dense_table.data() + id * dim, dim},
                                    {given.data() + r * parts * dim, parts * dim},
                                    {weights.data(), parts});
  }

  void ExpectFeatures(const Buffer<float>& features, const Buffer<float>& sums) const {
    for (size_t r = 0; r < rows; ++r) {
      const auto expected = Expected(r);
      const float* row = features.data() + r * stride();
      ASSERT_TRUE(SameValues<float>({row, width()}, expected.features)) << "row " << r;
      ASSERT_TRUE(Same(sums.data()[r], expected.sum)) << "row " << r;
      for (size_t i = width(); i < stride() && r + 1 < rows; ++i) EXPECT_TRUE(Same(row[i], kNan));
    }
  }

  void Expect() {
    SCOPED_TRACE(::testing::Message()
                 << "target=" << simd::TargetName(simd::ActiveTarget()) << " rows=" << rows
                 << " dim=" << dim << " parts=" << parts << " gap=" << gap << " offset=" << offset);
    const simd::RowsView<float> items = {table.data(), kItems, dim, dim + gap};
    Buffer<float> features(Given(), offset), again(Given(), offset);
    Buffer<float> sums(rows, offset), sums_again(rows, offset), scales(rows, offset);
    simd::CrossFeatures(items, ids.data(), {features.data(), rows, stride(), parts}, weights.data(),
                        sums.data());
    ExpectFeatures(features, sums);
    Buffer<uint8_t> bytes(size(), offset);
    simd::CrossFeaturesToU8(items, ids.data(), {again.data(), rows, stride(), parts},
                            weights.data(), sums_again.data(),
                            {bytes.data(), scales.data(), stride()});
    ExpectFeatures(again, sums_again);
    for (size_t r = 0; r < rows; ++r) {
      const auto expected = reference::QuantizeU8(Expected(r).features, width(), false);
      ASSERT_TRUE(Same(scales[r], expected.scales[0])) << "row " << r;
      ASSERT_TRUE(SameValues<uint8_t>({bytes.data() + r * stride(), width()}, expected.values));
      if (r + 1 < rows) {
        EXPECT_TRUE(bytes.Untouched(r * stride() + width(), (r + 1) * stride()));
      }
    }
  }

  size_t rows, dim, parts, gap, offset;
  Rng rng;
  std::vector<float> dense_table, given;
  Buffer<float> table;
  Buffer<int32_t> ids;
  Buffer<float> weights;
};

class CrossFeaturesTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(CrossFeaturesTest);

TEST_P(CrossFeaturesTest, IsTheTwin) {
  uint64_t seed = 0;
  for (const size_t dim :
       {1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 20, 31, 32, 33, 64, 100}) {
    for (const size_t rows : {0, 1, 3, 4, 5, 9}) {
      for (size_t parts = 1; parts <= 3; ++parts) {
        ++seed;
        Problem(rows, dim, parts, seed, false).Expect();
      }
    }
  }
}

TEST_P(CrossFeaturesTest, HardRows) {
  for (uint64_t seed = 0; seed < 40; ++seed) Problem(7, 1 + seed, 2, seed, true).Expect();
}

// A sum of -0 would show a target that leaves out steps of zeros, or takes more of them.
TEST_P(CrossFeaturesTest, ZerosOfBothSigns) {
  for (size_t dim = 1; dim < 40; ++dim) {
    Problem problem(2, dim, 2, dim, false);
    std::ranges::fill(problem.given, -0x1p-120f);
    std::ranges::fill(problem.dense_table, 0x1p-120f);
    for (size_t i = 0; i < problem.table.size(); ++i) {
      if (i % (dim + problem.gap) < dim) problem.table[i] = 0x1p-120f;
    }
    problem.Expect();
  }
}

}  // namespace
}  // namespace eta::test
