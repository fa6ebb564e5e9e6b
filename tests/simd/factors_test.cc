// SPDX-License-Identifier: Apache-2.0
// simd/factors.h against core/reference/factors.h on every target.
#include "simd/factors.h"

#include <cmath>
#include <limits>
#include <ostream>

#include "core/reference/asym.h"
#include "core/reference/code_blocks.h"
#include "core/reference/factors.h"
#include "core/reference/hamming.h"
#include "simd/asym.h"
#include "tests/support/target_test_util.h"
#include "tests/support/topk_calls.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

constexpr size_t kCounts[] = {0, 1, 2, 63, 64, 65, 127, 129, 255, 256, 257, 320, 1000, 4097, 9000};
// About the widths at which penalties stop fitting a byte, whole bytes and not.
constexpr size_t kBits[] = {1,   7,   8,   9,   63,  64,  65,  100, 120, 127,
                            128, 129, 136, 248, 249, 254, 255, 256, 257, 1000};

// What the factors of a history are.
enum Factors {
  kAny,
  kEqual,
  kZero,     // no estimate: all are equal
  kOneLong,  // the newest has the largest by far
  kFactors
};

// How near the codes are to the candidate's.
enum Pattern { kRandom, kAgree, kDisagree, kFewDiffer, kPatterns };

struct Case {
  size_t n, bits;
  Factors factors;
  Pattern pattern;
  size_t offset;  // elements by which the buffers are misaligned
  uint64_t seed;

  size_t code_bytes() const { return (bits + 7) / 8; }
  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " bits=" << c.bits << " factors=" << c.factors << " pattern=" << c.pattern
               << " offset=" << c.offset << " seed=" << c.seed;
  }
};

using Code = std::vector<uint8_t>;
using Weights = std::vector<int8_t>;

// A candidate in both forms: weights, and the code that they ask for.
struct Candidate {
  Weights weights;
  Code code;
};

Candidate MakeCandidate(Rng& rng, size_t bits) {
  Candidate candidate;
  candidate.weights =
      reference::QuantizeProjections(MakeFloats(bits, [&] { return BellFloat(rng); }));
  candidate.code.resize((bits + 7) / 8);
  for (size_t j = 0; j < bits; ++j) {
    const uint8_t bit = candidate.weights[j] > 0 ? 1 : 0;
    candidate.code[j / 8] = static_cast<uint8_t>(candidate.code[j / 8] | bit << j % 8);
  }
  return candidate;
}

struct Data {
  Candidate candidate;
  std::vector<uint8_t> rows;  // n codes with their factors
};

Code MakeCode(const Case& c, const Code& own, size_t i, Rng& rng) {
  Code code = own;
  const auto random = RandomBytes(rng, c.pattern == kRandom ? code.size() : 0);
  for (size_t j = 0; j < c.bits; ++j) {
    const bool flip = c.pattern == kDisagree ||
                      (c.pattern == kRandom && (random[j / 8] >> j % 8 & 1) == 1) ||
                      (c.pattern == kFewDiffer && (j + i) % 13 < i % 3);
    if (flip) code[j / 8] = static_cast<uint8_t>(code[j / 8] ^ 1u << j % 8);
  }
  return code;
}

uint8_t MakeFactor(const Case& c, size_t i, Rng& rng) {
  switch (c.factors) {
    case kEqual:
      return 77;
    case kZero:
      return 0;
    case kOneLong:
      return i + 1 == c.n ? 255 : static_cast<uint8_t>(Below(rng, 9));
    default:
      return static_cast<uint8_t>(Below(rng, 256));
  }
}

Data MakeData(const Case& c) {
  Rng rng(c.seed);
  Data data{MakeCandidate(rng, c.bits), {}};
  for (size_t i = 0; i < c.n; ++i) {
    const Code code = MakeCode(c, data.candidate.code, i, rng);
    data.rows.insert(data.rows.end(), code.begin(), code.end());
    data.rows.push_back(MakeFactor(c, i, rng));
  }
  return data;
}

// The blocks of the rows, made without the kernels. The unused ones would be nearest, and their
// factors larger than any, if they counted.
Buffer<uint8_t> MakeBlocks(const Case& c, const Data& data) {
  const size_t row_bytes = c.code_bytes() + 1;
  std::vector<uint8_t> blocks = reference::PackCodeBlocks(data.rows, row_bytes);
  for (size_t i = c.n; i < reference::RoundUpToBlocks(c.n); ++i) {
    for (size_t p = 0; p < row_bytes; ++p) {
      blocks[reference::BlockIndex(i, p, row_bytes)] =
          p < c.code_bytes() ? data.candidate.code[p] : uint8_t{255};
    }
  }
  return Buffer<uint8_t>(std::span<const uint8_t>(blocks), c.offset);
}

// Every pair of count and width; the rest take turns.
std::vector<Case> Sweep() {
  std::vector<Case> cases;
  for (size_t a = 0; a < std::size(kCounts); ++a) {
    for (size_t b = 0; b < std::size(kBits); ++b) {
      if (kCounts[a] * kBits[b] > 1200000) continue;
      cases.push_back({kCounts[a], kBits[b], static_cast<Factors>((a + b) % kFactors),
                       static_cast<Pattern>((a + b / kFactors) % kPatterns), (a + b) % 4 * 3,
                       100 * a + b});
    }
  }
  cases.push_back({150, 4096, kAny, kRandom, 0, 1});
  cases.push_back({150, 4096, kAny, kDisagree, 1, 2});
  return cases;
}

// The two methods, each with its kernel and its twin.
struct Norm {
  using Value = uint8_t;
  static const Code& QueryOf(const Candidate& candidate) { return candidate.code; }
  static size_t Width(size_t bits) { return (bits + 7) / 8; }
  static constexpr auto kDistances = simd::NormDistances;
  static constexpr auto kScratchBytes = simd::NormTopKScratchBytes;
  static constexpr auto kTopK = simd::NormTopK;
  static std::vector<uint32_t> Expected(const Case& c, const Data& data, const Candidate& query) {
    return reference::NormDistances(data.rows, c.bits, query.code);
  }
};

struct Asym {
  using Value = int8_t;
  static const Weights& QueryOf(const Candidate& candidate) { return candidate.weights; }
  static size_t Width(size_t bits) { return simd::WeightBytes((bits + 7) / 8); }
  static constexpr auto kDistances = simd::AsymFactorDistances;
  static constexpr auto kScratchBytes = simd::AsymFactorTopKScratchBytes;
  static constexpr auto kTopK = simd::AsymFactorTopK;
  static std::vector<uint32_t> Expected(const Case& c, const Data& data, const Candidate& query) {
    return reference::AsymFactorDistances(data.rows, c.bits, query.weights);
  }
};

class FactorsTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(FactorsTest);

template <class Method>
void ExpectDistances(const Case& c) {
  using Value = typename Method::Value;
  SCOPED_TRACE(c);
  const Data data = MakeData(c);
  Buffer<uint8_t> blocks = MakeBlocks(c, data);
  Buffer<Value> query(std::span<const Value>(Method::QueryOf(data.candidate)), c.offset);
  Buffer<uint8_t> distances(simd::PaddedRows(c.n), c.offset, 64);
  Method::kDistances({blocks.data(), c.n, c.bits}, query.data(), distances.data());
  const auto wide = Method::Expected(c, data, data.candidate);
  const std::vector<uint8_t> expected(wide.begin(), wide.end());
  EXPECT_TRUE(SameValues<uint8_t>({distances.data(), c.n}, expected));
}

TEST_P(FactorsTest, Distances) {
  for (const Case& c : Sweep()) {
    ExpectDistances<Norm>(c);
    ExpectDistances<Asym>(c);
  }
}

template <class Method>
Ranking<uint16_t> Ranked(const Case& c, const Data& data, const Candidate& query, TieOrder ties) {
  Ranking<uint16_t> ranking;
  for (const auto& row : reference::NearestOf(Method::Expected(c, data, query), c.n, ties)) {
    ranking.push_back({row.position, static_cast<uint16_t>(row.distance)});
  }
  return ranking;
}

// Runs one call on the first rankings.size() queries and compares each row with its ranking.
template <class Method>
void ExpectTopKOf(const Case& c, Buffer<uint8_t>& blocks, std::span<const Candidate> candidates,
                  std::span<const Ranking<uint16_t>> rankings, const TopKCall& call) {
  using Value = typename Method::Value;
  SCOPED_TRACE(c);
  std::vector<Value> dense;
  for (size_t q = 0; q < rankings.size(); ++q) {
    const auto& query = Method::QueryOf(candidates[q]);
    dense.insert(dense.end(), query.begin(), query.end());
  }
  const size_t width = Method::Width(c.bits), stride = width + c.seed % 3;
  Buffer<Value> queries(WithStride<Value>(dense, width, stride, 0x5A), c.offset);
  const size_t k = call.options.k;
  ExpectTopK<uint16_t>(call, {c.n, Method::kScratchBytes(c.n, c.bits, k), c.offset, c.seed + k},
                       rankings, [&](const auto& options, void* scratch, const auto& result) {
                         return Method::kTopK({blocks.data(), c.n, c.bits},
                                              {queries.data(), rankings.size(), stride}, options,
                                              scratch, result);
                       });
}

template <class Method>
void ExpectTopKOfAllKinds(const Case& c) {
  const Data data = MakeData(c);
  Buffer<uint8_t> blocks = MakeBlocks(c, data);
  std::vector<size_t> ks = {1, 64, c.n / 2 + 1, c.n, c.n + 1};
  std::erase(ks, 0u);
  for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
    const std::vector<Ranking<uint16_t>> rankings = {Ranked<Method>(c, data, data.candidate, ties)};
    ForEachTopKCall(ks, ties, c.seed, [&](const TopKCall& call, uint64_t) {
      ExpectTopKOf<Method>(c, blocks, {&data.candidate, 1}, rankings, call);
    });
  }
}

TEST_P(FactorsTest, TopK) {
  for (const Case& c : Sweep()) {
    ExpectTopKOfAllKinds<Norm>(c);
    ExpectTopKOfAllKinds<Asym>(c);
  }
}

template <class Method>
void ExpectManyQueriesAreAsSingleOnes(size_t n, size_t bits) {
  const Case c{n, bits, kAny, kRandom, 1, n + 2};
  const Data data = MakeData(c);
  Rng rng(c.seed);
  std::vector<Candidate> candidates = {data.candidate};
  while (candidates.size() < 67) candidates.push_back(MakeCandidate(rng, bits));
  Buffer<uint8_t> blocks = MakeBlocks(c, data);
  std::vector<Ranking<uint16_t>> rankings;
  for (const auto& candidate : candidates) {
    rankings.push_back(Ranked<Method>(c, data, candidate, TieOrder::kNewestFirst));
  }
  for (const size_t take : {size_t{0}, size_t{31}, size_t{32}, size_t{33}, size_t{67}}) {
    for (const ResultOrder order : {ResultOrder::kSorted, ResultOrder::kAny}) {
      ExpectTopKOf<Method>(c, blocks, candidates, std::span(rankings).first(take),
                           {{64, TieOrder::kNewestFirst, order}, true});
    }
  }
}

// More queries than share a pass, over one chunk and over several.
TEST_P(FactorsTest, ManyQueriesAreAsSingleOnes) {
  constexpr std::pair<size_t, size_t> kSizes[] = {{300, 64}, {5000, 64}, {700, 136}, {1500, 256}};
  for (const auto& [n, bits] : kSizes) {
    ExpectManyQueriesAreAsSingleOnes<Norm>(n, bits);
    ExpectManyQueriesAreAsSingleOnes<Asym>(n, bits);
  }
}

TEST_P(FactorsTest, NoBehavioursNeedNoScratch) {
  const Code code(8, 3);
  const Weights weights(64, 3);
  Buffer<uint8_t> scratch(simd::AsymFactorTopKScratchBytes(0, 64, 5));
  Buffer<int32_t> positions(5, 0, 16);
  const simd::TopKOptions options{.k = 5, .order = ResultOrder::kSorted};
  EXPECT_EQ(simd::NormTopK({nullptr, 0, 64}, {code.data(), 1, 8}, options, scratch.data(),
                           {positions.data()}),
            0u);
  EXPECT_EQ(simd::AsymFactorTopK({nullptr, 0, 64}, {weights.data(), 1, 64}, options, scratch.data(),
                                 {positions.data()}),
            0u);
  EXPECT_TRUE(positions.Untouched(0, 5));
}

// Distances in literals, so that kernel and oracle cannot agree on others.
TEST_P(FactorsTest, ByHand) {
  // Codes of 8 bits with factors 255, 255, 255, 0, 128 at Hamming distances 0, 8, 4, 0, 2 from
  // 0xFF. V = 128, Q = 8,160, g = 1,019. At distance 0 and factor 255 -8,160 * 1,019 / 2^16 is
  // -126.9, at 8 it is 126.9, at 2 and factor 128 -31.8.
  const std::vector<uint8_t> rows = {0xFF, 255, 0x00, 255, 0x0F, 255, 0xFF, 0, 0x3F, 128};
  const auto blocks = reference::PackCodeBlocks(rows, 2);
  const uint8_t code = 0xFF;
  std::vector<uint8_t> distances(64);
  simd::NormDistances({blocks.data(), 5, 8}, &code, distances.data());
  distances.resize(5);
  EXPECT_EQ(distances, (std::vector<uint8_t>{1, 254, 128, 128, 96}));

  // Weights that sum to 10: V = 160, Q = 4,000, g = 2,080. Penalties 0, 10, 5, 0, 5.
  const Weights weights = {5, -3, 0, 0, 0, 0, 0, 2};
  const std::vector<uint8_t> codes = {0x81, 100, 0x02, 100, 0x80, 100, 0x81, 50, 0x80, 7};
  const auto more = reference::PackCodeBlocks(codes, 2);
  distances.resize(64);
  simd::AsymFactorDistances({more.data(), 5, 8}, weights.data(), distances.data());
  distances.resize(5);
  EXPECT_EQ(distances, (std::vector<uint8_t>{1, 254, 128, 64, 128}));
}

TEST(Factor, ByHand) {
  const std::vector<float> row = {3, -4, 0};
  EXPECT_EQ(simd::NormFactor(row.data(), 3), 5.0f);
  const std::vector<float> projections = {2, -3, 0, 5};
  EXPECT_EQ(simd::AsymFactor(row.data(), 3, projections.data(), 4), 2.5f);
  const std::vector<float> none(4, 0.0f);
  EXPECT_EQ(simd::AsymFactor(row.data(), 3, none.data(), 4), 0.0f);
  EXPECT_EQ(simd::QuantizeFactor(5.0f, 2.0f), 3);  // 2.5 units
  EXPECT_EQ(simd::QuantizeFactor(4.9f, 2.0f), 2);
  EXPECT_EQ(simd::QuantizeFactor(509.0f, 2.0f), 255);
  EXPECT_EQ(simd::QuantizeFactor(1e30f, 2.0f), 255);
  EXPECT_EQ(simd::QuantizeFactor(kInf, 2.0f), 255);
  EXPECT_EQ(simd::QuantizeFactor(kNan, 2.0f), 0);
  EXPECT_EQ(simd::QuantizeFactor(-1.0f, 2.0f), 0);
  EXPECT_EQ(simd::QuantizeFactor(0.0f, 1e-45f), 0);
}

TEST(Factor, AsReference) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    const size_t dim = 1 + Below(rng, 70), bits = 1 + Below(rng, 140);
    const auto row =
        seed % 2 == 0 ? MakeFloats(dim, [&] { return BellFloat(rng); }) : HardRows(rng, 1, dim);
    const auto projections =
        seed % 3 == 0 ? HardRows(rng, 1, bits) : MakeFloats(bits, [&] { return BellFloat(rng); });
    Buffer<float> exact_row(std::span<const float>(row), 1);
    Buffer<float> exact_projections(std::span<const float>(projections), 1);
    const float norm = simd::NormFactor(exact_row.data(), dim);
    const float factor = simd::AsymFactor(exact_row.data(), dim, exact_projections.data(), bits);
    EXPECT_TRUE(Same(norm, reference::NormFactor(row))) << "seed=" << seed;
    EXPECT_TRUE(Same(factor, reference::AsymFactor(row, projections))) << "seed=" << seed;
    for (const float unit : {0.01f, 1.0f, 1e-38f, 1e38f}) {
      EXPECT_EQ(simd::QuantizeFactor(factor, unit), reference::QuantizeFactor(factor, unit));
    }
  }
}

}  // namespace
}  // namespace eta::test
