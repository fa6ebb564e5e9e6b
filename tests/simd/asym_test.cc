// SPDX-License-Identifier: Apache-2.0
// simd/asym.h against core/reference/asym.h on every target.
#include "simd/asym.h"

#include <cstdlib>
#include <limits>
#include <numeric>
#include <ostream>

#include "core/reference/asym.h"
#include "core/reference/code_blocks.h"
#include "tests/support/target_test_util.h"
#include "tests/support/topk_calls.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

constexpr size_t kCounts[] = {0,   1,   2,   63,  64,  65,   127,  128, 129,
                              191, 255, 256, 257, 320, 1000, 4097, 9000};
// About the width at which penalties stop fitting a byte, and odd numbers of planes.
constexpr size_t kCodeBytes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 18, 19, 32, 33, 128, 512};

using Weights = std::vector<int8_t>;

// Where a candidate's projections lie.
enum Query {
  kBells,
  kEven,  // all alike: the largest total, in bytes as in 16 bits
  kOne,   // one is far from 0, at an end of the code by turns
  kAllNegative,
  kNothing,  // all 0
  kQueries
};

Weights MakeWeights(Query kind, Rng& rng, size_t bits) {
  std::vector<float> projections;
  for (size_t j = 0; j < bits; ++j) {
    const float bell = BellFloat(rng);
    projections.push_back(kind == kBells         ? bell
                          : kind == kEven        ? (bell > 0 ? 1.0f : -1.0f)
                          : kind == kAllNegative ? -std::abs(bell)
                                                 : 0.0f);
  }
  if (kind == kOne) projections[Below(rng, 2) * (bits - 1)] = 1.0f;
  return reference::QuantizeProjections(projections);
}

enum Pattern { kRandom, kAgree, kDisagree, kFewDiffer, kPatterns };

struct Case {
  size_t n, code_bytes;
  Query query;
  Pattern pattern;
  size_t offset;  // elements by which the buffers are misaligned
  uint64_t seed;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " code_bytes=" << c.code_bytes << " query=" << c.query << " pattern=" << c.pattern
               << " offset=" << c.offset << " seed=" << c.seed;
  }
};

// The code that a candidate's weights ask for.
std::vector<uint8_t> CodeOf(const Weights& weights) {
  std::vector<uint8_t> code(weights.size() / 8, 0);
  for (size_t j = 0; j < weights.size(); ++j) {
    if (weights[j] > 0) code[j / 8] = static_cast<uint8_t>(code[j / 8] | (1u << j % 8));
  }
  return code;
}

struct Data {
  Weights weights;
  std::vector<uint8_t> codes;  // n x code_bytes
};

Data MakeData(const Case& c) {
  Rng rng(c.seed);
  Data data;
  // One bit less than the bytes hold, every other time.
  data.weights = MakeWeights(c.query, rng, c.code_bytes * 8 - c.seed % 2);
  const auto own = CodeOf(data.weights);
  for (size_t i = 0; i < c.n; ++i) {
    auto code = c.pattern == kRandom ? RandomBytes(rng, c.code_bytes) : own;
    for (uint8_t& byte : code) {
      if (c.pattern == kDisagree) byte = static_cast<uint8_t>(~byte);
    }
    if (c.pattern == kFewDiffer) {
      for (size_t t = 0; t < 1 + i % 3; ++t) {
        const size_t j = Below(rng, 8 * c.code_bytes);
        code[j / 8] = static_cast<uint8_t>(code[j / 8] ^ (1u << j % 8));
      }
    }
    data.codes.insert(data.codes.end(), code.begin(), code.end());
  }
  return data;
}

// The blocks of the codes, made without the kernels; the unused rows hold noise, or codes that no
// other is nearer than.
Buffer<uint8_t> MakeBlocks(const Case& c, const Data& data) {
  std::vector<uint8_t> blocks = reference::PackCodeBlocks(data.codes, c.code_bytes);
  const auto own = CodeOf(data.weights);
  Rng rng(c.seed + 1);
  for (size_t i = c.n; i < reference::RoundUpToBlocks(c.n); ++i) {
    for (size_t p = 0; p < c.code_bytes; ++p) {
      blocks[reference::BlockIndex(i, p, c.code_bytes)] =
          c.seed % 3 == 0 ? static_cast<uint8_t>(rng()) : own[p];
    }
  }
  return Buffer<uint8_t>(std::span<const uint8_t>(blocks), c.offset);
}

// Every pair of count and width; the rest take turns.
std::vector<Case> Sweep() {
  std::vector<Case> cases;
  for (size_t a = 0; a < std::size(kCounts); ++a) {
    for (size_t b = 0; b < std::size(kCodeBytes); ++b) {
      if (kCounts[a] * kCodeBytes[b] > 200000) continue;
      cases.push_back({kCounts[a], kCodeBytes[b], static_cast<Query>((a + b) % kQueries),
                       static_cast<Pattern>((a + 2 * b) % kPatterns), (a + b) % 4 * 3,
                       100 * a + b});
    }
  }
  // And all of the rest where penalties are largest.
  for (const size_t code_bytes : {size_t{8}, size_t{16}, size_t{17}, size_t{512}}) {
    for (int query = 0; query < kQueries; ++query) {
      for (int pattern = 0; pattern < kPatterns; ++pattern) {
        cases.push_back({150, code_bytes, static_cast<Query>(query), static_cast<Pattern>(pattern),
                         0, static_cast<uint64_t>(query * 10 + pattern)});
      }
    }
  }
  return cases;
}

class AsymTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(AsymTest);

template <class T>
void ExpectPenalties(const Case& c) {
  SCOPED_TRACE(c);
  const Data data = MakeData(c);
  Buffer<uint8_t> blocks = MakeBlocks(c, data);
  Buffer<int8_t> weights(std::span<const int8_t>(data.weights), c.offset);
  Buffer<T> penalties(simd::PaddedRows(c.n), c.offset, c.seed % 2 * 64);
  simd::AsymPenalties({blocks.data(), c.n, c.code_bytes}, weights.data(), penalties.data());
  const auto wide = reference::AsymPenalties(data.codes, data.weights);
  const std::vector<T> expected(wide.begin(), wide.end());
  EXPECT_TRUE(SameValues<T>({penalties.data(), c.n}, expected));
}

TEST_P(AsymTest, Penalties) {
  for (const Case& c : Sweep()) {
    if (c.code_bytes <= simd::kMaxBytePenaltyCodeBytes) {
      ExpectPenalties<uint8_t>(c);
    } else {
      ExpectPenalties<uint16_t>(c);
    }
  }
}

Ranking<uint16_t> Ranked(const Data& data, const Weights& query, TieOrder ties) {
  Ranking<uint16_t> ranking;
  const size_t n = data.codes.size() * 8 / query.size();
  for (const auto& row : reference::AsymTopK(data.codes, query, n, ties)) {
    ranking.push_back({row.position, static_cast<uint16_t>(row.distance)});
  }
  return ranking;
}

// Runs one call on the first rankings.size() queries and compares each row with its ranking.
void ExpectAsymTopK(const Case& c, Buffer<uint8_t>& blocks, const std::vector<Weights>& queries,
                    std::span<const Ranking<uint16_t>> rankings, const TopKCall& call) {
  SCOPED_TRACE(c);
  Weights dense;
  for (size_t q = 0; q < rankings.size(); ++q) {
    dense.insert(dense.end(), queries[q].begin(), queries[q].end());
  }
  const size_t width = simd::WeightBytes(c.code_bytes), stride = width + c.seed % 3;
  Buffer<int8_t> weights(WithStride<int8_t>(dense, width, stride, 0x5A), c.offset);
  const size_t k = call.options.k;
  ExpectTopK<uint16_t>(
      call, {c.n, simd::AsymTopKScratchBytes(c.n, c.code_bytes, k), c.offset, c.seed + k}, rankings,
      [&](const auto& options, void* scratch, const auto& result) {
        return simd::AsymTopK({blocks.data(), c.n, c.code_bytes},
                              {weights.data(), rankings.size(), stride}, options, scratch, result);
      });
}

void ExpectTopKOfAllKinds(const Case& c, const Data& data) {
  Buffer<uint8_t> blocks = MakeBlocks(c, data);
  std::vector<size_t> ks = {1, 64, c.n / 2 + 1, c.n, c.n + 1};
  std::erase(ks, 0u);
  for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
    const std::vector<Ranking<uint16_t>> rankings = {Ranked(data, data.weights, ties)};
    ForEachTopKCall(ks, ties, c.seed, [&](const TopKCall& call, uint64_t) {
      ExpectAsymTopK(c, blocks, {data.weights}, rankings, call);
    });
  }
}

TEST_P(AsymTest, TopK) {
  for (const Case& c : Sweep()) {
    const Data data = MakeData(c);
    ExpectTopKOfAllKinds(c, data);
  }
}

// More queries than share a pass, as different as they can be, over one chunk and over several.
TEST_P(AsymTest, ManyQueriesAreAsSingleOnes) {
  constexpr std::pair<size_t, size_t> kSizes[] = {{300, 8}, {5000, 8}, {700, 17}, {1500, 32}};
  for (const auto& [n, code_bytes] : kSizes) {
    const Case c{n, code_bytes, kBells, kRandom, 1, n + 2};
    const Data data = MakeData(c);
    Rng rng(c.seed);
    std::vector<Weights> queries = {data.weights};
    while (queries.size() < 67) {
      const auto kind = static_cast<Query>(queries.size() % kQueries);
      queries.push_back(MakeWeights(kind, rng, code_bytes * 8));
    }
    Buffer<uint8_t> blocks = MakeBlocks(c, data);
    std::vector<Ranking<uint16_t>> rankings;
    for (const auto& query : queries) {
      rankings.push_back(Ranked(data, query, TieOrder::kNewestFirst));
    }
    for (const size_t take : {size_t{0}, size_t{31}, size_t{32}, size_t{33}, size_t{67}}) {
      for (const ResultOrder order : {ResultOrder::kSorted, ResultOrder::kAny}) {
        ExpectAsymTopK(c, blocks, queries, std::span(rankings).first(take),
                       {{64, TieOrder::kNewestFirst, order}, true});
      }
    }
  }
}

TEST_P(AsymTest, NoBehavioursNeedNoScratch) {
  const Weights weights(64, 3);
  Buffer<uint8_t> scratch(simd::AsymTopKScratchBytes(0, 8, 5));
  Buffer<int32_t> positions(5, 0, 16);
  EXPECT_EQ(
      simd::AsymTopK({nullptr, 0, 8}, {weights.data(), 1, 64},
                     {.k = 5, .order = ResultOrder::kSorted}, scratch.data(), {positions.data()}),
      0u);
  EXPECT_TRUE(positions.Untouched(0, 5));
}

// Penalties and ties in literals, so that kernel and oracle cannot agree on others.
TEST_P(AsymTest, ByHand) {
  const Weights weights = {5, -3, 0, 0, 0, 0, 0, 2};
  const std::vector<uint8_t> codes = {0x81, 0x83, 0x01, 0x00, 0xFD, 0x01};  // 0 3 2 7 0 2
  const auto blocks = reference::PackCodeBlocks(codes, 1);
  std::vector<uint8_t> penalties(64);
  simd::AsymPenalties({blocks.data(), 6, 1}, weights.data(), penalties.data());
  penalties.resize(6);
  EXPECT_EQ(penalties, (std::vector<uint8_t>{0, 3, 2, 7, 0, 2}));
  const auto top3 = [&](TieOrder ties) {
    Buffer<uint8_t> scratch(simd::AsymTopKScratchBytes(6, 1, 3));
    std::vector<int32_t> positions(3);
    simd::AsymTopK({blocks.data(), 6, 1}, {weights.data(), 1, 8}, {3, ties, ResultOrder::kSorted},
                   scratch.data(), {positions.data()});
    return positions;
  };
  EXPECT_EQ(top3(TieOrder::kNewestFirst), (std::vector<int32_t>{4, 0, 5}));
  EXPECT_EQ(top3(TieOrder::kOldestFirst), (std::vector<int32_t>{0, 4, 2}));
}

Weights Quantize(const std::vector<float>& projections) {
  Buffer<float> exact(std::span<const float>(projections), 1);
  Buffer<int8_t> weights(simd::WeightBytes((projections.size() + 7) / 8), 3, 16);
  simd::QuantizeProjections(exact.data(), projections.size(), weights.data());
  return {weights.span().begin(), weights.span().end()};
}

TEST(QuantizeProjections, AsReference) {
  for (const size_t bits : {1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 130, 256, 1000, 4096}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Rng rng(seed);
      const auto projections =
          seed % 2 == 0 ? MakeFloats(bits, [&] { return BellFloat(rng); }) : HardRows(rng, 1, bits);
      EXPECT_TRUE(
          SameValues<int8_t>(Quantize(projections), reference::QuantizeProjections(projections)))
          << "bits=" << bits << " seed=" << seed;
    }
  }
}

// What the kernels rest on: |weight| <= 15, and totals that fit a byte up to 128 bits; and what the
// header promises of the error.
TEST(QuantizeProjections, KeepsItsBounds) {
  for (const size_t bits : {1, 5, 16, 64, 100, 128, 129, 512}) {
    for (uint64_t seed = 0; seed < 200; ++seed) {
      Rng rng(seed);
      const auto projections = MakeFloats(bits, [&] {
        // Of equal magnitudes, or spread over a few powers of two.
        return std::ldexp(BellFloat(rng) > 0 ? 1.0f : -1.0f,
                          -static_cast<int>(Below(rng, seed % 5 + 1)));
      });
      const Weights weights = Quantize(projections);
      double sum = 0, most = 0;
      int total = 0;
      for (size_t j = 0; j < bits; ++j) {
        sum += std::abs(projections[j]);
        most = std::max<double>(most, std::abs(projections[j]));
        total += std::abs(weights[j]);
        EXPECT_LE(std::abs(weights[j]), 15);
      }
      const double byte_scale = sum / (254 - static_cast<double>(bits) / 2);
      const double scale = bits <= 128 ? std::max(most / 15, byte_scale) : most / 15;
      if (bits <= 128) {
        EXPECT_LE(total, 254) << "bits=" << bits << " seed=" << seed;
      }
      for (size_t j = 0; j < bits; ++j) {
        EXPECT_LE(std::abs(weights[j] * scale - projections[j]), scale * 0.500001);
      }
    }
  }
}

TEST(QuantizeProjections, ByHand) {
  EXPECT_EQ(Quantize({3.0f, -1.0f, 0.1f, kNan}), (Weights{15, -5, 1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(Quantize({kInf, 1.0f, -kInf}), (Weights{15, 0, -15, 0, 0, 0, 0, 0}));
  EXPECT_EQ(Quantize({0.0f, -0.0f, kNan}), (Weights(8, 0)));
  // 64 equal ones share 254 - 32: 3.47 each.
  EXPECT_EQ(Quantize(std::vector<float>(64, -2.0f)), (Weights(64, -3)));
  EXPECT_EQ(Quantize(std::vector<float>(136, 2.0f)), (Weights(136, 15)));
}

}  // namespace
}  // namespace eta::test
