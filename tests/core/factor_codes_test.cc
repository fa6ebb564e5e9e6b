// SPDX-License-Identifier: Apache-2.0
// Codes with factors, and eta_norm, the Retriever that multiplies them by Hamming distances.
#include "core/retrieval/factor_codes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/reference/factors.h"
#include "core/reference/hadamard.h"
#include "core/reference/hamming.h"
#include "core/reference/simhash.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/eta_norm.h"
#include "core/retrieval/exact.h"
#include "simd/code_blocks.h"
#include "simd/factors.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

std::span<const float> RowOf(const ItemTable& items, size_t item) {
  return {items.embeddings.row(item), items.dim()};
}

std::vector<uint8_t> CodeOf(const Hyperplanes& planes, std::span<const float> row) {
  if (planes.kind() == HyperplaneKind::kHadamard) {
    return reference::HadamardRows(row, planes.dim(), planes.hadamard_sign_bits(), planes.bits());
  }
  return reference::SimHashRows(row, planes.dim(), planes.matrix().values, planes.bits());
}

float FactorOf(const Hyperplanes& planes, FactorKind kind, std::span<const float> row) {
  if (kind == FactorKind::kNorm) return reference::NormFactor(row);
  std::vector<float> projections;
  for (size_t j = 0; j < planes.bits(); ++j) {
    projections.push_back(reference::Projection(row, planes.matrix().values, planes.bits(), j));
  }
  return reference::AsymFactor(row, projections);
}

// The rows by the scalar twins, 8 medians of the factors at 255.
std::vector<uint8_t> Reference(const ItemTable& items, const Hyperplanes& planes, FactorKind kind) {
  std::vector<float> factors, positive;
  for (size_t i = 0; i < items.size(); ++i) {
    factors.push_back(FactorOf(planes, kind, RowOf(items, i)));
    if (factors[i] > 0 && std::isfinite(factors[i])) positive.push_back(factors[i]);
  }
  std::ranges::sort(positive);
  const float unit = positive.empty() ? 1 : positive[positive.size() / 2] / (255.0f / 8);
  std::vector<uint8_t> rows;
  for (size_t i = 0; i < items.size(); ++i) {
    const auto code = CodeOf(planes, RowOf(items, i));
    rows.insert(rows.end(), code.begin(), code.end());
    rows.push_back(reference::QuantizeFactor(factors[i], unit));
  }
  return rows;
}

class FactorCodesTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(FactorCodesTest);

TEST_P(FactorCodesTest, AsReference) {
  for (const ItemTable& items : {BellItems(150, 12, 1), HardItems(150, 12, 2)}) {
    for (const auto& [kind, bits] :
         {std::pair{HyperplaneKind::kGaussian, 20}, std::pair{HyperplaneKind::kOrthogonal, 64},
          std::pair{HyperplaneKind::kHadamard, 130}}) {
      const auto planes = Hyperplanes::Make(kind, 12, static_cast<size_t>(bits), 3);
      for (const FactorKind factor : {FactorKind::kNorm, FactorKind::kAsym}) {
        const std::vector<uint8_t> expected = Reference(items, planes, factor);
        for (const int threads : {1, 3}) {
          const FactorCodes codes = MakeFactorCodes(items, planes, factor, threads);
          EXPECT_EQ(codes.bits, static_cast<size_t>(bits));
          EXPECT_TRUE(SameValues<uint8_t>(codes.rows.values, expected));
          std::vector<uint8_t> again(expected.size());
          EncodeWithFactors(planes, factor, codes.unit, items.embeddings.values, again);
          EXPECT_TRUE(SameValues<uint8_t>(again, expected));
        }
      }
    }
  }
}

TEST(FactorCodes, AFewEnormousItemsLeaveTheOthersTheirDigits) {
  ItemTable items = BellItems(200, 16, 4);
  const Hyperplanes planes = Planes(16, 32);
  const FactorCodes before = MakeFactorCodes(items, planes, FactorKind::kNorm);
  for (size_t d = 0; d < 16; ++d) items.embeddings.row(7)[d] *= 1e6f;
  const FactorCodes after = MakeFactorCodes(items, planes, FactorKind::kNorm);
  EXPECT_EQ(after.rows.row(7)[4], 255);
  EXPECT_NEAR(after.unit, before.unit, 0.1f * before.unit);
  std::vector<uint8_t> factors;
  for (size_t i = 0; i < 200; ++i) factors.push_back(before.rows.row(i)[4]);
  std::ranges::nth_element(factors, factors.begin() + 100);
  EXPECT_EQ(factors[100], 32);  // an eighth of 255
}

TEST(FactorCodes, NoLengthsAtAll) {
  for (const float value : {0.0f, std::numeric_limits<float>::quiet_NaN()}) {
    ItemTable items = BellItems(10, 4, 1);
    std::ranges::fill(items.embeddings.values, value);
    const FactorCodes codes = MakeFactorCodes(items, Planes(4, 9), FactorKind::kAsym);
    EXPECT_EQ(codes.unit, 1.0f);
    for (size_t i = 0; i < 10; ++i) EXPECT_EQ(codes.rows.row(i)[2], 0);
  }
}

TEST(FactorCodes, RefusesWhatDoesNotFit) {
  const ItemTable items = BellItems(10, 4, 1);
  const Hyperplanes planes = Planes(4, 9);
  EXPECT_TRUE(Has(Error([&] { MakeFactorCodes(items, Planes(5, 9), FactorKind::kNorm); }), "5"));
  EXPECT_TRUE(Has(Error([&] { MakeFactorCodes(items, planes, FactorKind::kNorm, 0); }), "threads"));
  const std::vector<float> rows(8);
  const auto encode = [&](float unit, size_t values, size_t bytes) {
    std::vector<uint8_t> codes(bytes);
    return Error([&] {
      EncodeWithFactors(planes, FactorKind::kAsym, unit, std::span(rows).first(values), codes);
    });
  };
  EXPECT_EQ(encode(1, 8, 6), "");
  EXPECT_TRUE(Has(encode(0, 8, 6), "unit"));
  EXPECT_TRUE(Has(encode(std::numeric_limits<float>::quiet_NaN(), 8, 6), "unit"));
  EXPECT_TRUE(Has(encode(1, 7, 6), "7"));
  EXPECT_TRUE(Has(encode(1, 8, 5), "5"));
}

// A behaviour appended or trained on is one row written into the blocks.
TEST(FactorCodes, AnAppendedRowIsAsOneGathered) {
  const ItemTable items = BellItems(70, 8, 2);
  const FactorCodes codes = MakeFactorCodes(items, Planes(8, 20), FactorKind::kAsym);
  const size_t row_bytes = codes.rows.cols;
  std::vector<int32_t> ids(70);
  std::iota(ids.begin(), ids.end(), 0);
  std::vector<uint8_t> gathered(simd::CodeBlocksBytes(70, row_bytes)), appended(gathered.size());
  simd::GatherCodeBlocks(codes.rows.view(), {ids.data(), 70}, gathered.data());
  for (size_t i = 0; i < 70; ++i) {
    std::vector<uint8_t> row(row_bytes);
    EncodeWithFactors(Planes(8, 20), FactorKind::kAsym, codes.unit, RowOf(items, i), row);
    simd::SetBlockCode(appended.data(), row_bytes, i, row.data());
  }
  EXPECT_EQ(appended, gathered);
}

// `table` holds the codes of all items with their factors.
Lists NormReference(const ItemTable& items, const Hyperplanes& planes,
                    std::span<const uint8_t> table, std::span<const int32_t> history,
                    std::span<const int32_t> candidates, size_t k) {
  const size_t row_bytes = planes.code_bytes() + 1;
  std::vector<uint8_t> rows;
  for (const int32_t item : history) {
    const auto row = table.subspan(static_cast<size_t>(item) * row_bytes, row_bytes);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  Lists lists;
  for (const int32_t candidate : candidates) {
    const auto code = CodeOf(planes, RowOf(items, static_cast<size_t>(candidate)));
    lists.emplace_back();
    for (const auto& near :
         reference::NearestOf(reference::NormDistances(rows, planes.bits(), code), k,
                              simd::TieOrder::kNewestFirst)) {
      lists.back().push_back(near.position);
    }
  }
  return Sorted(lists);
}

class EtaNormTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(EtaNormTest);

TEST_P(EtaNormTest, AsReference) {
  const Bundle bundle = OneUserBundle();
  std::vector<int32_t> candidates(19);
  std::iota(candidates.begin(), candidates.end(), 3);
  for (const size_t bits : {1, 64, 140, 300}) {
    const Hyperplanes planes = Planes(bundle.items.dim(), bits);
    const auto norm = MakeEtaNormRetriever("eta_norm", bundle.items, planes, 2);
    const auto table = Reference(bundle.items, planes, FactorKind::kNorm);
    const auto scratch = norm->NewScratch();
    // One scratch for all lengths: what a longer history left behind must not show.
    for (const size_t n : {1000, 0, 1, 63, 64, 65, 200}) {
      const std::span<const int32_t> history = std::span(bundle.histories.items).last(n);
      for (const size_t k : {1, 64, 300}) {
        EXPECT_EQ(RetrieveSets(*norm, history, candidates, k, *scratch),
                  NormReference(bundle.items, planes, table, history, candidates, k))
            << bits << " bits, n = " << n << ", k = " << k;
      }
    }
  }
}

TEST_P(EtaNormTest, FindsMoreThanAnglesDo) {
  const Bundle bundle = OneUserBundle();
  std::vector<int32_t> candidates(200), history(500);
  std::iota(candidates.begin(), candidates.end(), 0);
  std::iota(history.begin(), history.end(), 0);  // each item once: no ties by repetition
  const Hyperplanes planes = Planes(bundle.items.dim(), 64);
  const Lists exact =
      RetrieveSets(*MakeExactRetriever("exact", bundle.items), history, candidates, 32);
  const auto recall = [&](const Retriever& retriever) {
    const Lists found = RetrieveSets(retriever, history, candidates, 32);
    size_t both = 0;
    for (size_t b = 0; b < candidates.size(); ++b) {
      std::vector<int32_t> common;
      std::ranges::set_intersection(exact[b], found[b], std::back_inserter(common));
      both += common.size();
    }
    return static_cast<double>(both) / static_cast<double>(32 * candidates.size());
  };
  const double eta = recall(*MakeEtaRetriever("eta", bundle.items, planes));
  EXPECT_GT(recall(*MakeEtaNormRetriever("eta_norm", bundle.items, planes)), eta + 0.02);
}

TEST_P(EtaNormTest, SaysWhatItIs) {
  const ItemTable items = BellItems(500, 24, 1);
  const auto norm = MakeEtaNormRetriever("eta_norm:60", items, Planes(24, 60));
  EXPECT_EQ(norm->name(), "eta_norm:60");
  EXPECT_EQ(norm->target(), simd::TargetName(GetParam()));
  EXPECT_EQ(norm->bits(), 60u);
  EXPECT_EQ(norm->table_bytes(), 500u * 9);
  EXPECT_EQ(norm->Prepare(std::vector<int32_t>(100, 3))->bytes(), 128u * 9);
  EXPECT_EQ(norm->Prepare({})->bytes(), 0u);
  EXPECT_THROW(norm->Prepare(std::vector<int32_t>{500}), std::invalid_argument);
  EXPECT_THROW(MakeEtaNormRetriever("a", items, Planes(24, 60), 0), std::invalid_argument);
  EXPECT_THROW(MakeEtaNormRetriever("a", items, Planes(23, 60)), std::invalid_argument);
}

}  // namespace
}  // namespace eta::test
