// SPDX-License-Identifier: Apache-2.0
// simd/dot_i8.h against core/reference/dot_i8.h on every target.
#include "simd/dot_i8.h"

#include <limits>
#include <ostream>

#include "core/reference/code_blocks.h"
#include "core/reference/dot_i8.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();

constexpr size_t kCounts[] = {0, 1, 2, 63, 64, 65, 128, 130, 1000};
constexpr size_t kDims[] = {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 128, 256, 700};

// What the int8 values and scales are, and so what the scores look like.
enum Pattern {
  kRandom,       // any values, scales of all sizes
  kFewValues,    // -1, 0, 1 and scale 1: many ties
  kExtremes,     // -127 or 127 throughout: the largest sums there are
  kAllPositive,  // 127 everywhere, so that every pair and every sum is as large as can be
  kAllNegative,  // rows of 127, queries of -127
  kZeroScales,   // some rows of scale 0, and negative sums with it: zeros of both signs
  kHardScales,   // NaN, infinities, denormals
  kPatterns
};

struct Case {
  size_t n, dim;
  Pattern pattern;
  size_t offset;  // elements by which every array is misaligned
  uint64_t seed;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " dim=" << c.dim << " pattern=" << c.pattern << " offset=" << c.offset
               << " seed=" << c.seed;
  }
};

int8_t MakeValue(Rng& rng, Pattern pattern, bool query) {
  switch (pattern) {
    case kFewValues:
      return static_cast<int8_t>(static_cast<int>(Below(rng, 3)) - 1);
    case kExtremes:
      return Below(rng, 2) ? 127 : -127;
    case kAllPositive:
      return 127;
    case kAllNegative:
      return query ? -127 : 127;
    default:
      return static_cast<int8_t>(static_cast<int>(Below(rng, 255)) - 127);
  }
}

float MakeScale(Rng& rng, Pattern pattern) {
  switch (pattern) {
    case kRandom:
      return std::abs(BellFloat(rng));
    case kZeroScales:
      return Below(rng, 3) ? std::abs(BellFloat(rng)) : 0.0f;
    case kHardScales:
      return Below(rng, 4) ? std::abs(BellFloat(rng)) : AnyFloat(rng);
    default:
      return 1.0f;
  }
}

reference::I8Matrix MakeMatrix(const Case& c, size_t rows, bool query) {
  Rng rng(2 * c.seed + query);
  reference::I8Matrix matrix;
  for (size_t i = 0; i < rows; ++i) {
    matrix.scales.push_back(MakeScale(rng, c.pattern));
    for (size_t d = 0; d < c.dim; ++d) {
      matrix.values.push_back(MakeValue(rng, c.pattern, query));
    }
  }
  return matrix;
}

// Rows in blocks, made without the kernels, with anything in the rows past the last.
struct Blocks {
  Blocks(const Case& c, const reference::I8Matrix& rows)
      : c(c),
        bytes(simd::I8BlocksBytes(c.n, c.dim), c.offset),
        scales(simd::PaddedRows(c.n), c.offset) {
    Rng rng(c.seed + 99);
    const std::vector<uint8_t> packed = reference::PackI8Blocks(rows.values, c.dim);
    std::ranges::copy(packed, bytes.data());
    const float garbage[] = {kNan, kInf, -kInf, 1e30f};
    for (size_t i = 0; i < simd::PaddedRows(c.n); ++i) {
      scales[i] = i < c.n ? rows.scales[i] : garbage[i % 4];
      for (size_t d = 0; i >= c.n && d < c.dim; ++d) {
        bytes[reference::I8BlockIndex(i, d, c.dim)] = static_cast<uint8_t>(rng());
      }
    }
  }
  simd::I8BlocksView view() { return {bytes.data(), scales.data(), c.n, c.dim}; }

  Case c;
  Buffer<uint8_t> bytes;
  Buffer<float> scales;
};

// Queries some values apart, with garbage between them and nothing behind the last.
struct Queries {
  Queries(const Case& c, const reference::I8Matrix& queries, size_t count)
      : stride(c.dim + c.seed % 3),
        values(WithStride<int8_t>({queries.values.data(), count * c.dim}, c.dim, stride, -128),
               c.offset),
        scales(std::span<const float>(queries.scales.data(), count), c.offset) {}
  simd::I8Queries view() { return {values.data(), scales.data(), scales.size(), stride}; }

  size_t stride;
  Buffer<int8_t> values;
  Buffer<float> scales;
};

// Every pair of count and dim; patterns and offsets take turns.
std::vector<Case> Sweep() {
  std::vector<Case> cases;
  for (size_t a = 0; a < std::size(kCounts); ++a) {
    for (size_t b = 0; b < std::size(kDims); ++b) {
      if (kCounts[a] * kDims[b] > 70000) continue;
      cases.push_back({kCounts[a], kDims[b], static_cast<Pattern>((a + b) % kPatterns),
                       (a + 2 * b) % 5, 100 * a + b});
    }
  }
  return cases;
}

struct Call {
  size_t k;
  TieOrder ties;
  ResultOrder order;
  bool want_scores;

  friend std::ostream& operator<<(std::ostream& out, const Call& call) {
    return out << "k=" << call.k << (call.ties == TieOrder::kNewestFirst ? " newest" : " oldest")
               << " first, " << (call.order == ResultOrder::kSorted ? "sorted" : "any order")
               << (call.want_scores ? "" : ", no scores");
  }
};

using SortedList = std::vector<reference::DotNeighbor>;  // all positions, largest score first

// Compares one row of results with the first entries of the fully sorted list; for kAny both are
// put in the order of positions first.
void ExpectNeighbors(const Call& call, const int32_t* positions, const float* scores,
                     const SortedList& sorted) {
  const size_t count = std::min(call.k, sorted.size());
  SortedList expected(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(count));
  SortedList actual;
  for (size_t i = 0; i < count; ++i) {
    actual.push_back({positions[i], scores == nullptr ? 0.0f : scores[i]});
    if (scores == nullptr) expected[i].score = 0.0f;
  }
  if (call.order == ResultOrder::kAny) {
    std::ranges::sort(expected, {}, &reference::DotNeighbor::position);
    std::ranges::sort(actual, {}, &reference::DotNeighbor::position);
  }
  for (size_t i = 0; i < count; ++i) {
    ASSERT_EQ(actual[i].position, expected[i].position) << "at " << i << " of " << count;
    ASSERT_TRUE(Same(actual[i].score, expected[i].score))
        << "at " << i << " of " << count << ": " << actual[i].score << ", expected "
        << expected[i].score;
  }
}

void ExpectTopK(const Case& c, Blocks& blocks, const reference::I8Matrix& queries,
                size_t num_queries, const std::vector<SortedList>& sorted, const Call& call) {
  SCOPED_TRACE(c);
  SCOPED_TRACE(call);
  Queries some(c, queries, num_queries);
  Buffer<uint8_t> scratch =
      MakeScratch(simd::DotI8TopKScratchBytes(c.n, call.k), c.offset, c.seed + call.k);
  Buffer<int32_t> positions(num_queries * call.k, c.offset, 16);
  Buffer<float> scores(call.want_scores ? positions.size() : 0, c.offset, 16);
  float* out = call.want_scores ? scores.data() : nullptr;
  const size_t count = simd::DotI8TopK(blocks.view(), some.view(), {call.k, call.ties, call.order},
                                       scratch.data(), {positions.data(), out});
  ASSERT_EQ(count, std::min(call.k, c.n));
  for (size_t q = 0; q < num_queries; ++q) {
    SCOPED_TRACE(::testing::Message() << "query " << q << " of " << num_queries);
    const size_t row = q * call.k;
    ExpectNeighbors(call, positions.data() + row, out == nullptr ? out : out + row, sorted[q]);
    EXPECT_TRUE(positions.Untouched(row + count, row + call.k));
    EXPECT_TRUE(out == nullptr || scores.Untouched(row + count, row + call.k));
  }
}

// Both tie orders and result orders, several k, for each number of queries.
void ExpectTopKOfAllKinds(const Case& c, std::vector<size_t> numbers_of_queries) {
  const size_t most = *std::ranges::max_element(numbers_of_queries);
  const reference::I8Matrix rows = MakeMatrix(c, c.n, false);
  const reference::I8Matrix queries = MakeMatrix(c, most, true);
  Blocks blocks(c, rows);
  for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
    std::vector<SortedList> sorted;
    for (size_t q = 0; q < most; ++q) {
      sorted.push_back(reference::DotI8TopK(rows, queries, q, c.dim, c.n, ties));
    }
    size_t turn = c.seed;
    for (const size_t k : {size_t{1}, size_t{3}, size_t{64}, c.n + 1}) {
      for (const ResultOrder order : {ResultOrder::kSorted, ResultOrder::kAny}) {
        for (const size_t count : numbers_of_queries) {
          ExpectTopK(c, blocks, queries, count, sorted, {k, ties, order, ++turn % 3 != 0});
        }
      }
    }
  }
}

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
  for (const size_t dim : kDims) {
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
  for (const Case& c : Sweep()) {
    SCOPED_TRACE(c);
    const reference::I8Matrix rows = MakeMatrix(c, c.n, false);
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
    const reference::I8Matrix items = MakeMatrix(c, kItems, true);
    Buffer<int8_t> table(WithStride<int8_t>(items.values, c.dim, stride, -128), c.offset);
    Buffer<float> table_scales{std::span<const float>(items.scales)};
    Rng rng(c.seed);
    std::vector<int32_t> list;
    for (size_t i = 0; i < c.n; ++i) list.push_back(static_cast<int32_t>(Below(rng, kItems)));
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

void ExpectScores(const Case& c, size_t num_queries) {
  SCOPED_TRACE(c);
  const reference::I8Matrix rows = MakeMatrix(c, c.n, false);
  const reference::I8Matrix queries = MakeMatrix(c, num_queries, true);
  Blocks blocks(c, rows);
  Queries some(c, queries, num_queries);
  const size_t padded = simd::PaddedRows(c.n);
  const size_t score_stride = padded + c.seed % 2 * 5;
  Buffer<float> scores((num_queries - 1) * score_stride + padded, c.offset, c.seed % 2 * 16);
  simd::DotI8Scores(blocks.view(), some.view(), scores.data(), score_stride);
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
  for (const Case& c : Sweep()) ExpectScores(c, kMany[c.seed % std::size(kMany)]);
}

TEST_P(DotI8Test, ScoresOfEveryPattern) {
  for (int pattern = 0; pattern < kPatterns; ++pattern) {
    for (const size_t dim : {size_t{3}, size_t{64}, size_t{65}}) {
      for (size_t offset = 0; offset < 4; ++offset) {
        const auto seed = static_cast<uint64_t>(pattern) + dim;
        ExpectScores({130, dim, static_cast<Pattern>(pattern), offset, seed}, 5 + offset);
      }
    }
  }
}

// The largest dimension leaves room for few queries a pass, and the extremes make the largest sums:
// 4,096 * 127 * 127 rounded to float.
TEST_P(DotI8Test, LargestDimension) {
  for (const Pattern pattern : {kRandom, kExtremes, kAllPositive, kAllNegative}) {
    for (const size_t dim : {size_t{1041}, size_t{4095}, size_t{4096}}) {
      ExpectScores({65, dim, pattern, 1, dim}, 10);
    }
  }
}

TEST_P(DotI8Test, TopK) {
  for (const Case& c : Sweep()) ExpectTopKOfAllKinds(c, {1});
}

TEST_P(DotI8Test, SeveralQueriesAreAsSingleCalls) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{65}, size_t{400}}) {
    for (int pattern = 0; pattern < kPatterns; ++pattern) {
      ExpectTopKOfAllKinds({n, 17, static_cast<Pattern>(pattern), 1, n}, {0, 1, 7, 24, 25, 50});
    }
  }
}

// One high score among low ones, at each position in turn: no lane or block is left out.
TEST_P(DotI8Test, OneHighScoreAnywhere) {
  for (size_t at = 0; at < 150; ++at) {
    const Case c{150, 5, kPatterns, 0, at};
    reference::I8Matrix rows{std::vector<int8_t>(150 * 5, -1), std::vector<float>(150, 1.0f)};
    const reference::I8Matrix query{{1, 2, 3, 4, 5}, {0.5f}};
    rows.values[at * 5 + at % 5] = 1;
    Blocks blocks(c, rows);
    const std::vector<SortedList> sorted = {
        reference::DotI8TopK(rows, query, 0, 5, 150, TieOrder::kNewestFirst)};
    ASSERT_EQ(sorted[0][0].position, static_cast<int32_t>(at));
    for (const size_t k : {size_t{1}, size_t{2}, size_t{64}}) {
      ExpectTopK(c, blocks, query, 1, sorted,
                 {k, TieOrder::kNewestFirst, ResultOrder::kSorted, true});
    }
  }
}

// (sum * row scale) * query scale: other ways to place the brackets round to other scores.
TEST_P(DotI8Test, OrderOfTheTwoProducts) {
  size_t differ = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Case c{64, 3, kRandom, 0, seed};
    const reference::I8Matrix rows = MakeMatrix(c, 64, false);
    const reference::I8Matrix query = MakeMatrix(c, 1, true);
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
  Buffer<uint8_t> scratch(simd::DotI8TopKScratchBytes(0, 4));
  Buffer<int32_t> positions(4, 0, 16);
  Buffer<float> scores(4, 0, 16);
  EXPECT_EQ(simd::DotI8TopK({nullptr, nullptr, 0, 3}, {query, &scale, 1, 3},
                            {4, TieOrder::kNewestFirst, ResultOrder::kSorted}, scratch.data(),
                            {positions.data(), scores.data()}),
            0u);
  EXPECT_TRUE(positions.Untouched(0, 4));
  EXPECT_TRUE(scores.Untouched(0, 4));
  simd::DotI8Scores({nullptr, nullptr, 0, 3}, {query, &scale, 1, 3}, nullptr, 0);
  simd::PackI8Blocks({nullptr, nullptr, 0, 3, 3}, nullptr, nullptr);
}

}  // namespace
}  // namespace eta::test
