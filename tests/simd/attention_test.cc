// SPDX-License-Identifier: Apache-2.0
// simd/attention.h and simd/attention_heads.h against sums in double, on every target.
#include "simd/attention.h"

#include <limits>
#include <ostream>

#include "core/reference/attention.h"
#include "simd/attention_heads.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using reference::Vector;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kTolerance = 2e-6;  // of values of about 1

constexpr size_t kCounts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 63, 64, 65, 130};
constexpr size_t kDims[] = {1, 3, 4, 7, 8, 15, 16, 17, 20, 31, 32, 33, 48, 64, 80};

double Dot(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

struct Case {
  size_t dim, heads;
  std::vector<size_t> counts;  // one per query
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
  const size_t gap = c.offset % 3, queries = c.counts.size();
  const size_t most = *std::ranges::max_element(c.counts);
  const auto dense = MakeFloats(kItems * c.dim, [&] { return BellFloat(rng); });
  Buffer<float> table(WithStride<float>(dense, c.dim, c.dim + gap, kNan), c.offset);
  const auto dense_queries =
      MakeFloats(queries * c.heads * c.dim, [&] { return scale * BellFloat(rng); });
  Buffer<float> folded(WithStride<float>(dense_queries, c.dim, c.dim + gap, kNan), c.offset);
  Buffer<int32_t> ids(queries * most);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(Below(rng, kItems));
  std::vector<int32_t> counts(c.counts.begin(), c.counts.end());
  for (size_t b = 0; b < queries; ++b) {  // ids past a count are no ids
    for (size_t j = c.counts[b]; j < most; ++j) ids[b * most + j] = INT32_MAX;
  }
  Buffer<uint8_t> scratch =
      MakeScratch(simd::AttendRowsScratchBytes(most, c.dim, c.heads), c.offset, c.dim);
  Buffer<float> sums(WithStride<float>(dense_queries, c.dim, c.dim + gap, 0.0f).size(), c.offset);
  simd::AttendRows({table.data(), c.dim, c.dim + gap, ids.data(), counts.data(), most},
                   folded.data(), queries, c.heads, c.dim + gap, scratch.data(), sums.data(),
                   c.dim + gap);
  for (size_t b = 0; b < queries; ++b) {
    for (size_t h = 0; h < c.heads; ++h) {
      const size_t row = b * c.heads + h;
      Vector scores;
      for (size_t j = 0; j < c.counts[b]; ++j) {
        scores.push_back(Dot(dense_queries.data() + row * c.dim,
                             dense.data() + static_cast<size_t>(ids[b * most + j]) * c.dim, c.dim));
      }
      const Vector weights = reference::Softmax(scores);
      for (size_t d = 0; d < c.dim; ++d) {
        double expected = 0;
        for (size_t j = 0; j < weights.size(); ++j) {
          expected += weights[j] * dense[static_cast<size_t>(ids[b * most + j]) * c.dim + d];
        }
        ASSERT_NEAR(sums[row * (c.dim + gap) + d], expected, kTolerance * (1 + scale * 8))
            << "query " << b << " head " << h << " dimension " << d;
      }
    }
  }
}

class AttentionTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(AttentionTest);

TEST_P(AttentionTest, RowsOfAllCountsAndDims) {
  size_t turn = 0;
  for (const size_t dim : kDims) {
    for (size_t heads = 1; heads <= 7; ++heads) {
      Case c{dim, heads, {}, turn % 4};
      for (size_t i = 0; i < 4; ++i) c.counts.push_back(kCounts[turn++ % std::size(kCounts)]);
      ExpectAttendRows(c, 0.3f);
    }
  }
}

TEST_P(AttentionTest, RowsOfTheUsualSizeAndSharpScores) {
  ExpectAttendRows({64, 4, {64, 64, 10, 0, 64}, 0}, 0.3f);
  ExpectAttendRows({64, 4, {64, 256}, 1}, 4.0f);  // nearly all weight on one row
}

TEST_P(AttentionTest, RowsOfNoQuery) {
  simd::AttendRows({nullptr, 4, 4, nullptr, nullptr, 0}, nullptr, 0, 1, 4, nullptr, nullptr, 4);
}

void ExpectAttendAll(size_t n, size_t heads, size_t part, size_t queries, float scale) {
  SCOPED_TRACE(::testing::Message()
               << "n=" << n << " heads=" << heads << " part=" << part << " queries=" << queries);
  Rng rng(n + heads * 1000 + part);
  const size_t dim = heads * part, gap = n % 3;
  const auto bell = [&] { return BellFloat(rng); };
  const auto keys = MakeFloats(n * dim, bell), values = MakeFloats(n * dim, bell);
  const auto dense = MakeFloats(queries * dim, [&] { return scale * BellFloat(rng); });
  Buffer<float> q(WithStride<float>(dense, dim, dim + gap, kNan), n % 4);
  Buffer<float> packed_keys(heads * simd::PackedLinearSize(part, n), n % 4);
  Buffer<float> packed_values(heads * simd::PackedLinearSize(n, part), n % 4);
  simd::PackProjectedRows(keys.data(), values.data(), n, heads, part, dim, packed_keys.data(),
                          packed_values.data());
  Buffer<uint8_t> scratch = MakeScratch(simd::AttendAllScratchBytes(n), n % 4, n);
  Buffer<float> out(queries == 0 ? 0 : (queries - 1) * (dim + gap) + dim, n % 4);
  simd::AttendAll({packed_keys.data(), packed_values.data(), n, heads, part}, q.data(), queries,
                  dim + gap, scratch.data(), out.data(), dim + gap);
  for (size_t b = 0; b < queries; ++b) {
    for (size_t h = 0; h < heads; ++h) {
      Vector scores;
      for (size_t l = 0; l < n; ++l) {
        scores.push_back(
            Dot(dense.data() + b * dim + h * part, keys.data() + l * dim + h * part, part));
      }
      const Vector weights = reference::Softmax(scores);
      for (size_t i = h * part; i < (h + 1) * part; ++i) {
        double expected = 0;
        for (size_t l = 0; l < n; ++l) expected += weights[l] * values[l * dim + i];
        ASSERT_NEAR(out[b * (dim + gap) + i], expected, kTolerance * (1 + scale * 8))
            << "query " << b << " column " << i;
      }
    }
    if (b + 1 < queries) {
      EXPECT_TRUE(out.Untouched(b * (dim + gap) + dim, (b + 1) * (dim + gap)));
    }
  }
}

TEST_P(AttentionTest, AllOfAllCountsAndParts) {
  size_t turn = 0;
  for (const size_t n : kCounts) {
    for (const size_t part : {1, 3, 4, 8, 15, 16, 17, 32, 33, 64}) {
      const size_t heads = 1 + turn % 4;
      ExpectAttendAll(n, heads, part, turn++ % 14, 0.3f);
    }
  }
  ExpectAttendAll(1024, 4, 16, 7, 0.3f);
  ExpectAttendAll(1024, 4, 16, 6, 10.0f);
}

// Rows as floats of `columns` at HeadColumn, the first `values` after the last of `keys`; NaN fills
// the gap behind a row.
std::vector<float> HeadRows(const std::vector<std::vector<float>>& sides, size_t heads, size_t part,
                            size_t gap) {
  const size_t columns = simd::HeadColumns(heads, part), dim = heads * part;
  std::vector<float> rows;
  for (size_t r = 0; r * dim < sides[0].size(); ++r) {
    if (r > 0) rows.insert(rows.end(), gap, kNan);
    for (const std::vector<float>& side : sides) {
      std::vector<float> row(columns);
      for (size_t h = 0; h < heads; ++h) {
        for (size_t i = 0; i < part; ++i) {
          row[simd::HeadColumn(h, i, part)] = side[r * dim + h * part + i];
        }
      }
      rows.insert(rows.end(), row.begin(), row.end());
    }
  }
  return rows;
}

void ExpectAttendHeads(size_t heads, size_t part, const std::vector<size_t>& sizes, float scale,
                       size_t offset) {
  SCOPED_TRACE(::testing::Message() << "heads=" << heads << " part=" << part);
  constexpr size_t kItems = 50;
  Rng rng(heads * 100 + part + sizes.size());
  const size_t dim = heads * part, columns = simd::HeadColumns(heads, part), gap = offset % 3;
  const size_t queries = sizes.size(), most = *std::ranges::max_element(sizes);
  const auto bell = [&] { return BellFloat(rng); };
  const auto keys = MakeFloats(kItems * dim, bell), values = MakeFloats(kItems * dim, bell);
  const auto dense = MakeFloats(queries * dim, [&] { return scale * BellFloat(rng); });
  Buffer<float> table(HeadRows({keys, values}, heads, part, gap), offset);
  Buffer<float> q(HeadRows({dense}, heads, part, gap), offset);
  std::vector<int32_t> counts(sizes.begin(), sizes.end());
  Buffer<int32_t> ids(queries * most);
  for (size_t b = 0; b < queries; ++b) {  // ids past a count are no ids
    for (size_t j = 0; j < most; ++j) {
      ids[b * most + j] = j < sizes[b] ? static_cast<int32_t>(Below(rng, kItems)) : INT32_MAX;
    }
  }
  Buffer<uint8_t> scratch = MakeScratch(simd::AttendHeadsScratchBytes(most), offset, part);
  Buffer<float> out((queries - 1) * (columns + gap) + columns, offset);
  simd::AttendHeads({table.data(), 2 * columns, 2 * columns + gap, ids.data(), counts.data(), most},
                    heads, part, q.data(), queries, columns + gap, scratch.data(), out.data(),
                    columns + gap);
  for (size_t b = 0; b < queries; ++b) {
    for (size_t h = 0; h < heads; ++h) {
      Vector scores;
      for (size_t j = 0; j < sizes[b]; ++j) {
        const size_t row = static_cast<size_t>(ids[b * most + j]) * dim + h * part;
        scores.push_back(Dot(dense.data() + b * dim + h * part, keys.data() + row, part));
      }
      const Vector weights = reference::Softmax(scores);
      for (size_t i = 0; i < part; ++i) {
        double expected = 0;
        for (size_t j = 0; j < weights.size(); ++j) {
          expected +=
              weights[j] * values[static_cast<size_t>(ids[b * most + j]) * dim + h * part + i];
        }
        ASSERT_NEAR(out[b * (columns + gap) + simd::HeadColumn(h, i, part)], expected,
                    kTolerance * (1 + scale * 8))
            << "query " << b << " head " << h << " component " << i;
      }
    }
    if (b + 1 < queries) {
      EXPECT_TRUE(out.Untouched(b * (columns + gap) + columns, (b + 1) * (columns + gap)));
    }
  }
}

TEST_P(AttentionTest, HeadsOfAllCountsAndParts) {
  size_t turn = 0;
  for (const size_t part : {1, 3, 4, 5, 8, 12, 15, 16, 17, 20, 32, 64}) {
    for (size_t heads = 1; heads <= 9; ++heads) {
      std::vector<size_t> counts;
      for (size_t i = 0; i < 4; ++i) counts.push_back(kCounts[turn++ % std::size(kCounts)]);
      ExpectAttendHeads(heads, part, counts, 0.3f, turn % 4);
    }
  }
}

TEST_P(AttentionTest, HeadsOfTheUsualSizeAndSharpScores) {
  ExpectAttendHeads(4, 16, {64, 64, 10, 0, 64}, 0.3f, 0);
  ExpectAttendHeads(4, 16, {64, 256, 1}, 8.0f, 1);  // nearly all weight on one row
}

TEST(HeadColumns, AreOnesOwnAndPaddedToFourByFour) {
  for (const size_t heads : {1, 2, 4, 5, 8}) {
    for (const size_t part : {1, 4, 7, 16}) {
      std::vector<bool> taken(simd::HeadColumns(heads, part));
      EXPECT_EQ(taken.size() % 16, 0u);
      for (size_t h = 0; h < heads; ++h) {
        for (size_t i = 0; i < part; ++i) {
          const size_t column = simd::HeadColumn(h, i, part);
          ASSERT_LT(column, taken.size());
          EXPECT_FALSE(taken[column]);
          taken[column] = true;
        }
      }
    }
  }
  EXPECT_EQ(simd::HeadColumns(4, 16), 64u);  // no padding with the usual settings
}

}  // namespace
}  // namespace eta::test
