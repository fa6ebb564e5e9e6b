// SPDX-License-Identifier: Apache-2.0
// simd/dot.h against core/reference/dot.h on every target.
#include "simd/dot.h"

#include <limits>
#include <ostream>

#include "core/reference/code_blocks.h"
#include "core/reference/dot.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

constexpr size_t kCounts[] = {0, 1, 2, 15, 63, 64, 65, 127, 128, 129, 1000, 1024, 4097, 20000};
constexpr size_t kDims[] = {1, 2, 3, 4, 5, 15, 16, 17, 64, 100, 128, 300};

// What rows and queries hold, and so what the scores look like.
enum Pattern {
  kIntegers,    // small integers: exact sums, many ties
  kBells,       // rounded sums, hardly a tie
  kHard,        // NaN, infinities, denormals, huge values
  kAllEqual,    // one row, repeated
  kIncreasing,  // the newest has the largest score
  kDecreasing,  // the oldest has
  kOutlier,     // one score far above the rest, which differ in their last bits
  kPatterns
};

constexpr float kPaddings[] = {0.0f, kNan, kInf, -kInf, 1e30f};  // what fills the last block

struct Case {
  size_t n, dim;
  Pattern pattern;
  size_t padding;  // index into kPaddings
  size_t offset;   // elements by which every array is misaligned
  uint64_t seed;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " dim=" << c.dim << " pattern=" << c.pattern
               << " padding=" << kPaddings[c.padding] << " offset=" << c.offset
               << " seed=" << c.seed;
  }
};

struct Data {
  std::vector<float> rows;     // n x dim
  std::vector<float> queries;  // num_queries x dim
};

// Factors by which the first row is scaled to make the others, for the patterns that do so.
float FactorOfRow(const Case& c, size_t i) {
  switch (c.pattern) {
    case kIncreasing:
      return static_cast<float>(i + 1);
    case kDecreasing:
      return static_cast<float>(c.n - i);
    case kOutlier:
      return i == c.n / 3 ? 1e9f : 1.0f + static_cast<float>(i % 17) * 0x1p-23f;
    default:
      return 1.0f;
  }
}

Data MakeData(const Case& c, size_t num_queries) {
  Rng rng(c.seed);
  Data data;
  switch (c.pattern) {
    case kIntegers:
      data.rows = MakeFloats(c.n * c.dim, [&] { return SmallInteger(rng, 3); });
      data.queries = MakeFloats(num_queries * c.dim, [&] { return SmallInteger(rng, 3); });
      return data;
    case kBells:
      data.rows = MakeFloats(c.n * c.dim, [&] { return BellFloat(rng); });
      data.queries = MakeFloats(num_queries * c.dim, [&] { return BellFloat(rng); });
      return data;
    case kHard:
      data.rows = HardRows(rng, c.n, c.dim);
      data.queries = HardRows(rng, num_queries, c.dim);
      return data;
    default:
      break;
  }
  const auto first = MakeFloats(c.dim, [&] { return BellFloat(rng); });
  for (size_t i = 0; i < c.n; ++i) {
    for (const float value : first) data.rows.push_back(value * FactorOfRow(c, i));
  }
  for (size_t q = 0; q < num_queries; ++q) {  // of both signs, so that the order turns round
    for (const float value : first) data.queries.push_back(q % 2 == 0 ? value : -value);
  }
  return data;
}

// The blocks of the rows, made without the kernels, with something in the unused rows.
Buffer<float> MakeBlocks(const Case& c, const Data& data) {
  std::vector<float> blocks = reference::PackFloatBlocks(data.rows, c.dim);
  for (size_t i = c.n; i < reference::RoundUpToBlocks(c.n); ++i) {
    for (size_t d = 0; d < c.dim; ++d) {
      blocks[reference::BlockIndex(i, d, c.dim)] = kPaddings[c.padding];
    }
  }
  return Buffer<float>(std::span<const float>(blocks), c.offset);
}

// Every pair of count and dim; patterns, paddings and offsets take turns. The largest products are
// left out to keep the test short.
std::vector<Case> Sweep() {
  std::vector<Case> cases;
  for (size_t a = 0; a < std::size(kCounts); ++a) {
    for (size_t b = 0; b < std::size(kDims); ++b) {
      if (kCounts[a] * kDims[b] > 60000) continue;
      const auto pattern = static_cast<Pattern>((a + b) % kPatterns);
      const size_t padding = (a + 2 * b) % std::size(kPaddings);
      cases.push_back({kCounts[a], kDims[b], pattern, padding, (a + b) % 4, 100 * a + b});
    }
  }
  return cases;
}

// Every pattern with every padding at a few sizes; one padding each at a large one.
std::vector<Case> PatternSweep() {
  std::vector<Case> cases;
  for (const size_t n : {size_t{65}, size_t{130}, size_t{700}, size_t{2500}}) {
    for (int pattern = 0; pattern < kPatterns; ++pattern) {
      for (size_t padding = 0; padding < std::size(kPaddings); ++padding) {
        if (n > 1000 && padding != static_cast<size_t>(pattern) % std::size(kPaddings)) continue;
        const size_t dim = 3 + cases.size() % 15;
        cases.push_back({n, dim, static_cast<Pattern>(pattern), padding, 0, cases.size()});
      }
    }
  }
  return cases;
}

// About n and the usual K. Sorting long lists whole is left to the middle sizes, for time.
std::vector<size_t> SomeK(size_t n) {
  if (n > 2000) return {1, 64, 100, n - 1};
  std::vector<size_t> ks = {1, 2, 48, 64, 100, n + 1};
  if (n > 0) ks.push_back(n);
  if (n > 1) ks.push_back(n - 1);
  std::ranges::sort(ks);
  ks.erase(std::unique(ks.begin(), ks.end()), ks.end());
  return ks;
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
  SortedList expected(sorted.begin(), sorted.begin() + count);
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
    if (actual[i].position == expected[i].position && Same(actual[i].score, expected[i].score)) {
      continue;
    }
    ADD_FAILURE() << "first mismatch at " << i << " of " << count << ": position "
                  << actual[i].position << " with score " << actual[i].score << ", expected "
                  << expected[i].position << " with " << expected[i].score;
    return;
  }
}

// Runs one call on the first `num_queries` queries and compares each row with `sorted`.
void ExpectTopK(const Case& c, Buffer<float>& blocks, const Data& data, size_t num_queries,
                const std::vector<SortedList>& sorted, const Call& call) {
  SCOPED_TRACE(c);
  SCOPED_TRACE(call);
  const size_t stride = c.dim + c.seed % 3;
  const std::span<const float> dense(data.queries.data(), num_queries * c.dim);
  Buffer<float> queries(WithStride<float>(dense, c.dim, stride, kNan), c.offset);
  Buffer<uint8_t> scratch =
      MakeScratch(simd::DotTopKScratchBytes(c.n, call.k), c.offset, c.seed + call.k);
  Buffer<int32_t> positions(num_queries * call.k, c.offset, 16);
  Buffer<float> scores(call.want_scores ? positions.size() : 0, c.offset, 16);
  float* out = call.want_scores ? scores.data() : nullptr;
  const size_t count =
      simd::DotTopK({blocks.data(), c.n, c.dim}, {queries.data(), num_queries, stride},
                    {call.k, call.ties, call.order}, scratch.data(), {positions.data(), out});
  ASSERT_EQ(count, std::min(call.k, c.n));
  for (size_t q = 0; q < num_queries; ++q) {
    SCOPED_TRACE(::testing::Message() << "query " << q << " of " << num_queries);
    const size_t row = q * call.k;
    ExpectNeighbors(call, positions.data() + row, out == nullptr ? out : out + row, sorted[q]);
    EXPECT_TRUE(positions.Untouched(row + count, row + call.k));
    EXPECT_TRUE(out == nullptr || scores.Untouched(row + count, row + call.k));
  }
}

// All ks, tie orders and result orders of one data set, for each number of queries.
void ExpectTopKOfAllKinds(const Case& c, const Data& data, std::vector<size_t> numbers_of_queries) {
  Buffer<float> blocks = MakeBlocks(c, data);
  for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
    std::vector<SortedList> sorted;
    for (size_t q = 0; q * c.dim < data.queries.size(); ++q) {
      const std::span<const float> query(data.queries.data() + q * c.dim, c.dim);
      sorted.push_back(reference::DotTopK(data.rows, query, c.n, ties));
    }
    size_t turn = c.seed;
    for (const size_t k : SomeK(c.n)) {
      for (const ResultOrder order : {ResultOrder::kSorted, ResultOrder::kAny}) {
        for (const size_t num_queries : numbers_of_queries) {
          ExpectTopK(c, blocks, data, num_queries, sorted, {k, ties, order, ++turn % 3 != 0});
        }
      }
    }
  }
}

class DotTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(DotTest);

TEST_P(DotTest, PackFloatBlocks) {
  for (const Case& c : Sweep()) {
    SCOPED_TRACE(c);
    const Data data = MakeData(c, 0);
    const size_t stride = c.dim + c.seed % 3;
    Buffer<float> rows(WithStride<float>(data.rows, c.dim, stride, kNan), c.offset);
    Buffer<float> blocks(simd::FloatBlocksSize(c.n, c.dim), c.offset, c.seed % 2 * 16);
    simd::PackFloatBlocks({rows.data(), c.n, c.dim, stride}, blocks.data());
    EXPECT_TRUE(SameValues<float>(blocks.span(), reference::PackFloatBlocks(data.rows, c.dim)));
  }
}

TEST_P(DotTest, GatherFloatBlocks) {
  constexpr size_t kItems = 37;
  for (const Case& c : Sweep()) {
    SCOPED_TRACE(c);
    Rng rng(c.seed);
    const auto dense = MakeFloats(kItems * c.dim, [&] { return BellFloat(rng); });
    const size_t stride = c.dim + c.seed % 3;
    Buffer<float> table(WithStride<float>(dense, c.dim, stride, kNan), c.offset);
    std::vector<int32_t> list;
    for (size_t i = 0; i < c.n; ++i) list.push_back(static_cast<int32_t>(Below(rng, kItems)));
    if (c.n > 1) list.front() = kItems - 1, list.back() = 0;
    Buffer<int32_t> ids{std::span<const int32_t>(list)};
    Buffer<float> blocks(simd::FloatBlocksSize(c.n, c.dim), c.offset, c.seed % 2 * 16);
    simd::GatherFloatBlocks({table.data(), kItems, c.dim, stride}, {ids.data(), c.n},
                            blocks.data());
    EXPECT_TRUE(SameValues<float>(blocks.span(), reference::GatherFloatBlocks(dense, c.dim, list)));
  }
}

TEST_P(DotTest, Scores) {
  for (const Case& c : Sweep()) {
    SCOPED_TRACE(c);
    constexpr size_t kMany[] = {1, 2, 5, 6, 7, 13};
    const size_t num_queries = kMany[c.seed % std::size(kMany)];
    const Data data = MakeData(c, num_queries);
    Buffer<float> blocks = MakeBlocks(c, data);
    const size_t stride = c.dim + c.seed % 3;
    Buffer<float> queries(WithStride<float>(data.queries, c.dim, stride, kNan), c.offset);
    const size_t padded = simd::PaddedRows(c.n);
    const size_t score_stride = padded + c.seed % 2 * 5;
    Buffer<float> scores((num_queries - 1) * score_stride + padded, c.offset, c.seed % 2 * 16);
    simd::DotScores({blocks.data(), c.n, c.dim}, {queries.data(), num_queries, stride},
                    scores.data(), score_stride);
    for (size_t q = 0; q < num_queries; ++q) {
      const std::span<const float> query(data.queries.data() + q * c.dim, c.dim);
      const size_t begin = q * score_stride;
      EXPECT_TRUE(
          SameValues<float>({scores.data() + begin, c.n}, reference::DotScores(data.rows, query)))
          << "query " << q;
      EXPECT_TRUE(q + 1 == num_queries || scores.Untouched(begin + padded, begin + score_stride));
    }
  }
}

TEST_P(DotTest, TopK) {
  for (const Case& c : Sweep()) ExpectTopKOfAllKinds(c, MakeData(c, 1), {1});
}

TEST_P(DotTest, TopKOfEveryPatternAndPadding) {
  for (const Case& c : PatternSweep()) ExpectTopKOfAllKinds(c, MakeData(c, 2), {2});
}

TEST_P(DotTest, SeveralQueriesAreAsSingleCalls) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{65}, size_t{400}}) {
    for (int pattern = 0; pattern < kPatterns; ++pattern) {
      const Case c{n, 17, static_cast<Pattern>(pattern), 1, 1, n};
      ExpectTopKOfAllKinds(c, MakeData(c, 50), {0, 1, 7, 24, 25, 50});
    }
  }
}

// One dimension and the query 1: the scores are the rows, so they can be anything.
void ExpectTopKOfScores(std::vector<float> scores, uint64_t seed) {
  const Case c{scores.size(), 1, kPatterns, 1, 0, seed};
  const Data data{std::move(scores), {1.0f}};
  ExpectTopKOfAllKinds(c, data, {1});
}

TEST_P(DotTest, NanRanksWithMinusInfinity) {
  for (const size_t n : {size_t{1}, size_t{5}, size_t{64}, size_t{200}, size_t{1000}}) {
    Rng rng(n);
    ExpectTopKOfScores(std::vector<float>(n, kNan), n);
    ExpectTopKOfScores(std::vector<float>(n, -kInf), n);
    ExpectTopKOfScores(std::vector<float>(n, kInf), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 2) ? kNan : -kInf; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 2) ? kNan : BellFloat(rng); }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 20) ? kNan : BellFloat(rng); }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 20) ? BellFloat(rng) : kInf; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return AnyFloat(rng); }), n);
    ExpectTopKOfScores(
        MakeFloats(n, [&] { return Below(rng, 2)   ? -kInf
                                   : Below(rng, 2) ? kInf
                                                   : kNan; }), n);
  }
}

// Scores whose mean and spread say little about where the border lies.
TEST_P(DotTest, SkewedScores) {
  for (const size_t n : {size_t{130}, size_t{1000}, size_t{5000}}) {
    Rng rng(n);
    constexpr float kMax = std::numeric_limits<float>::max();
    constexpr float kTiny = std::numeric_limits<float>::denorm_min();
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 2) ? kMax : -kMax; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return kTiny * SmallInteger(rng, 9); }), n);
    ExpectTopKOfScores(
        MakeFloats(n, [&] { return std::ldexp(1.0f, static_cast<int>(Below(rng, 250)) - 125); }),
        n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return 1.0f + 0x1p-23f * SmallInteger(rng, 2); }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 100) ? 0.0f : 1.0f; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 100) ? 1.0f : 0.0f; }), n);
    ExpectTopKOfScores(MakeFloats(n, [&] { return Below(rng, 3) ? -1e-3f : 1e30f; }), n);
  }
}

// A negative product too small for a float rounds to -0, which must tie with the positive one's +0.
TEST_P(DotTest, ZerosOfBothSignsTie) {
  for (const size_t n : {size_t{5}, size_t{64}, size_t{300}}) {
    const Case c{n, 1, kPatterns, 1, 0, n};
    Data data;
    data.queries = {1e-30f};
    size_t negative = 0;
    for (size_t i = 0; i < n; ++i) {
      data.rows.push_back(i % 3 == 0 ? -1e-30f : 1e-30f);
      const float score = reference::Dot({data.queries.data(), 1}, {data.rows.data() + i, 1});
      ASSERT_EQ(score, 0.0f);
      negative += std::signbit(score);
    }
    ASSERT_EQ(negative, (n + 2) / 3);
    ExpectTopKOfAllKinds(c, data, {1});
  }
}

// One high score among low ones, at each position in turn: no lane or block is left out.
TEST_P(DotTest, OneHighScoreAnywhere) {
  for (size_t at = 0; at < 150; ++at) {
    std::vector<float> scores(150, -1.0f);
    scores[at] = 1.0f;
    const Case c{150, 1, kPatterns, 4, 0, at};
    const Data data{scores, {1.0f}};
    Buffer<float> blocks = MakeBlocks(c, data);
    const std::vector<SortedList> sorted = {
        reference::DotTopK(data.rows, data.queries, c.n, TieOrder::kNewestFirst)};
    for (const size_t k : {size_t{1}, size_t{2}, size_t{64}}) {
      const Call call{k, TieOrder::kNewestFirst, ResultOrder::kSorted, true};
      ExpectTopK(c, blocks, data, 1, sorted, call);
    }
  }
}

// One rounding a step: a sum that differs when it is rounded to float, or to double, in between.
// See the same numbers in simhash_test.cc.
TEST_P(DotTest, OneRoundingPerStep) {
  const float ulp = 0x1p-23f;
  const Data data{{1, std::ldexp(33025.0f, -27), 1, std::ldexp(32769.0f, -27)},
                  {1, std::ldexp(32513.0f, -27), 1 + ulp, std::ldexp(32767.0f, -27)}};
  ASSERT_EQ(reference::Dot({data.rows.data(), 2}, {data.queries.data(), 2}), 1 + ulp);
  for (size_t q = 0; q < 2; ++q) {
    const Case c{2, 2, kPatterns, 0, 0, q};
    SCOPED_TRACE(c);
    Buffer<float> blocks = MakeBlocks(c, data);
    Buffer<float> scores(64);
    const float* query = data.queries.data() + 2 * q;
    simd::DotScores({blocks.data(), 2, 2}, {query, 1, 2}, scores.data(), 64);
    EXPECT_TRUE(SameValues<float>({scores.data(), 2}, reference::DotScores(data.rows, {query, 2})));
  }
}

TEST_P(DotTest, NoBehavioursNeedNoMemory) {
  const float query[3] = {1, 2, 3};
  Buffer<uint8_t> scratch(simd::DotTopKScratchBytes(0, 4));
  Buffer<int32_t> positions(4, 0, 16);
  Buffer<float> scores(4, 0, 16);
  EXPECT_EQ(simd::DotTopK({nullptr, 0, 3}, {query, 1, 3},
                          {4, TieOrder::kNewestFirst, ResultOrder::kSorted}, scratch.data(),
                          {positions.data(), scores.data()}),
            0u);
  EXPECT_TRUE(positions.Untouched(0, 4));
  EXPECT_TRUE(scores.Untouched(0, 4));
}

// The order in literals, so that kernel and oracle cannot agree on another.
TEST_P(DotTest, OrderByHand) {
  const Case c{6, 1, kPatterns, 2, 0, 1};
  const Data data{{2, kNan, 5, 2, -kInf, -3}, {1}};
  Buffer<float> blocks = MakeBlocks(c, data);
  const auto all = [&](TieOrder ties) {
    Buffer<uint8_t> scratch(simd::DotTopKScratchBytes(6, 6));
    std::vector<int32_t> positions(6);
    simd::DotTopK({blocks.data(), 6, 1}, {data.queries.data(), 1, 1},
                  {6, ties, ResultOrder::kSorted}, scratch.data(), {positions.data()});
    return positions;
  };
  EXPECT_EQ(all(TieOrder::kNewestFirst), (std::vector<int32_t>{2, 3, 0, 5, 4, 1}));
  EXPECT_EQ(all(TieOrder::kOldestFirst), (std::vector<int32_t>{2, 0, 3, 5, 1, 4}));
}

TEST(DotAcrossTargets, ScoresAreIdentical) {
  for (const Pattern pattern : {kBells, kHard}) {
    const Case c{130, 100, pattern, 0, 0, 42};
    const Data data = MakeData(c, 7);
    Buffer<float> blocks = MakeBlocks(c, data);
    std::vector<float> first;
    for (const int64_t target : SupportedTargetList()) {
      ASSERT_TRUE(simd::ForceTarget(simd::TargetName(target)));
      SCOPED_TRACE(c);
      std::vector<float> scores(7 * 192);
      simd::DotScores({blocks.data(), 130, 100}, {data.queries.data(), 7, 100}, scores.data(), 192);
      if (first.empty()) first = scores;
      EXPECT_TRUE(SameValues<float>(scores, first));
    }
    ASSERT_TRUE(simd::ForceTarget(nullptr));
  }
}

}  // namespace
}  // namespace eta::test
