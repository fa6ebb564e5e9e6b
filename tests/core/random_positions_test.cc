// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/random_positions.h"

#include <cmath>
#include <map>
#include <numeric>

#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kItems = 10000;

std::vector<int32_t> AllItems() {
  std::vector<int32_t> items(kItems);
  std::iota(items.begin(), items.end(), 0);
  return items;
}

// Counts lie within five standard deviations of what chance gives.
void ExpectAbout(double count, double share) {
  const double deviation = std::sqrt(kItems * share * (1 - share));
  EXPECT_NEAR(count, kItems * share, 5 * deviation);
}

TEST(RandomPositions, EverySetIsAsLikely) {
  const auto random = MakeRandomRetriever("random", kItems, 1);
  std::map<std::vector<int32_t>, int> seen;
  for (const auto& set : RetrieveSets(*random, std::vector<int32_t>(5), AllItems(), 2)) ++seen[set];
  EXPECT_EQ(seen.size(), 10u);
  for (const auto& [set, count] : seen) ExpectAbout(count, 0.1);
}

TEST(RandomPositions, EveryPositionIsAsLikely) {
  const auto random = MakeRandomRetriever("random", kItems, 1);
  std::vector<int> counts(300);
  for (const auto& set : RetrieveSets(*random, std::vector<int32_t>(300), AllItems(), 64)) {
    for (const int32_t position : set) ++counts[static_cast<size_t>(position)];
  }
  for (const int count : counts) ExpectAbout(count, 64.0 / 300);
}

// Neither the batch nor what the scratch was used for before has a part in it.
TEST(RandomPositions, DependsOnSeedCandidateAndLengthAlone) {
  const auto random = MakeRandomRetriever("random", kItems, 1);
  const auto other = MakeRandomRetriever("random", kItems, 2);
  const std::vector<int32_t> history(200), shorter(199), few = {7, 5};
  const auto scratch = random->NewScratch();
  const Lists all = RetrieveSets(*random, history, AllItems(), 20, *scratch);
  EXPECT_EQ(RetrieveSets(*random, history, few, 20, *scratch), (Lists{all[7], all[5]}));
  EXPECT_NE(all[7], all[5]);
  EXPECT_NE(RetrieveSets(*random, shorter, few, 20, *scratch), (Lists{all[7], all[5]}));
  EXPECT_NE(RetrieveSets(*other, history, few, 20), (Lists{all[7], all[5]}));
}

}  // namespace
}  // namespace eta::test
