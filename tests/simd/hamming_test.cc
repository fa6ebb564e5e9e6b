// SPDX-License-Identifier: Apache-2.0
// simd/hamming.h against core/reference/hamming.h on every target.
#include "simd/hamming.h"

#include <ostream>

#include "core/reference/code_blocks.h"
#include "core/reference/hamming.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

constexpr size_t kCounts[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 1000, 1024, 4097, 20000};
constexpr size_t kBits[] = {1,   7,   8,   9,   15,  16,  17,  31,  32,  33,  63,   64,  65,
                            100, 127, 128, 129, 248, 249, 255, 256, 257, 512, 1024, 4096};

// How the distances to the query run over the positions.
enum Pattern {
  kRandom,
  kSelf,         // all 0
  kAllEqual,     // all in the middle
  kComplement,   // all as large as can be
  kIncreasing,   // the newest is farthest
  kDecreasing,   // the newest is nearest
  kTwoLevels,    // two neighbouring distances, at random: a border full of ties
  kAllDistinct,  // as far as there are enough bits
  kPlanted,      // all farthest save a few at the edges of vectors and blocks
  kPatterns
};

enum Padding { kZeros, kA5, kNoise, kNearest, kPaddings };  // what fills the last block

struct Case {
  size_t n, bits;
  Pattern pattern;
  Padding padding;
  size_t offset;  // elements by which blocks, query and scratch are misaligned
  uint64_t seed;

  size_t code_bytes() const { return (bits + 7) / 8; }
  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " bits=" << c.bits << " pattern=" << c.pattern << " padding=" << c.padding
               << " offset=" << c.offset << " seed=" << c.seed;
  }
};

using Code = std::vector<uint8_t>;
using SortedList = std::vector<reference::HammingNeighbor>;  // all positions, nearest first

Code RandomCode(Rng& rng, size_t bits) {
  Code code = RandomBytes(rng, (bits + 7) / 8);
  if (bits % 8 != 0) code.back() = static_cast<uint8_t>(code.back() & ((1u << bits % 8) - 1));
  return code;
}

// The distance that the pattern gives to position i.
size_t PlannedDistance(const Case& c, size_t i, Rng& rng) {
  constexpr size_t kEdges[] = {0, 1, 15, 16, 31, 32, 33, 62, 63, 64, 65, 127, 128, 191, 192};
  const size_t last = std::max<size_t>(c.n, 2) - 1;
  switch (c.pattern) {
    case kSelf:
      return 0;
    case kAllEqual:
      return c.bits / 2;
    case kIncreasing:
      return i * c.bits / last;
    case kDecreasing:
      return (c.n - 1 - i) * c.bits / last;
    case kTwoLevels:
      return c.bits / 2 + Below(rng, 2);
    case kAllDistinct:
      return (i * 7919) % (c.bits + 1);  // a prime above every width: a permutation of distances
    case kPlanted: {
      const bool edge = std::ranges::count(kEdges, i) != 0 || i + 2 >= c.n;
      return edge ? std::min(c.bits, 1 + i % 5) : c.bits;
    }
    default:
      return c.bits;
  }
}

struct Data {
  std::vector<uint8_t> codes;  // n x code_bytes
  Code query;
};

Data MakeData(const Case& c) {
  Rng rng(c.seed);
  Data data;
  data.query = RandomCode(rng, c.bits);
  for (size_t i = 0; i < c.n; ++i) {
    Code code = data.query;
    if (c.pattern == kRandom) {
      code = RandomCode(rng, c.bits);
    } else {
      // A run of differing bits that starts anywhere and wraps round.
      const size_t first = Below(rng, c.bits);
      const size_t distance = std::min(c.bits, PlannedDistance(c, i, rng));
      for (size_t t = 0; t < distance; ++t) {
        const size_t j = (first + t) % c.bits;
        code[j / 8] = static_cast<uint8_t>(code[j / 8] ^ (1u << j % 8));
      }
    }
    data.codes.insert(data.codes.end(), code.begin(), code.end());
  }
  return data;
}

// The blocks of the codes, made without the kernels, with something in the unused rows.
Buffer<uint8_t> MakeBlocks(const Case& c, const Data& data) {
  std::vector<uint8_t> blocks = reference::PackCodeBlocks(data.codes, c.code_bytes());
  Rng rng(c.seed + 1);
  for (size_t i = c.n; i < reference::RoundUpToBlocks(c.n); ++i) {
    for (size_t p = 0; p < c.code_bytes(); ++p) {
      uint8_t& byte = blocks[reference::BlockIndex(i, p, c.code_bytes())];
      byte = c.padding == kZeros     ? uint8_t{0}
             : c.padding == kA5      ? uint8_t{0xA5}
             : c.padding == kNearest ? data.query[p]
                                     : static_cast<uint8_t>(rng());
    }
  }
  return Buffer<uint8_t>(std::span<const uint8_t>(blocks), c.offset);
}

// Every pair of count and width; patterns, paddings and offsets take turns. Widths for which the
// codes would not fit the test's time are left to the smaller counts.
std::vector<Case> Sweep() {
  std::vector<Case> cases;
  for (size_t a = 0; a < std::size(kCounts); ++a) {
    for (size_t b = 0; b < std::size(kBits); ++b) {
      const auto pattern = static_cast<Pattern>((a + b) % kPatterns);
      const auto padding = static_cast<Padding>((a + 3 * b) % kPaddings);
      if (kCounts[a] * kBits[b] > 2100000) continue;
      cases.push_back({kCounts[a], kBits[b], pattern, padding, (a + b) % 4 * 3, 100 * a + b});
    }
  }
  return cases;
}

// Every pattern at a few sizes where all of them differ; with every padding at the smaller ones.
std::vector<Case> PatternSweep() {
  constexpr std::pair<size_t, size_t> kSizes[] = {{64, 64},  {65, 128},   {129, 256}, {129, 130},
                                                  {700, 64}, {1000, 248}, {3000, 300}};
  std::vector<Case> cases;
  for (const auto& [n, bits] : kSizes) {
    for (int pattern = 0; pattern < kPatterns; ++pattern) {
      for (int padding = 0; padding < kPaddings; ++padding) {
        if (n > 200 && padding != pattern % kPaddings) continue;
        cases.push_back({n, bits, static_cast<Pattern>(pattern), static_cast<Padding>(padding), 0,
                         7 * cases.size()});
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
  bool want_distances;

  friend std::ostream& operator<<(std::ostream& out, const Call& call) {
    return out << "k=" << call.k << (call.ties == TieOrder::kNewestFirst ? " newest" : " oldest")
               << " first, " << (call.order == ResultOrder::kSorted ? "sorted" : "any order")
               << (call.want_distances ? "" : ", no distances");
  }
};

// Compares one row of results with the first entries of the fully sorted list; for kAny both are
// put in the order of positions first.
void ExpectNeighbors(const Call& call, std::span<const int32_t> positions,
                     const uint16_t* distances, const SortedList& sorted) {
  const size_t count = std::min(call.k, sorted.size());
  std::vector<reference::HammingNeighbor> expected(sorted.begin(), sorted.begin() + count);
  std::vector<reference::HammingNeighbor> actual;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t distance = distances == nullptr ? 0 : distances[i];
    actual.push_back({positions[i], distance});
    if (distances == nullptr) expected[i].distance = 0;
  }
  if (call.order == ResultOrder::kAny) {
    std::ranges::sort(expected, {}, &reference::HammingNeighbor::position);
    std::ranges::sort(actual, {}, &reference::HammingNeighbor::position);
  }
  const size_t same = std::ranges::mismatch(actual, expected).in1 - actual.begin();
  if (same == count) return;
  ADD_FAILURE() << "first mismatch at " << same << " of " << count << ": position "
                << actual[same].position << " at distance " << actual[same].distance
                << ", expected " << expected[same].position << " at " << expected[same].distance;
}

// Runs one call on `queries` and compares each row with `sorted`, the reference's full lists.
void ExpectTopK(const Case& c, Buffer<uint8_t>& blocks, const std::vector<Code>& queries,
                const std::vector<SortedList>& sorted, const Call& call) {
  SCOPED_TRACE(c);
  SCOPED_TRACE(call);
  std::vector<uint8_t> dense;
  for (const auto& query : queries) dense.insert(dense.end(), query.begin(), query.end());
  const size_t stride = c.code_bytes() + (queries.size() > 1 ? c.seed % 3 : 0);
  const auto strided = WithStride<uint8_t>(dense, c.code_bytes(), stride, 0xA5);
  Buffer<uint8_t> query(std::span<const uint8_t>(strided), c.offset);
  Buffer<uint8_t> scratch = MakeScratch(simd::HammingTopKScratchBytes(c.n, c.code_bytes(), call.k),
                                        c.offset, c.seed + call.k);
  Buffer<int32_t> positions(queries.size() * call.k, c.offset, 16);
  Buffer<uint16_t> distances(call.want_distances ? positions.size() : 0, c.offset, 16);
  uint16_t* out = call.want_distances ? distances.data() : nullptr;
  const size_t count = simd::HammingTopK(
      {blocks.data(), c.n, c.code_bytes()}, {query.data(), queries.size(), stride},
      {call.k, call.ties, call.order}, scratch.data(), {positions.data(), out});
  ASSERT_EQ(count, std::min(call.k, c.n));
  for (size_t q = 0; q < queries.size(); ++q) {
    SCOPED_TRACE(::testing::Message() << "query " << q << " of " << queries.size());
    const size_t row = q * call.k;
    ExpectNeighbors(call, {positions.data() + row, call.k}, out == nullptr ? out : out + row,
                    sorted[q]);
    EXPECT_TRUE(positions.Untouched(row + count, row + call.k));
    EXPECT_TRUE(out == nullptr || distances.Untouched(row + count, row + call.k));
  }
}

// All ks, tie orders and result orders of one data set and query list.
void ExpectTopKOfAllKinds(const Case& c, const Data& data, const std::vector<Code>& queries) {
  Buffer<uint8_t> blocks = MakeBlocks(c, data);
  for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
    std::vector<SortedList> sorted;
    for (const auto& query : queries) {
      sorted.push_back(reference::HammingTopK(data.codes, query, c.n, ties));
    }
    size_t turn = c.seed;
    for (const size_t k : SomeK(c.n)) {
      for (const ResultOrder order : {ResultOrder::kSorted, ResultOrder::kAny}) {
        ExpectTopK(c, blocks, queries, sorted, {k, ties, order, ++turn % 3 != 0});
      }
    }
  }
}

class HammingTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(HammingTest);

template <class T>
void ExpectDistances(const Case& c) {
  SCOPED_TRACE(c);
  const Data data = MakeData(c);
  Buffer<uint8_t> blocks = MakeBlocks(c, data);
  Buffer<uint8_t> query(std::span<const uint8_t>(data.query), c.offset);
  Buffer<T> distances(simd::PaddedRows(c.n), c.offset, c.seed % 2 * 64);
  simd::HammingDistances({blocks.data(), c.n, c.code_bytes()}, query.data(), distances.data());
  const auto wide = reference::HammingDistances(data.codes, data.query);
  const std::vector<T> expected(wide.begin(), wide.end());
  EXPECT_TRUE(SameValues<T>({distances.data(), c.n}, expected));
}

TEST_P(HammingTest, ByteDistances) {
  for (const Case& c : Sweep()) {
    if (c.code_bytes() <= simd::kMaxByteDistanceCodeBytes) ExpectDistances<uint8_t>(c);
  }
}

TEST_P(HammingTest, WordDistances) {
  for (const Case& c : Sweep()) ExpectDistances<uint16_t>(c);
}

// All bits differ, at every width about which a partial sum in a byte could overflow.
TEST_P(HammingTest, LargestDistances) {
  std::vector<size_t> widths = {126, 127, 128, 254, 255, 256, 257, 511, 512, 1023, 8191};
  for (size_t code_bytes = 1; code_bytes <= 100; ++code_bytes) widths.push_back(code_bytes);
  for (const size_t code_bytes : widths) {
    const Case c{65, code_bytes * 8, kComplement, kNoise, 0, code_bytes};
    ExpectDistances<uint16_t>(c);
    if (code_bytes <= simd::kMaxByteDistanceCodeBytes) ExpectDistances<uint8_t>(c);
  }
}

TEST_P(HammingTest, TopK) {
  for (const Case& c : Sweep()) {
    const Data data = MakeData(c);
    ExpectTopKOfAllKinds(c, data, {data.query});
  }
}

TEST_P(HammingTest, TopKOfEveryPatternAndPadding) {
  for (const Case& c : PatternSweep()) {
    const Data data = MakeData(c);
    ExpectTopKOfAllKinds(c, data, {data.query});
  }
}

TEST_P(HammingTest, TopKOfWidestCodesFarthestAway) {
  for (const size_t bits : {size_t{248}, size_t{249}, size_t{2040}, size_t{4096}}) {
    for (const Pattern pattern : {kComplement, kPlanted, kIncreasing}) {
      const Case c{300, bits, pattern, kNearest, 1, bits};
      const Data data = MakeData(c);
      ExpectTopKOfAllKinds(c, data, {data.query});
    }
  }
}

// Distances about 255, where a byte saturates: the K-th on either side of it, near and far queries
// in turn, in histories of one chunk and of several.
TEST_P(HammingTest, TopKWhereByteDistancesSaturate) {
  for (const size_t bits : {size_t{256}, size_t{264}, size_t{384}, size_t{392}}) {
    for (const size_t n : {size_t{70}, size_t{200}, size_t{2100}}) {
      const Case c{n, bits, kRandom, kNearest, 1, n + bits};
      Data data = MakeData(c);
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
      Buffer<uint8_t> blocks = MakeBlocks(c, data);
      const std::vector<Code> queries = {data.query, near, data.query};
      for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
        std::vector<SortedList> sorted;
        for (const Code& query : queries) {
          sorted.push_back(reference::HammingTopK(data.codes, query, c.n, ties));
        }
        for (const size_t k : {size_t{1}, size_t{34}, size_t{35}, size_t{36}, size_t{40},
                               size_t{41}, size_t{60}, n}) {
          ExpectTopK(c, blocks, queries, sorted, {k, ties, ResultOrder::kSorted, true});
          ExpectTopK(c, blocks, queries, sorted, {k, ties, ResultOrder::kAny, false});
        }
      }
    }
  }
}

// Queries of one call differ as much as they can, so that anything carried over from one to the
// next (a threshold, a histogram) would show.
TEST_P(HammingTest, SeveralQueriesAreAsSingleCalls) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{65}, size_t{1000}, size_t{3000}}) {
    for (const size_t bits : {size_t{8}, size_t{64}, size_t{100}, size_t{256}, size_t{520}}) {
      const auto pattern = static_cast<Pattern>((n + bits) % kPatterns);
      const Case c{n, bits, pattern, kNearest, 1, n + bits};
      const Data data = MakeData(c);
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
TEST_P(HammingTest, ManyQueriesOverALongHistory) {
  for (const size_t bits : {size_t{64}, size_t{256}}) {
    for (const Pattern pattern : {kRandom, kIncreasing, kPlanted}) {
      const Case c{4500, bits, pattern, kNearest, 2, bits + pattern};
      const Data data = MakeData(c);
      Buffer<uint8_t> blocks = MakeBlocks(c, data);
      Rng rng(c.seed);
      std::vector<Code> queries;
      for (size_t q = 0; q < 35; ++q) {
        queries.push_back(q % 3 == 0 ? RandomCode(rng, bits) : data.query);
        if (q % 3 == 1) queries.back()[0] = static_cast<uint8_t>(~queries.back()[0]);
      }
      for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
        std::vector<SortedList> sorted;
        for (const Code& query : queries) {
          sorted.push_back(reference::HammingTopK(data.codes, query, c.n, ties));
        }
        ExpectTopK(c, blocks, queries, sorted, {64, ties, ResultOrder::kSorted, true});
        ExpectTopK(c, blocks, queries, sorted, {1, ties, ResultOrder::kAny, true});
        ExpectTopK(c, blocks, queries, sorted, {4499, ties, ResultOrder::kAny, false});
      }
    }
  }
}

// One near code among far ones, at each position in turn: no lane or block is left out.
TEST_P(HammingTest, OneNearCodeAnywhere) {
  for (const size_t bits : {size_t{64}, size_t{256}}) {
    for (size_t at = 0; at < 150; ++at) {
      Case c{150, bits, kComplement, kA5, 0, at};
      Data data = MakeData(c);
      std::ranges::copy(data.query, data.codes.begin() + at * c.code_bytes());
      Buffer<uint8_t> blocks = MakeBlocks(c, data);
      const std::vector<Code> queries = {data.query};
      for (const size_t k : {size_t{1}, size_t{2}, size_t{64}}) {
        const std::vector<SortedList> sorted = {
            reference::HammingTopK(data.codes, data.query, c.n, TieOrder::kNewestFirst)};
        ExpectTopK(c, blocks, queries, sorted,
                   {k, TieOrder::kNewestFirst, ResultOrder::kSorted, true});
      }
    }
  }
}

TEST_P(HammingTest, NoBehavioursNeedNoMemory) {
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
TEST_P(HammingTest, TiesByHand) {
  const Case c{5, 8, kRandom, kNearest, 0, 1};
  const Data data{{0x01, 0x00, 0x03, 0x02, 0x00}, {0x00}};  // distances 1 0 2 1 0
  Buffer<uint8_t> blocks = MakeBlocks(c, data);
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
