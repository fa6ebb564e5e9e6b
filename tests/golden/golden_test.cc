// SPDX-License-Identifier: Apache-2.0
// What the kernels made of fixed data once, byte for byte: tests/golden/kernels.txt holds codes,
// top-K and scores, and every target of every CPU must make them again. The other tests compare a
// machine with itself; this one compares machines. After a change that is meant to alter results,
// ETA_UPDATE_GOLDEN=1 build/release/tests/golden_test writes the file anew.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/base/random.h"
#include "core/data/items.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/factor_codes.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/pq4_codebooks.h"
#include "simd/asym.h"
#include "simd/code_blocks.h"
#include "simd/dot.h"
#include "simd/dot_i8.h"
#include "simd/factors.h"
#include "simd/hamming.h"
#include "simd/pq4.h"
#include "simd/rerank_i8.h"
#include "simd/simhash.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr char kFile[] = ETA_SOURCE_DIR "/tests/golden/kernels.txt";
constexpr char kHead[] =
    "# SPDX-License-Identifier: Apache-2.0\n"
    "# Written by tests/golden/golden_test.cc, which says how; do not edit.\n";

constexpr size_t kDim = 64;
constexpr size_t kItems = 48;
constexpr size_t kQueries = 2;
constexpr size_t kBehaviours = 300;  // of 48 items: each distance and score comes several times
constexpr size_t kK = 24;
constexpr std::pair<simd::TieOrder, const char*> kTies[] = {
    {simd::TieOrder::kNewestFirst, "newest"}, {simd::TieOrder::kOldestFirst, "oldest"}};

std::string Hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// The bits of a float, most significant first.
std::string Hex(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const std::array<uint8_t, 4> bytes = {
      static_cast<uint8_t>(bits >> 24), static_cast<uint8_t>(bits >> 16),
      static_cast<uint8_t>(bits >> 8), static_cast<uint8_t>(bits)};
  return Hex(bytes);
}

std::vector<float> Integers(uint64_t seed, size_t count) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    value = static_cast<float>(static_cast<int>(random.Below(201)) - 100);
  }
  return values;
}

std::vector<int32_t> History() {
  Random random(3);
  std::vector<int32_t> items(kBehaviours);
  for (int32_t& item : items) item = static_cast<int32_t>(random.Below(kItems));
  return items;
}

// The best kK behaviours of each query, in both orders of ties: position@value. `top_k` is called
// with options and the result; `show` makes a value printable.
template <class Value, class Show, class TopK>
void AddTopK(const std::string& name, Show show, TopK top_k, std::ostream& out) {
  for (const auto& [ties, ties_name] : kTies) {
    std::vector<int32_t> positions(kQueries * kK);
    std::vector<Value> values(kQueries * kK);
    const simd::TopKOptions options = {kK, ties, simd::ResultOrder::kSorted};
    ASSERT_EQ(top_k(options, simd::TopKResult<Value>{positions.data(), values.data()}), kK);
    for (size_t q = 0; q < kQueries; ++q) {
      out << name << ties_name << " " << q << ":";
      for (size_t i = q * kK; i < (q + 1) * kK; ++i) {
        out << " " << positions[i] << "@" << show(values[i]);
      }
      out << "\n";
    }
  }
}

// The same for values that are whole numbers.
template <class TopK>
void AddTopK(const std::string& name, TopK top_k, std::ostream& out) {
  AddTopK<uint16_t>(
      "topk " + name, [](uint16_t value) { return value; }, top_k, out);
}

// Code blocks of the history, out of rows of `bytes` bytes, one for each item.
std::vector<uint8_t> BlocksOf(const uint8_t* rows, size_t bytes) {
  const std::vector<int32_t> history = History();
  std::vector<uint8_t> blocks(simd::CodeBlocksBytes(kBehaviours, bytes));
  simd::GatherCodeBlocks(simd::DenseRows(rows, kItems, bytes), {history.data(), history.size()},
                         blocks.data());
  return blocks;
}

ItemTable Items() {
  ItemTable items;
  items.embeddings = Matrix<float>(kItems, kDim);
  std::ranges::copy(Integers(1, kItems * kDim), items.embeddings.values.begin());
  return items;
}

void AddCodesAndTopK(HyperplaneKind kind, size_t bits, std::ostream& out) {
  const Hyperplanes planes = Hyperplanes::Make(kind, kDim, bits, 1);
  const std::string name = std::string(HyperplaneKindName(kind)) + "/" + std::to_string(bits) + " ";
  const size_t code_bytes = planes.code_bytes();
  std::vector<uint8_t> codes(kItems * code_bytes), queries(kQueries * code_bytes);
  planes.Encode(Integers(1, kItems * kDim), codes);
  planes.Encode(Integers(2, kQueries * kDim), queries);
  for (size_t i = 0; i < kItems; ++i) {
    out << "code " << name << i << ": "
        << Hex(std::span<const uint8_t>(codes).subspan(i * code_bytes, code_bytes)) << "\n";
  }

  const std::vector<uint8_t> blocks = BlocksOf(codes.data(), code_bytes);
  std::vector<uint8_t> scratch(simd::HammingTopKScratchBytes(kBehaviours, code_bytes, kK));
  AddTopK(
      name,
      [&](const simd::TopKOptions& options, const simd::TopKResult<uint16_t>& result) {
        return simd::HammingTopK({blocks.data(), kBehaviours, code_bytes},
                                 {queries.data(), kQueries, code_bytes}, options, scratch.data(),
                                 result);
      },
      out);
}

// Queries are hyperplanes, whose products with integers need rounding.
void AddScores(std::ostream& out) {
  const Hyperplanes planes = Hyperplanes::Make(HyperplaneKind::kGaussian, kDim, kQueries, 4);
  std::vector<float> queries;
  for (size_t q = 0; q < kQueries; ++q) {
    for (size_t d = 0; d < kDim; ++d) queries.push_back(planes.matrix().row(d)[q]);
  }
  const std::vector<float> items = Integers(1, kItems * kDim);
  const std::vector<int32_t> history = History();
  std::vector<float> blocks(simd::FloatBlocksSize(kBehaviours, kDim));
  simd::GatherFloatBlocks(simd::DenseRows(items.data(), kItems, kDim),
                          {history.data(), kBehaviours}, blocks.data());
  const size_t stride = simd::PaddedRows(kBehaviours);
  std::vector<float> scores(kQueries * stride);
  simd::DotScores({blocks.data(), kBehaviours, kDim}, {queries.data(), kQueries, kDim},
                  scores.data(), stride);
  for (size_t q = 0; q < kQueries; ++q) {
    out << "scores " << q << ":";
    for (size_t i = 0; i < kBehaviours; ++i) out << " " << Hex(scores[q * stride + i]);
    out << "\n";
  }

  std::vector<uint8_t> scratch(simd::DotTopKScratchBytes(kBehaviours, kK));
  AddTopK<float>(
      "dot topk ", [](float value) { return Hex(value); },
      [&](const simd::TopKOptions& options, const simd::TopKResult<float>& result) {
        return simd::DotTopK({blocks.data(), kBehaviours, kDim}, {queries.data(), kQueries, kDim},
                             options, scratch.data(), result);
      },
      out);
}

// The weights of the queries in the form that a candidate is scanned with.
std::vector<int8_t> WeightsOf(const Hyperplanes& planes) {
  const size_t stride = simd::WeightBytes(planes.code_bytes());
  std::vector<float> projections(kQueries * planes.projection_stride());
  planes.Project(Integers(2, kQueries * kDim), projections);
  std::vector<int8_t> weights(kQueries * stride);
  for (size_t q = 0; q < kQueries; ++q) {
    simd::QuantizeProjections(projections.data() + q * planes.projection_stride(), planes.bits(),
                              weights.data() + q * stride);
  }
  return weights;
}

void AddAsymTopK(size_t bits, std::ostream& out) {
  const Hyperplanes planes = Hyperplanes::Make(HyperplaneKind::kGaussian, kDim, bits, 1);
  const std::string name = "asym/" + std::to_string(bits) + " ";
  const size_t code_bytes = planes.code_bytes(), stride = simd::WeightBytes(code_bytes);
  std::vector<uint8_t> codes(kItems * code_bytes);
  planes.Encode(Integers(1, kItems * kDim), codes);
  const std::vector<int8_t> weights = WeightsOf(planes);
  for (size_t q = 0; q < kQueries; ++q) {
    out << "weights " << name << q << ":";
    for (size_t j = q * stride; j < (q + 1) * stride; ++j) out << " " << +weights[j];
    out << "\n";
  }

  const std::vector<uint8_t> blocks = BlocksOf(codes.data(), code_bytes);
  std::vector<uint8_t> scratch(simd::AsymTopKScratchBytes(kBehaviours, code_bytes, kK));
  AddTopK(
      name,
      [&](const simd::TopKOptions& options, const simd::TopKResult<uint16_t>& result) {
        return simd::AsymTopK({blocks.data(), kBehaviours, code_bytes},
                              {weights.data(), kQueries, stride}, options, scratch.data(), result);
      },
      out);
}

void AddI8Rows(std::ostream& out) {
  const std::vector<float> items = Integers(1, kItems * kDim);
  std::vector<int8_t> values(items.size());
  std::vector<float> scales(kItems), scores(kItems);
  simd::QuantizeI8(simd::DenseRows(items.data(), kItems, kDim), values.data(), kDim, scales.data());
  std::vector<int32_t> ids = History();
  ids.resize(kItems);
  for (size_t q = 0; q < kQueries; ++q) {
    simd::DotI8Rows({values.data(), scales.data(), kItems, kDim, kDim}, {ids.data(), ids.size()},
                    {values.data() + q * kDim, scales[q]}, scores.data());
    out << "i8 rows " << q << ":";
    for (const float score : scores) out << " " << Hex(score);
    out << "\n";
  }
}

// Codes with a factor, of eta_norm and eta_asym.
void AddFactorTopK(size_t bits, std::ostream& out) {
  const Hyperplanes planes = Hyperplanes::Make(HyperplaneKind::kOrthogonal, kDim, bits, 1);
  const ItemTable items = Items();
  const std::string width = std::to_string(bits) + " ";
  const size_t bytes = simd::FactorCodeBytes(bits), code_bytes = planes.code_bytes();
  std::vector<uint8_t> queries(kQueries * code_bytes);
  planes.Encode(Integers(2, kQueries * kDim), queries);
  const std::vector<int8_t> weights = WeightsOf(planes);
  for (const bool is_norm : {true, false}) {
    const FactorKind kind = is_norm ? FactorKind::kNorm : FactorKind::kAsym;
    const std::string name = (is_norm ? "norm/" : "asym_factor/") + width;
    const FactorCodes codes = MakeFactorCodes(items, planes, kind);
    std::vector<uint8_t> factors;
    for (size_t i = 0; i < kItems; ++i) factors.push_back(codes.rows.row(i)[code_bytes]);
    out << "factors " << name << Hex(codes.unit) << ": " << Hex(factors) << "\n";
    const std::vector<uint8_t> blocks = BlocksOf(codes.rows.values.data(), bytes);
    std::vector<uint8_t> scratch(std::max(simd::NormTopKScratchBytes(kBehaviours, bits, kK),
                                          simd::AsymFactorTopKScratchBytes(kBehaviours, bits, kK)));
    const simd::FactorBlocksView rows = {blocks.data(), kBehaviours, bits};
    AddTopK(
        name,
        [&](const simd::TopKOptions& options, const simd::TopKResult<uint16_t>& result) {
          return is_norm ? simd::NormTopK(rows, {queries.data(), kQueries, code_bytes}, options,
                                          scratch.data(), result)
                         : simd::AsymFactorTopK(
                               rows, {weights.data(), kQueries, simd::WeightBytes(code_bytes)},
                               options, scratch.data(), result);
        },
        out);
  }
}

// Product codes, by codebooks that are trained here.
void AddPq4(size_t bits, Pq4Rotation rotation, std::ostream& out) {
  const ItemTable items = Items();
  const auto codebooks = Pq4Codebooks::Train(items, bits, {.rotation = rotation});
  const std::string name =
      (rotation == Pq4Rotation::kNone ? "pq4/" : "pq4_rotated/") + std::to_string(bits) + " ";
  const CodeTable codes(items, codebooks);
  for (size_t i = 0; i < kItems; ++i)
    out << "code " << name << i << ": " << Hex(codes.row(i)) << "\n";
  std::vector<uint8_t> tables(kQueries * codebooks.table_bytes());
  codebooks.MakeTables(Integers(2, kQueries * kDim), tables);
  const std::span<const uint8_t> all(tables);
  for (size_t q = 0; q < kQueries; ++q) {
    const size_t bytes = codebooks.table_bytes();
    out << "tables " << name << q << ": " << Hex(all.subspan(q * bytes, bytes)) << "\n";
  }
  const std::vector<uint8_t> blocks = BlocksOf(codes.data(), codes.code_bytes());
  std::vector<uint8_t> scratch(simd::Pq4TopKScratchBytes(kBehaviours, codes.code_bytes(), kK));
  AddTopK(
      name,
      [&](const simd::TopKOptions& options, const simd::TopKResult<uint16_t>& result) {
        return simd::Pq4TopK({blocks.data(), kBehaviours, codes.code_bytes()},
                             {tables.data(), kQueries, codebooks.table_bytes()}, options,
                             scratch.data(), result);
      },
      out);
}

std::string Make() {
  std::ostringstream out;
  out << kHead;
  for (const HyperplaneKind kind :
       {HyperplaneKind::kGaussian, HyperplaneKind::kSigns, HyperplaneKind::kOrthogonal}) {
    for (const size_t bits : {64, 100, 256}) AddCodesAndTopK(kind, bits, out);
  }
  AddScores(out);
  for (const size_t bits : {64, 100, 256}) AddAsymTopK(bits, out);
  AddI8Rows(out);
  for (const size_t bits : {64, 100, 256}) AddFactorTopK(bits, out);
  for (const auto rotation : {Pq4Rotation::kNone, Pq4Rotation::kPca}) {
    for (const size_t bits : {64, 136}) AddPq4(bits, rotation, out);
  }
  return out.str();
}

std::string Read() {
  std::ifstream file(kFile, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class GoldenTest : public TargetTest {
 protected:
  // With ETA_UPDATE_GOLDEN=1 the best target writes the file; all have to agree with it as ever.
  static void SetUpTestSuite() {
    const char* update = std::getenv("ETA_UPDATE_GOLDEN");
    if (update == nullptr || std::string(update) != "1") return;
    ASSERT_TRUE(simd::ForceTargetForTest(nullptr));
    std::ofstream file(kFile, std::ios::binary);
    file << Make();
    ASSERT_TRUE(file.flush().good()) << kFile << " cannot be written";
  }
};
ETA_FOR_EVERY_TARGET(GoldenTest);

TEST_P(GoldenTest, MakesTheCommittedBytes) {
  const std::string expected = Read();
  ASSERT_FALSE(expected.empty()) << "there is no " << kFile;
  const std::string actual = Make();
  if (actual == expected) return;
  std::istringstream actual_lines(actual), expected_lines(expected);
  std::string a, e;
  for (size_t line = 1; a == e; ++line) {
    const bool more_actual = static_cast<bool>(std::getline(actual_lines, a));
    const bool more_expected = static_cast<bool>(std::getline(expected_lines, e));
    ASSERT_EQ(more_actual, more_expected) << "one ends before line " << line;
    ASSERT_TRUE(more_actual) << "the lines are equal, their ends are not";
    EXPECT_EQ(a, e) << kFile << ":" << line;
  }
}

}  // namespace
}  // namespace eta::test
