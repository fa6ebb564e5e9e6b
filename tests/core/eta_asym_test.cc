// SPDX-License-Identifier: Apache-2.0
// ETA with asymmetric penalties as a Retriever, and the projections that it is made of.
#include <algorithm>
#include <numeric>

#include "core/reference/asym.h"
#include "core/reference/hadamard.h"
#include "core/reference/simhash.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/eta_asym.h"
#include "core/retrieval/exact.h"
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

  Lists Reference(const Hyperplanes& planes, std::span<const int32_t> history,
                  std::span<const int32_t> candidates, size_t k) const {
    const auto codes = Codes(planes, history);
    Lists lists;
    for (const int32_t candidate : candidates) {
      const auto weights = reference::QuantizeProjections(Projections(planes, candidate));
      lists.emplace_back();
      for (const auto& neighbor :
           reference::AsymTopK(codes, weights, k, simd::TieOrder::kNewestFirst)) {
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
    const auto scratch = asym->NewScratch();
    // One scratch for all lengths: what a longer history left behind must not show.
    for (const size_t n : {1000, 0, 1, 63, 64, 65, 200}) {
      const std::span<const int32_t> history = std::span(bundle_.histories.items).last(n);
      for (const size_t k : {1, 64, 300}) {
        EXPECT_EQ(RetrieveSets(*asym, history, candidates, k, *scratch),
                  Reference(planes, history, candidates, k))
            << HyperplaneKindName(kind) << " " << bits << " bits, n = " << n << ", k = " << k;
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

// On data of one seed, and with few bits per dimension: with many, the lengths of the embeddings,
// which neither method knows, decide more than the rounding of the candidate.
TEST_P(EtaAsym, FindsMoreThanHamming) {
  std::vector<int32_t> candidates(200);
  std::iota(candidates.begin(), candidates.end(), 0);
  // Each item once: of equal scores either may be returned.
  std::vector<int32_t> history(500);
  std::iota(history.begin(), history.end(), 0);
  const auto exact = MakeExactRetriever("exact", items_);
  for (const size_t bits : {32, 64}) {
    const Hyperplanes planes =
        Hyperplanes::Make(HyperplaneKind::kGaussian, items_.dim(), bits, kSeed);
    const double eta =
        Recall(*exact, *MakeEtaRetriever("eta", items_, planes), history, candidates, 32);
    const double asym =
        Recall(*exact, *MakeEtaAsymRetriever("eta_asym", items_, planes), history, candidates, 32);
    EXPECT_GT(asym, eta + 0.02) << bits << " bits";
    EXPECT_LT(asym, 1.0) << bits << " bits";
  }
}

TEST_P(EtaAsym, SaysWhatItIs) {
  const Hyperplanes planes = Hyperplanes::Make(HyperplaneKind::kGaussian, items_.dim(), 60, kSeed);
  const auto asym = MakeEtaAsymRetriever("eta_asym:60", items_, planes);
  EXPECT_EQ(asym->name(), "eta_asym:60");
  EXPECT_EQ(asym->target(), simd::TargetName(GetParam()));
  EXPECT_EQ(asym->bits(), 60u);
  EXPECT_EQ(asym->table_bytes(), 500u * (8 + 64));
  EXPECT_EQ(asym->Prepare(std::span(bundle_.histories.items).first(100))->bytes(), 128u * 8);
  EXPECT_EQ(asym->Prepare({})->bytes(), 0u);
  EXPECT_THROW(asym->Prepare(std::vector<int32_t>{500}), std::invalid_argument);
  EXPECT_THROW(MakeEtaAsymRetriever("a", items_, planes, 0), std::invalid_argument);
  EXPECT_THROW(MakeEtaAsymRetriever("a", items_,
                                    Hyperplanes::Make(HyperplaneKind::kGaussian, 23, 60, kSeed)),
               std::invalid_argument);
}

}  // namespace
}  // namespace eta::test
