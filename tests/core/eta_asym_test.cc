// SPDX-License-Identifier: Apache-2.0
// ETA with asymmetric penalties as a Retriever, and the projections that it is made of.
#include <algorithm>
#include <numeric>

#include "core/reference/asym.h"
#include "core/reference/factors.h"
#include "core/reference/hadamard.h"
#include "core/reference/hamming.h"
#include "core/reference/simhash.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/eta_asym.h"
#include "core/retrieval/exact.h"
#include "core/retrieval/factor_codes.h"
#include "core/retrieval/hyperplanes.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

constexpr uint64_t kSeed = 7;

class EtaAsym : public TargetTest {
 protected:
  std::span<const float> row(int32_t item) const {
    return {items_.embeddings.row(static_cast<size_t>(item)), items_.dim()};
  }

  std::vector<float> Projections(const Hyperplanes& planes, int32_t item) const {
    std::vector<float> projections;
    for (size_t j = 0; j < planes.bits(); ++j) {
      projections.push_back(
          reference::Projection(row(item), planes.matrix().values, planes.bits(), j));
    }
    return projections;
  }

  std::vector<uint8_t> Codes(const Hyperplanes& planes, std::span<const int32_t> items) const {
    std::vector<float> rows;
    for (const int32_t item : items) rows.insert(rows.end(), row(item).begin(), row(item).end());
    if (planes.kind() == HyperplaneKind::kHadamard) {
      return reference::HadamardRows(rows, planes.dim(), planes.hadamard_sign_bits(),
                                     planes.bits());
    }
    return reference::SimHashRows(rows, planes.dim(), planes.matrix().values, planes.bits());
  }

  // The codes with their factors in the units of the table.
  std::vector<uint8_t> Rows(const Hyperplanes& planes, std::span<const int32_t> items) const {
    const float unit = MakeFactorCodes(items_, planes, FactorKind::kAsym).unit;
    const auto codes = Codes(planes, items);
    std::vector<uint8_t> rows;
    for (size_t i = 0; i < items.size(); ++i) {
      const auto code = std::span(codes).subspan(i * planes.code_bytes(), planes.code_bytes());
      rows.insert(rows.end(), code.begin(), code.end());
      const float factor = reference::AsymFactor(row(items[i]), Projections(planes, items[i]));
      rows.push_back(reference::QuantizeFactor(factor, unit));
    }
    return rows;
  }

  // `rows` are those of a history, with factors or without.
  Lists Reference(const Hyperplanes& planes, std::span<const uint8_t> rows,
                  std::span<const int32_t> candidates, size_t k, bool factors) const {
    Lists lists;
    for (const int32_t candidate : candidates) {
      const auto weights = reference::QuantizeProjections(Projections(planes, candidate));
      const auto distances = factors ? reference::AsymFactorDistances(rows, planes.bits(), weights)
                                     : reference::AsymPenalties(rows, weights);
      lists.emplace_back();
      for (const auto& neighbor :
           reference::NearestOf(distances, k, simd::TieOrder::kNewestFirst)) {
        lists.back().push_back(neighbor.position);
      }
      std::ranges::sort(lists.back());
    }
    return lists;
  }

  const Bundle bundle_ = OneUserBundle();
  const ItemTable& items_ = bundle_.items;
};

ETA_FOR_EVERY_TARGET(EtaAsym);

TEST_P(EtaAsym, AsReference) {
  std::vector<int32_t> candidates(19);
  std::iota(candidates.begin(), candidates.end(), 3);
  for (const auto& [kind, bits] :
       {std::pair{HyperplaneKind::kGaussian, 1}, std::pair{HyperplaneKind::kGaussian, 64},
        std::pair{HyperplaneKind::kGaussian, 140}, std::pair{HyperplaneKind::kOrthogonal, 100},
        std::pair{HyperplaneKind::kHadamard, 96}}) {
    const Hyperplanes planes =
        Hyperplanes::Make(kind, items_.dim(), static_cast<size_t>(bits), kSeed);
    const auto asym = MakeEtaAsymRetriever("eta_asym", items_, planes, 2);
    const auto plain = MakeEtaAsymPlainRetriever("eta_asym_plain", items_, planes, 2);
    const auto scratch = asym->NewScratch(), plain_scratch = plain->NewScratch();
    // One scratch for all lengths: what a longer history left behind must not show.
    for (const size_t n : {1000, 0, 1, 63, 64, 65, 200}) {
      const std::span<const int32_t> history = std::span(bundle_.histories.items).last(n);
      const auto rows = Rows(planes, history), codes = Codes(planes, history);
      for (const size_t k : {1, 64, 300}) {
        SCOPED_TRACE(::testing::Message() << HyperplaneKindName(kind) << " " << bits
                                          << " bits, n = " << n << ", k = " << k);
        EXPECT_EQ(RetrieveSets(*asym, history, candidates, k, *scratch),
                  Reference(planes, rows, candidates, k, true));
        EXPECT_EQ(RetrieveSets(*plain, history, candidates, k, *plain_scratch),
                  Reference(planes, codes, candidates, k, false));
      }
    }
  }
}

TEST_P(EtaAsym, ProjectsInOneOrderOnEveryTarget) {
  for (const HyperplaneKind kind : {HyperplaneKind::kGaussian, HyperplaneKind::kHadamard}) {
    for (const size_t bits : {1, 63, 64, 65, 130}) {
      const Hyperplanes planes = Hyperplanes::Make(kind, items_.dim(), bits, kSeed);
      const size_t rows = 9, stride = planes.projection_stride();
      std::vector<float> projections(rows * stride);
      planes.Project({items_.embeddings.row(0), rows * items_.dim()}, projections);
      for (size_t r = 0; r < rows; ++r) {
        EXPECT_TRUE(SameValues<float>(std::span<const float>(projections).subspan(r * stride, bits),
                                      Projections(planes, static_cast<int32_t>(r))))
            << HyperplaneKindName(kind) << " " << bits << " bits, row " << r;
      }
      projections.pop_back();
      EXPECT_THROW(planes.Project({items_.embeddings.row(0), rows * items_.dim()}, projections),
                   std::invalid_argument);
      EXPECT_THROW(planes.Project({items_.embeddings.row(0), items_.dim() + 1}, projections),
                   std::invalid_argument);
    }
  }
}

// Share of the K largest inner products that a method returns, averaged over candidates.
double Recall(const Retriever& exact, const Retriever& retriever, std::span<const int32_t> history,
              std::span<const int32_t> candidates, size_t k) {
  const Lists wanted = RetrieveSets(exact, history, candidates, k);
  const Lists found = RetrieveSets(retriever, history, candidates, k);
  size_t both = 0;
  for (size_t b = 0; b < candidates.size(); ++b) {
    std::vector<int32_t> common;
    std::ranges::set_intersection(wanted[b], found[b], std::back_inserter(common));
    both += common.size();
  }
  return static_cast<double>(both) / static_cast<double>(candidates.size() * k);
}

// On data of one seed. With many bits per dimension the lengths of the embeddings, which only the
// form with factors knows, decide more than the rounding of the candidate.
TEST_P(EtaAsym, FindsMoreThanHamming) {
  std::vector<int32_t> candidates(200);
  std::iota(candidates.begin(), candidates.end(), 0);
  // Each item once: of equal scores either may be returned.
  std::vector<int32_t> history(500);
  std::iota(history.begin(), history.end(), 0);
  const auto exact = MakeExactRetriever("exact", items_);
  const auto recall = [&](const auto& make, const Hyperplanes& planes) {
    return Recall(*exact, *make("retriever", items_, planes, 1), history, candidates, 32);
  };
  const auto make_eta = [](std::string name, const ItemTable& items, const Hyperplanes& planes,
                           int threads) {
    return MakeEtaRetriever(std::move(name), items, planes, threads);
  };
  for (const size_t bits : {32, 64, 256}) {
    const Hyperplanes planes =
        Hyperplanes::Make(HyperplaneKind::kGaussian, items_.dim(), bits, kSeed);
    const double plain = recall(MakeEtaAsymPlainRetriever, planes);
    const double asym = recall(MakeEtaAsymRetriever, planes);
    if (bits <= 64) {
      EXPECT_GT(plain, recall(make_eta, planes) + 0.02) << bits << " bits";
    }
    EXPECT_GT(asym, plain + 0.02) << bits << " bits";
    EXPECT_LT(asym, 1.0) << bits << " bits";
  }
}

TEST_P(EtaAsym, SaysWhatItIs) {
  const Hyperplanes planes = Hyperplanes::Make(HyperplaneKind::kGaussian, items_.dim(), 60, kSeed);
  const auto asym = MakeEtaAsymRetriever("eta_asym:60", items_, planes);
  EXPECT_EQ(asym->name(), "eta_asym:60");
  EXPECT_EQ(asym->target(), simd::TargetName(GetParam()));
  EXPECT_EQ(asym->bits(), 60u);
  EXPECT_EQ(asym->table_bytes(), 500u * (9 + 64));
  EXPECT_EQ(asym->Prepare(std::span(bundle_.histories.items).first(100))->bytes(), 128u * 9);
  const auto plain = MakeEtaAsymPlainRetriever("eta_asym_plain:60", items_, planes);
  EXPECT_EQ(plain->table_bytes(), 500u * (8 + 64));
  EXPECT_EQ(plain->Prepare(std::span(bundle_.histories.items).first(100))->bytes(), 128u * 8);
  EXPECT_EQ(asym->Prepare({})->bytes(), 0u);
  EXPECT_THROW(asym->Prepare(std::vector<int32_t>{500}), std::invalid_argument);
  EXPECT_THROW(MakeEtaAsymRetriever("a", items_, planes, 0), std::invalid_argument);
  EXPECT_THROW(MakeEtaAsymRetriever("a", items_,
                                    Hyperplanes::Make(HyperplaneKind::kGaussian, 23, 60, kSeed)),
               std::invalid_argument);
}

}  // namespace
}  // namespace eta::test
