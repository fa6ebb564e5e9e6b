// SPDX-License-Identifier: Apache-2.0
// Hyperplanes trained on the items: what they promise, and that they find more.
#include "core/retrieval/itq.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/retrieval/eta.h"
#include "core/retrieval/exact.h"
#include "simd/target.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

// Embeddings that vary less and less from dimension to dimension, as learned ones do.
ItemTable UnevenItems(size_t count, size_t dim, uint64_t seed) {
  ItemTable items = BellItems(count, dim, seed);
  for (size_t i = 0; i < count; ++i) {
    for (size_t d = 0; d < dim; ++d) {
      items.embeddings.row(i)[d] /= std::sqrt(static_cast<float>(1 + d));
    }
  }
  return items;
}

double InnerProduct(const Matrix<float>& planes, size_t a, size_t b) {
  double sum = 0;
  for (size_t d = 0; d < planes.rows; ++d) {
    sum += static_cast<double>(planes.row(d)[a]) * planes.row(d)[b];
  }
  return sum;
}

TEST(Itq, ColumnsOfAGroupAreOrthonormal) {
  const ItemTable items = UnevenItems(300, 12, 1);
  for (const size_t bits : {1, 5, 12, 30}) {
    const Hyperplanes planes = TrainItq(items, bits, 3);
    EXPECT_EQ(planes.kind(), HyperplaneKind::kLoaded);
    ASSERT_EQ(planes.dim(), 12u);
    ASSERT_EQ(planes.bits(), bits);
    for (size_t a = 0; a < bits; ++a) {
      for (size_t b = a / 12 * 12; b <= a; ++b) {
        EXPECT_NEAR(InnerProduct(planes.matrix(), a, b), a == b ? 1 : 0, 1e-4)
            << bits << " bits, columns " << a << " and " << b;
      }
    }
  }
}

TEST(Itq, SameBytesOnEveryTarget) {
  const ItemTable items = UnevenItems(200, 10, 2);
  for (const size_t bits : {4, 10, 26}) {
    AlignedVector<float> first;
    for (const int64_t target : SupportedTargetList()) {
      SCOPED_TRACE(simd::TargetName(target));
      ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(target)));
      const Hyperplanes planes = TrainItq(items, bits, 5);
      if (first.empty()) first = planes.matrix().values;
      EXPECT_TRUE(SameValues<float>(planes.matrix().values, first));
    }
  }
  ASSERT_TRUE(simd::ForceTargetForTest(nullptr));
  EXPECT_NE(TrainItq(items, 10, 5).matrix().values, TrainItq(items, 10, 6).matrix().values);
}

double Recall(const ItemTable& items, const Hyperplanes& planes) {
  constexpr size_t kK = 32;
  Rng rng(9);
  const auto candidates = RandomIds(rng, 60, items.size());
  std::vector<int32_t> history;  // each item once: no ties by repetition
  for (size_t i = 0; i < items.size(); i += 2) history.push_back(static_cast<int32_t>(i));
  const Lists exact = RetrieveSets(*MakeExactRetriever("e", items), history, candidates, kK);
  const Lists found =
      RetrieveSets(*MakeEtaRetriever("eta", items, planes), history, candidates, kK);
  size_t both = 0;
  for (size_t b = 0; b < candidates.size(); ++b) {
    std::vector<int32_t> common;
    std::ranges::set_intersection(exact[b], found[b], std::back_inserter(common));
    both += common.size();
  }
  return static_cast<double>(both) / static_cast<double>(kK * candidates.size());
}

TEST(Itq, FindsMoreThanRandomRotations) {
  const ItemTable items = UnevenItems(2000, 24, 3);
  for (const size_t bits : {12, 24}) {
    const double random =
        Recall(items, Hyperplanes::Make(HyperplaneKind::kOrthogonal, 24, bits, 1));
    EXPECT_GT(Recall(items, TrainItq(items, bits, 1)), random + 0.03) << bits << " bits";
  }
}

// A few items that are broken or enormous change little, and the scale of all of them nothing.
TEST(Itq, IsNotLedByAFewItems) {
  const ItemTable items = UnevenItems(1000, 16, 4);
  ItemTable hard = items, tiny = items;
  for (size_t d = 0; d < 16; ++d) {
    hard.embeddings.row(3)[d] = std::numeric_limits<float>::quiet_NaN();
    hard.embeddings.row(4)[d] = std::numeric_limits<float>::infinity();
    hard.embeddings.row(5)[d] = 0;
    hard.embeddings.row(6)[d] = d == 15 ? 1e30f : 0;
  }
  for (float& value : tiny.embeddings.values) value *= 0x1p-60f;
  const double recall = Recall(items, TrainItq(items, 16, 1));
  EXPECT_NEAR(Recall(items, TrainItq(hard, 16, 1)), recall, 0.03);
  EXPECT_TRUE(SameValues<float>(TrainItq(tiny, 16, 1).matrix().values,
                                TrainItq(items, 16, 1).matrix().values));
}

TEST(Itq, ItemsWithoutLength) {
  ItemTable items = BellItems(20, 6, 1);
  std::ranges::fill(items.embeddings.values, 0.0f);
  EXPECT_TRUE(
      SameValues<float>(TrainItq(items, 9, 7).matrix().values,
                        Hyperplanes::Make(HyperplaneKind::kOrthogonal, 6, 9, 7).matrix().values));
  // All in one direction: the others stay orthonormal or 0, and finite.
  for (size_t i = 0; i < 20; ++i) items.embeddings.row(i)[2] = static_cast<float>(1 + i);
  EXPECT_EQ(TrainItq(items, 9, 7).bits(), 9u);
}

TEST(Itq, RefusesWhatCannotBe) {
  const ItemTable items = BellItems(20, 6, 1);
  EXPECT_TRUE(Has(Error([&] { TrainItq(items, 0, 1); }), "bits"));
  EXPECT_TRUE(Has(Error([&] { TrainItq(items, 4097, 1); }), "4097"));
  EXPECT_TRUE(Has(Error([&] { Hyperplanes::Make(HyperplaneKind::kItq, 6, 8, 1); }), "itq"));
  EXPECT_EQ(ParseHyperplaneKind("itq"), HyperplaneKind::kItq);
  EXPECT_STREQ(HyperplaneKindName(HyperplaneKind::kItq), "itq");
}

}  // namespace
}  // namespace eta::test
