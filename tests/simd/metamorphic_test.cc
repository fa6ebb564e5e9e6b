// SPDX-License-Identifier: Apache-2.0
// Relations that must hold between two runs of the kernels, whatever the right answer of either is:
// they need no oracle, so they also catch a mistake that kernel and oracle share.
#include <numeric>
#include <ostream>

#include "simd/code_blocks.h"
#include "simd/dot.h"
#include "simd/hamming.h"
#include "simd/simhash.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

using Codes = std::vector<std::vector<uint8_t>>;

struct Neighbor {
  int32_t position;
  uint16_t distance;

  bool operator==(const Neighbor&) const = default;
};

void PrintTo(const Neighbor& neighbor, std::ostream* out) {
  *out << neighbor.position << " at " << neighbor.distance;
}

std::vector<uint8_t> Concatenated(const Codes& codes) {
  std::vector<uint8_t> all;
  for (const auto& code : codes) all.insert(all.end(), code.begin(), code.end());
  return all;
}

std::vector<uint8_t> Packed(const Codes& codes, size_t code_bytes) {
  std::vector<uint8_t> blocks(simd::CodeBlocksBytes(codes.size(), code_bytes));
  const std::vector<uint8_t> rows = Concatenated(codes);
  simd::PackCodeBlocks(simd::DenseRows(rows.data(), codes.size(), code_bytes), blocks.data());
  return blocks;
}

std::vector<Neighbor> TopK(const Codes& codes, const std::vector<uint8_t>& query, size_t k,
                           TieOrder ties = TieOrder::kNewestFirst,
                           ResultOrder order = ResultOrder::kSorted) {
  const size_t code_bytes = query.size();
  const std::vector<uint8_t> blocks = Packed(codes, code_bytes);
  std::vector<uint8_t> scratch(simd::HammingTopKScratchBytes(codes.size(), code_bytes, k));
  std::vector<int32_t> positions(k);
  std::vector<uint16_t> distances(k);
  const size_t count =
      simd::HammingTopK({blocks.data(), codes.size(), code_bytes}, {query.data(), 1, code_bytes},
                        {k, ties, order}, scratch.data(), {positions.data(), distances.data()});
  std::vector<Neighbor> neighbors;
  for (size_t i = 0; i < count; ++i) neighbors.push_back({positions[i], distances[i]});
  return neighbors;
}

std::vector<uint16_t> Distances(const Codes& codes, const std::vector<uint8_t>& query) {
  const std::vector<uint8_t> blocks = Packed(codes, query.size());
  std::vector<uint16_t> distances(simd::PaddedRows(codes.size()));
  simd::HammingDistances({blocks.data(), codes.size(), query.size()}, query.data(),
                         distances.data());
  distances.resize(codes.size());
  return distances;
}

struct Case {
  size_t n, bits, k;
  uint64_t seed;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " bits=" << c.bits << " k=" << c.k << " seed=" << c.seed;
  }
};

constexpr Case kCases[] = {{1, 8, 1, 1},       {63, 16, 10, 2},    {64, 64, 64, 3},
                           {65, 100, 64, 4},   {130, 248, 48, 5},  {1000, 64, 64, 6},
                           {1000, 256, 64, 7}, {1500, 24, 100, 8}, {300, 1024, 30, 9}};

struct Data {
  Codes codes;
  std::vector<uint8_t> query;
};

std::vector<uint8_t> RandomCode(Rng& rng, size_t bits) {
  std::vector<uint8_t> code = RandomBytes(rng, simd::CodeBytes(bits));
  if (bits % 8 != 0) code.back() = static_cast<uint8_t>(code.back() & ((1u << bits % 8) - 1));
  return code;
}

Data MakeData(const Case& c) {
  Rng rng(c.seed);
  Data data;
  data.query = RandomCode(rng, c.bits);
  for (size_t i = 0; i < c.n; ++i) data.codes.push_back(RandomCode(rng, c.bits));
  return data;
}

bool Bit(const std::vector<uint8_t>& code, size_t j) { return (code[j / 8] >> (j % 8) & 1) != 0; }

void Flip(std::vector<uint8_t>& code, size_t j) {
  code[j / 8] = static_cast<uint8_t>(code[j / 8] ^ (1u << j % 8));
}

class MetamorphicTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(MetamorphicTest);

TEST_P(MetamorphicTest, OneMaskOverAllCodesChangesNothing) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c);
    const Data data = MakeData(c);
    Rng rng(c.seed + 100);
    const std::vector<uint8_t> mask = RandomBytes(rng, data.query.size());
    const auto masked = [&](std::vector<uint8_t> code) {
      for (size_t p = 0; p < code.size(); ++p) code[p] = static_cast<uint8_t>(code[p] ^ mask[p]);
      return code;
    };
    Codes codes;
    for (const auto& code : data.codes) codes.push_back(masked(code));
    EXPECT_EQ(Distances(codes, masked(data.query)), Distances(data.codes, data.query));
    EXPECT_EQ(TopK(codes, masked(data.query), c.k), TopK(data.codes, data.query, c.k));
  }
}

TEST_P(MetamorphicTest, OneOrderOfBitsIsAsGoodAsAnother) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c);
    const Data data = MakeData(c);
    Rng rng(c.seed + 200);
    std::vector<size_t> order(c.bits);
    std::iota(order.begin(), order.end(), size_t{0});
    Shuffle(rng, order);
    const auto permuted = [&](const std::vector<uint8_t>& code) {
      std::vector<uint8_t> result(code.size(), 0);
      for (size_t j = 0; j < c.bits; ++j) {
        if (Bit(code, order[j])) Flip(result, j);
      }
      return result;
    };
    Codes codes;
    for (const auto& code : data.codes) codes.push_back(permuted(code));
    EXPECT_EQ(Distances(codes, permuted(data.query)), Distances(data.codes, data.query));
    EXPECT_EQ(TopK(codes, permuted(data.query), c.k), TopK(data.codes, data.query, c.k));
  }
}

TEST_P(MetamorphicTest, OneBitMoreOrLessMovesADistanceByOne) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c);
    Data data = MakeData(c);
    const std::vector<uint16_t> before = Distances(data.codes, data.query);
    std::vector<int> expected;
    for (size_t i = 0; i < c.n; ++i) {
      const size_t j = i * 31 % c.bits;
      const bool equal = Bit(data.codes[i], j) == Bit(data.query, j);
      expected.push_back(before[i] + (equal ? 1 : -1));
      Flip(data.codes[i], j);
    }
    const std::vector<uint16_t> after = Distances(data.codes, data.query);
    EXPECT_EQ(std::vector<int>(after.begin(), after.end()), expected);
  }
}

TEST_P(MetamorphicTest, PermutedRowsHaveTheSameDistances) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c);
    const Data data = MakeData(c);
    Rng rng(c.seed + 300);
    Codes codes = data.codes;
    Shuffle(rng, codes);
    const auto a = TopK(data.codes, data.query, c.k);
    const auto b = TopK(codes, data.query, c.k);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].distance, b[i].distance) << "rank " << i;
      const auto position = static_cast<size_t>(b[i].position);
      ASSERT_EQ(Distances({codes[position]}, data.query)[0], b[i].distance) << "rank " << i;
    }
  }
}

// With distances 0 to n - 1 there are no ties, so that each position can be followed.
TEST_P(MetamorphicTest, PermutedRowsMapBackWhenDistancesAreDistinct) {
  for (const size_t n : {size_t{64}, size_t{129}, size_t{240}}) {
    const Case c{n, 256, n / 2, n};
    SCOPED_TRACE(c);
    Rng rng(c.seed);
    const std::vector<uint8_t> query = RandomCode(rng, c.bits);
    Codes sorted;
    for (size_t i = 0; i < n; ++i) {
      sorted.push_back(query);
      for (size_t j = 0; j < i; ++j) Flip(sorted.back(), j);
    }
    std::vector<size_t> order(n);
    std::iota(order.begin(), order.end(), size_t{0});
    Shuffle(rng, order);
    Codes codes;
    for (const size_t i : order) codes.push_back(sorted[i]);
    const auto top = TopK(codes, query, c.k);
    ASSERT_EQ(top.size(), c.k);
    for (size_t i = 0; i < top.size(); ++i) {
      EXPECT_EQ(order[static_cast<size_t>(top[i].position)], i) << "rank " << i;
    }
  }
}

TEST_P(MetamorphicTest, ACodeIsNearestToItself) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c);
    const Data data = MakeData(c);
    for (size_t i = 0; i < c.n; i += 1 + c.n / 7) {
      EXPECT_EQ(Distances(data.codes, data.codes[i])[i], 0);
      const Neighbor first = TopK(data.codes, data.codes[i], c.k).front();
      EXPECT_EQ(first.distance, 0) << "query " << i;
      EXPECT_EQ(data.codes[static_cast<size_t>(first.position)], data.codes[i]);
      EXPECT_GE(first.position, static_cast<int32_t>(i)) << "a newer equal code comes first";
    }
  }
}

TEST_P(MetamorphicTest, DistanceIsSymmetricAndKeepsTheTriangle) {
  const Case c{130, 100, 1, 4};
  SCOPED_TRACE(c);
  const Data data = MakeData(c);
  const auto from_query = Distances(data.codes, data.query);
  const auto from_first = Distances(data.codes, data.codes[0]);
  for (size_t i = 0; i < c.n; ++i) {
    EXPECT_EQ(Distances({data.query}, data.codes[i])[0], from_query[i]) << i;
    EXPECT_LE(from_query[i], from_query[0] + from_first[i]) << i;
  }
}

TEST_P(MetamorphicTest, AShorterListBeginsALongerOne) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c);
    const Data data = MakeData(c);
    for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
      const auto all = TopK(data.codes, data.query, c.n + 5, ties);
      ASSERT_EQ(all.size(), c.n);
      for (const size_t k : {size_t{1}, c.k / 2 + 1, c.k, c.k + 1}) {
        auto some = TopK(data.codes, data.query, k, ties);
        EXPECT_EQ(some, std::vector(all.begin(), all.begin() + std::min(k, c.n))) << "k=" << k;
      }
    }
  }
}

TEST_P(MetamorphicTest, AnyOrderHoldsTheSameSet) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c);
    const Data data = MakeData(c);
    for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
      auto sorted = TopK(data.codes, data.query, c.k, ties);
      auto any = TopK(data.codes, data.query, c.k, ties, ResultOrder::kAny);
      std::ranges::sort(sorted, {}, &Neighbor::position);
      std::ranges::sort(any, {}, &Neighbor::position);
      EXPECT_EQ(any, sorted);
    }
  }
}

// Old and new change places when the history is turned round.
TEST_P(MetamorphicTest, AReversedHistoryWithTheOtherTieOrderIsMirrored) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c);
    const Data data = MakeData(c);
    auto newest = TopK(data.codes, data.query, c.k, TieOrder::kNewestFirst);
    for (Neighbor& neighbor : newest) {
      neighbor.position = static_cast<int32_t>(c.n) - 1 - neighbor.position;
    }
    const Codes reversed(data.codes.rbegin(), data.codes.rend());
    EXPECT_EQ(TopK(reversed, data.query, c.k, TieOrder::kOldestFirst), newest);
  }
}

// The top K of a history are among the top K of its two parts.
TEST_P(MetamorphicTest, TwoPartsMergeToTheWhole) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c);
    const Data data = MakeData(c);
    const auto whole = TopK(data.codes, data.query, c.k, TieOrder::kOldestFirst);
    const size_t cut = c.n / 3;
    const auto middle = data.codes.begin() + cut;
    auto merged = TopK({data.codes.begin(), middle}, data.query, c.k, TieOrder::kOldestFirst);
    for (Neighbor neighbor :
         TopK({middle, data.codes.end()}, data.query, c.k, TieOrder::kOldestFirst)) {
      neighbor.position += static_cast<int32_t>(cut);
      merged.push_back(neighbor);
    }
    std::ranges::stable_sort(merged, {}, &Neighbor::distance);
    merged.resize(whole.size());
    EXPECT_EQ(merged, whole);
  }
}

struct Ranking {
  std::vector<int32_t> positions;
  std::vector<float> scores;
};

Ranking DotTopK(const std::vector<float>& rows, const std::vector<float>& query, size_t k) {
  const size_t dim = query.size(), n = rows.size() / dim;
  std::vector<float> blocks(simd::FloatBlocksSize(n, dim));
  simd::PackFloatBlocks(simd::DenseRows(rows.data(), n, dim), blocks.data());
  std::vector<uint8_t> scratch(simd::DotTopKScratchBytes(n, k));
  Ranking top{std::vector<int32_t>(k), std::vector<float>(k)};
  const size_t count = simd::DotTopK({blocks.data(), n, dim}, {query.data(), 1, dim},
                                     {k, TieOrder::kNewestFirst, ResultOrder::kSorted},
                                     scratch.data(), {top.positions.data(), top.scores.data()});
  top.positions.resize(count);
  top.scores.resize(count);
  return top;
}

// Powers of two scale every rounding alike.
TEST_P(MetamorphicTest, AScaledQueryRanksTheSame) {
  for (const size_t n : {size_t{65}, size_t{1000}}) {
    Rng rng(n);
    const auto rows = MakeFloats(n * 16, [&] { return BellFloat(rng); });
    auto query = MakeFloats(16, [&] { return BellFloat(rng); });
    const Ranking before = DotTopK(rows, query, 64);
    for (float& value : query) value *= 8;
    const Ranking after = DotTopK(rows, query, 64);
    EXPECT_EQ(after.positions, before.positions) << "n=" << n;
    for (size_t i = 0; i < 64; ++i) EXPECT_EQ(after.scores[i], before.scores[i] * 8) << i;
  }
}

TEST_P(MetamorphicTest, ANegatedQueryTurnsTheRankingRound) {
  constexpr size_t kRows = 500;
  Rng rng(5);
  const auto rows = MakeFloats(kRows * 16, [&] { return BellFloat(rng); });
  auto query = MakeFloats(16, [&] { return BellFloat(rng); });
  Ranking before = DotTopK(rows, query, kRows);
  for (float& value : query) value = -value;
  const Ranking after = DotTopK(rows, query, kRows);
  std::ranges::reverse(before.scores);
  for (size_t i = 0; i < kRows; ++i) EXPECT_EQ(after.scores[i], -before.scores[i]) << i;
}

std::vector<uint8_t> Encode(const std::vector<float>& x, size_t dim,
                            const std::vector<float>& planes, size_t bits) {
  std::vector<float> packed(simd::PackedHyperplanesSize(dim, bits));
  simd::PackHyperplanes(simd::DenseRows(planes.data(), dim, bits), packed.data());
  const size_t code_bytes = simd::CodeBytes(bits);
  std::vector<uint8_t> codes(x.size() / dim * code_bytes);
  simd::SimHashEncode(simd::DenseRows(x.data(), x.size() / dim, dim), {packed.data(), dim, bits},
                      codes.data(), code_bytes);
  return codes;
}

TEST_P(MetamorphicTest, ScaleLeavesACodeAndNegationInvertsIt) {
  constexpr size_t kDim = 33, kBits = 100;
  Rng rng(9);
  const auto planes = MakeFloats(kDim * kBits, [&] { return BellFloat(rng); });
  auto x = MakeFloats(13 * kDim, [&] { return BellFloat(rng); });
  const std::vector<uint8_t> codes = Encode(x, kDim, planes, kBits);
  for (float& value : x) value *= 0.25f;
  EXPECT_EQ(Encode(x, kDim, planes, kBits), codes);
  for (float& value : x) value = -value;
  const std::vector<uint8_t> negated = Encode(x, kDim, planes, kBits);
  for (size_t i = 0; i < codes.size(); ++i) {
    const unsigned bits = i % 13 == 12 ? 0x0F : 0xFF;  // 100 bits: half of the last byte
    ASSERT_EQ(codes[i] ^ negated[i], bits) << "byte " << i;
  }
}

TEST_P(MetamorphicTest, PermutedHyperplanesPermuteTheBits) {
  constexpr size_t kDim = 20, kBits = 150;
  Rng rng(10);
  const auto planes = MakeFloats(kDim * kBits, [&] { return BellFloat(rng); });
  const auto x = MakeFloats(kDim, [&] { return BellFloat(rng); });
  std::vector<size_t> order(kBits);
  std::iota(order.begin(), order.end(), size_t{0});
  Shuffle(rng, order);
  std::vector<float> permuted(planes.size());
  for (size_t d = 0; d < kDim; ++d) {
    for (size_t j = 0; j < kBits; ++j) permuted[d * kBits + j] = planes[d * kBits + order[j]];
  }
  const auto before = Encode(x, kDim, planes, kBits);
  const auto after = Encode(x, kDim, permuted, kBits);
  for (size_t j = 0; j < kBits; ++j) EXPECT_EQ(Bit(after, j), Bit(before, order[j])) << "bit " << j;
}

}  // namespace
}  // namespace eta::test
