// SPDX-License-Identifier: Apache-2.0
// Top-K of simd/hamming.h against core/reference/hamming.h on every target.
#include "core/reference/hamming.h"
#include "simd/hamming.h"
#include "tests/support/hamming_cases.h"
#include "tests/support/target_test_util.h"
#include "tests/support/topk_calls.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

// Every pattern at a few sizes where all of them differ; with every padding at the smaller ones.
std::vector<HammingCase> PatternSweep() {
  constexpr std::pair<size_t, size_t> kSizes[] = {{64, 64},  {65, 128},   {129, 256}, {129, 130},
                                                  {700, 64}, {1000, 248}, {3000, 300}};
  std::vector<HammingCase> cases;
  for (const auto& [n, bits] : kSizes) {
    for (int pattern = 0; pattern < kHammingPatterns; ++pattern) {
      for (int padding = 0; padding < kHammingPaddings; ++padding) {
        if (n > 200 && padding != pattern % kHammingPaddings) continue;
        cases.push_back({n, bits, static_cast<HammingPattern>(pattern),
                         static_cast<HammingPadding>(padding), 0, 7 * cases.size()});
      }
    }
  }
  return cases;
}

Ranking<uint16_t> Ranked(const HammingData& data, const Code& query, TieOrder ties) {
  Ranking<uint16_t> ranking;
  const size_t n = data.codes.size() / query.size();
  for (const auto& row : reference::HammingTopK(data.codes, query, n, ties)) {
    ranking.push_back({row.position, static_cast<uint16_t>(row.distance)});
  }
  return ranking;
}

// Runs one call on `queries` and compares each row with its ranking.
void ExpectHammingTopK(const HammingCase& c, Buffer<uint8_t>& blocks,
                       const std::vector<Code>& queries,
                       const std::vector<Ranking<uint16_t>>& rankings, const TopKCall& call) {
  SCOPED_TRACE(c);
  std::vector<uint8_t> dense;
  for (const auto& query : queries) dense.insert(dense.end(), query.begin(), query.end());
  const size_t stride = c.code_bytes() + (queries.size() > 1 ? c.seed % 3 : 0);
  Buffer<uint8_t> codes(WithStride<uint8_t>(dense, c.code_bytes(), stride, 0xA5), c.offset);
  const size_t k = call.options.k;
  ExpectTopK<uint16_t>(
      call, {c.n, simd::HammingTopKScratchBytes(c.n, c.code_bytes(), k), c.offset, c.seed + k},
      rankings, [&](const auto& options, void* scratch, const auto& result) {
        return simd::HammingTopK({blocks.data(), c.n, c.code_bytes()},
                                 {codes.data(), queries.size(), stride}, options, scratch, result);
      });
}

// All ks, tie orders and result orders of one data set and query list.
void ExpectTopKOfAllKinds(const HammingCase& c, const HammingData& data,
                          const std::vector<Code>& queries) {
  Buffer<uint8_t> blocks = MakeHammingBlocks(c, data);
  for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
    std::vector<Ranking<uint16_t>> rankings;
    for (const auto& query : queries) rankings.push_back(Ranked(data, query, ties));
    ForEachTopKCall(SomeK(c.n), ties, c.seed, [&](const TopKCall& call, uint64_t) {
      ExpectHammingTopK(c, blocks, queries, rankings, call);
    });
  }
}

class HammingTopKTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(HammingTopKTest);

TEST_P(HammingTopKTest, TopK) {
  for (const HammingCase& c : HammingSweep()) {
    const HammingData data = MakeHammingData(c);
    ExpectTopKOfAllKinds(c, data, {data.query});
  }
}

TEST_P(HammingTopKTest, TopKOfEveryPatternAndPadding) {
  for (const HammingCase& c : PatternSweep()) {
    const HammingData data = MakeHammingData(c);
    ExpectTopKOfAllKinds(c, data, {data.query});
  }
}

TEST_P(HammingTopKTest, TopKOfWidestCodesFarthestAway) {
  for (const size_t bits : {size_t{248}, size_t{249}, size_t{2040}, size_t{4096}}) {
    for (const HammingPattern pattern : {kComplement, kPlanted, kIncreasing}) {
      const HammingCase c{300, bits, pattern, kNearest, 1, bits};
      const HammingData data = MakeHammingData(c);
      ExpectTopKOfAllKinds(c, data, {data.query});
    }
  }
}

// Distances about 255, where a byte saturates: the K-th on either side of it, near and far queries
// in turn, in histories of one chunk and of several.
TEST_P(HammingTopKTest, TopKWhereByteDistancesSaturate) {
  for (const size_t bits : {size_t{256}, size_t{264}, size_t{384}, size_t{392}}) {
    for (const size_t n : {size_t{70}, size_t{200}, size_t{2100}}) {
      const HammingCase c{n, bits, kRandom, kNearest, 1, n + bits};
      HammingData data = MakeHammingData(c);
      for (size_t i = 0; i < n; ++i) {
        // 5 rows at each distance from 248 to 256, the others up to 8 bits farther if there are.
        const size_t step = i < 45 ? i / 5 : 8 + i % 9;
        const size_t distance = std::min(248 + step, bits);
        Code code = data.query;
        for (size_t bit = 0; bit < distance; ++bit) {
          code[bit / 8] = static_cast<uint8_t>(code[bit / 8] ^ (1 << bit % 8));
        }
        const size_t row = (i * 31) % n;  // 31 divides none of the sizes
        std::ranges::copy(code, data.codes.begin() + static_cast<ptrdiff_t>(row * code.size()));
      }
      Code near = data.query;
      for (size_t bit = 0; bit < 100; ++bit) {
        near[bit / 8] = static_cast<uint8_t>(near[bit / 8] ^ (1 << bit % 8));
      }
      Buffer<uint8_t> blocks = MakeHammingBlocks(c, data);
      const std::vector<Code> queries = {data.query, near, data.query};
      for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
        std::vector<Ranking<uint16_t>> rankings;
        for (const Code& query : queries) {
          rankings.push_back(Ranked(data, query, ties));
        }
        for (const size_t k : {size_t{1}, size_t{34}, size_t{35}, size_t{36}, size_t{40},
                               size_t{41}, size_t{60}, n}) {
          ExpectHammingTopK(c, blocks, queries, rankings, {{k, ties, ResultOrder::kSorted}, true});
          ExpectHammingTopK(c, blocks, queries, rankings, {{k, ties, ResultOrder::kAny}, false});
        }
      }
    }
  }
}

// Queries of one call differ as much as they can, so that anything carried over from one to the
// next (a threshold, a histogram) would show.
TEST_P(HammingTopKTest, SeveralQueriesAreAsSingleCalls) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{65}, size_t{1000}, size_t{3000}}) {
    for (const size_t bits : {size_t{8}, size_t{64}, size_t{100}, size_t{256}, size_t{520}}) {
      const auto pattern = static_cast<HammingPattern>((n + bits) % kHammingPatterns);
      const HammingCase c{n, bits, pattern, kNearest, 1, n + bits};
      const HammingData data = MakeHammingData(c);
      Rng rng(c.seed);
      std::vector<Code> queries = {data.query, data.query};
      for (uint8_t& byte : queries[1]) byte = static_cast<uint8_t>(~byte);
      queries.push_back(data.query);
      for (int i = 0; i < 6; ++i) queries.push_back(RandomCode(rng, bits));
      for (const size_t take : {size_t{0}, size_t{2}, size_t{3}, size_t{9}}) {
        ExpectTopKOfAllKinds(c, data, {queries.begin(), queries.begin() + take});
      }
    }
  }
}

// More queries than a kernel would take at once, over a history larger than the L1 cache.
TEST_P(HammingTopKTest, ManyQueriesOverALongHistory) {
  for (const size_t bits : {size_t{64}, size_t{256}}) {
    for (const HammingPattern pattern : {kRandom, kIncreasing, kPlanted}) {
      const HammingCase c{4500, bits, pattern, kNearest, 2, bits + pattern};
      const HammingData data = MakeHammingData(c);
      Buffer<uint8_t> blocks = MakeHammingBlocks(c, data);
      Rng rng(c.seed);
      std::vector<Code> queries;
      for (size_t q = 0; q < 35; ++q) {
        queries.push_back(q % 3 == 0 ? RandomCode(rng, bits) : data.query);
        if (q % 3 == 1) queries.back()[0] = static_cast<uint8_t>(~queries.back()[0]);
      }
      for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
        std::vector<Ranking<uint16_t>> rankings;
        for (const Code& query : queries) {
          rankings.push_back(Ranked(data, query, ties));
        }
        ExpectHammingTopK(c, blocks, queries, rankings, {{64, ties, ResultOrder::kSorted}, true});
        ExpectHammingTopK(c, blocks, queries, rankings, {{1, ties, ResultOrder::kAny}, true});
        ExpectHammingTopK(c, blocks, queries, rankings, {{4499, ties, ResultOrder::kAny}, false});
      }
    }
  }
}

// One near code among far ones, at each position in turn: no lane or block is left out.
TEST_P(HammingTopKTest, OneNearCodeAnywhere) {
  for (const size_t bits : {size_t{64}, size_t{256}}) {
    for (size_t at = 0; at < 150; ++at) {
      HammingCase c{150, bits, kComplement, kA5, 0, at};
      HammingData data = MakeHammingData(c);
      std::ranges::copy(data.query, data.codes.begin() + at * c.code_bytes());
      Buffer<uint8_t> blocks = MakeHammingBlocks(c, data);
      const std::vector<Code> queries = {data.query};
      for (const size_t k : {size_t{1}, size_t{2}, size_t{64}}) {
        const std::vector<Ranking<uint16_t>> rankings = {
            Ranked(data, data.query, TieOrder::kNewestFirst)};
        ExpectHammingTopK(c, blocks, queries, rankings,
                          {{k, TieOrder::kNewestFirst, ResultOrder::kSorted}, true});
      }
    }
  }
}

TEST_P(HammingTopKTest, NoBehavioursNeedNoScratch) {
  for (const size_t k : {size_t{1}, size_t{64}}) {
    uint8_t query[8] = {0};
    Buffer<uint8_t> scratch(simd::HammingTopKScratchBytes(0, 8, k));
    Buffer<int32_t> positions(k, 0, 16);
    Buffer<uint16_t> distances(k, 0, 16);
    EXPECT_EQ(
        simd::HammingTopK({nullptr, 0, 8}, {query, 1, 8}, {.k = k, .order = ResultOrder::kSorted},
                          scratch.data(), {positions.data(), distances.data()}),
        0u);
    EXPECT_TRUE(positions.Untouched(0, k));
    EXPECT_TRUE(distances.Untouched(0, k));
  }
}

// The tie rule in literals, so that kernel and oracle cannot agree on another.
TEST_P(HammingTopKTest, TiesByHand) {
  const HammingCase c{5, 8, kRandom, kNearest, 0, 1};
  const HammingData data{{0x01, 0x00, 0x03, 0x02, 0x00}, {0x00}};  // distances 1 0 2 1 0
  Buffer<uint8_t> blocks = MakeHammingBlocks(c, data);
  const auto top3 = [&](TieOrder ties) {
    Buffer<uint8_t> scratch(simd::HammingTopKScratchBytes(5, 1, 3));
    std::vector<int32_t> positions(3);
    simd::HammingTopK({blocks.data(), 5, 1}, {data.query.data(), 1, 1},
                      {3, ties, ResultOrder::kSorted}, scratch.data(), {positions.data()});
    return positions;
  };
  EXPECT_EQ(top3(TieOrder::kNewestFirst), (std::vector<int32_t>{4, 1, 3}));
  EXPECT_EQ(top3(TieOrder::kOldestFirst), (std::vector<int32_t>{1, 4, 0}));
}

}  // namespace
}  // namespace eta::test
