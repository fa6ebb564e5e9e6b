// SPDX-License-Identifier: Apache-2.0
// ETA that gathers codes for each request returns the sets that ETA on packed blocks returns.
#include <algorithm>
#include <numeric>

#include "core/retrieval/eta.h"
#include "core/retrieval/eta_gather.h"
#include "core/retrieval/hyperplanes.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

constexpr uint64_t kSeed = 7;

class EtaGather : public TargetTest {
 protected:
  const Bundle bundle_ = OneUserBundle();
  const ItemTable& items_ = bundle_.items;
};

ETA_FOR_EVERY_TARGET(EtaGather);

TEST_P(EtaGather, ReturnsTheSetsOfEta) {
  std::vector<int32_t> candidates(19);
  std::iota(candidates.begin(), candidates.end(), 3);
  for (const size_t bits : {1, 64, 100, 512}) {
    const Hyperplanes planes =
        Hyperplanes::Make(HyperplaneKind::kGaussian, items_.dim(), bits, kSeed);
    const auto packed = MakeEtaRetriever("eta", items_, planes);
    const auto gather = MakeEtaGatherRetriever("eta_gather", items_, planes);
    const auto packed_scratch = packed->NewScratch();
    const auto scratch = gather->NewScratch();
    // One scratch for all lengths: what a longer history left behind must not show.
    for (const size_t n : {1000, 0, 1, 63, 64, 65, 200}) {
      const std::span<const int32_t> history = std::span(bundle_.histories.items).last(n);
      for (const size_t k : {1, 64, 300}) {
        EXPECT_EQ(RetrieveSets(*gather, history, candidates, k, *scratch),
                  RetrieveSets(*packed, history, candidates, k, *packed_scratch))
            << bits << " bits, n = " << n << ", k = " << k;
      }
    }
  }
}

TEST_P(EtaGather, HoldsNothingButItemIds) {
  const Hyperplanes planes = Hyperplanes::Make(HyperplaneKind::kGaussian, items_.dim(), 64, kSeed);
  const auto gather = MakeEtaGatherRetriever("eta_gather:64", items_, planes);
  EXPECT_EQ(gather->name(), "eta_gather:64");
  EXPECT_EQ(gather->bits(), 64);
  EXPECT_EQ(gather->table_bytes(), 500 * 8);
  const auto prepared = gather->Prepare(std::span(bundle_.histories.items).first(100));
  EXPECT_EQ(prepared->bytes(), 400);
  EXPECT_EQ(prepared->user_bytes(), 400);  // the ids are counted once
  EXPECT_EQ(gather->Prepare({})->bytes(), 0);
  EXPECT_THROW(gather->Prepare(std::vector<int32_t>{500}), std::invalid_argument);
  EXPECT_THROW(gather->Prepare(std::vector<int32_t>{-1}), std::invalid_argument);
}

}  // namespace
}  // namespace eta::test
