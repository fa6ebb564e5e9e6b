// SPDX-License-Identifier: Apache-2.0
// The parts of serving_bench: who comes how often, what the store is made of, and the oracle.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <vector>

#include "bench/serving/data.h"
#include "bench/serving/popularity.h"
#include "bench/serving/traffic.h"
#include "bench/serving/verify.h"
#include "core/ctr/model.h"
#include "core/retrieval/eta.h"
#include "tests/support/ctr_test_util.h"
#include "tests/support/temp_folder.h"

namespace eta::bench {
namespace {

ServingOptions Small() {
  ServingOptions options;
  options.generator = {.users = 20, .items = 300, .dim = 16, .fixed_length = 80};
  options.bits = 40;
  options.k = 7;
  options.b = 12;
  return options;
}

TEST(Popularity, IsThatOfZipf) {
  constexpr size_t kUsers = 1000;
  constexpr int kDraws = 200'000;
  for (const double exponent : {1.0, 0.5}) {
    const Popularity popularity(kUsers, exponent, 7);
    std::map<size_t, int> draws;
    Random random(3);
    for (int i = 0; i < kDraws; ++i) ++draws[popularity.Draw(random)];
    double sum = 0;
    for (size_t rank = 1; rank <= kUsers; ++rank) {
      sum += std::pow(static_cast<double>(rank), -exponent);
    }
    for (const size_t rank : {1, 2, 3, 10, 100, 1000}) {
      const double expected = kDraws * std::pow(static_cast<double>(rank), -exponent) / sum;
      EXPECT_NEAR(draws[popularity.user(rank)], expected, 5 * std::sqrt(expected))
          << rank << " of " << exponent;
    }
    EXPECT_LT(draws.rbegin()->first, kUsers);
  }
}

TEST(Popularity, GivesEachRankToOneUserByTheSeed) {
  const Popularity a(100, 1, 1), same(100, 1, 1), other(100, 1, 2);
  std::set<size_t> users;
  size_t moved = 0;
  for (size_t rank = 1; rank <= 100; ++rank) {
    users.insert(a.user(rank));
    EXPECT_EQ(a.user(rank), same.user(rank));
    moved += a.user(rank) != other.user(rank);
  }
  EXPECT_EQ(users.size(), 100);
  EXPECT_GT(moved, 90);
  EXPECT_THROW(Popularity(0, 1, 1), std::invalid_argument);
}

TEST(Traffic, DependsOnSeedAndPhaseAlone) {
  const ServingOptions options = Small();
  const ServingData data(options);
  const Traffic a(data, options), b(data, options);
  EXPECT_EQ(a.DrawUsers(50, 1), b.DrawUsers(50, 1));
  EXPECT_NE(a.DrawUsers(50, 1), a.DrawUsers(50, 2));
  for (size_t request = 0; request < 100; ++request) {
    const auto candidates = a.Candidates(request);
    EXPECT_TRUE(std::ranges::equal(candidates, b.Candidates(request)));
    const std::set<int32_t> distinct(candidates.begin(), candidates.end());
    EXPECT_EQ(distinct.size(), 12);
    EXPECT_GE(*distinct.begin(), 0);
    EXPECT_LT(*distinct.rbegin(), 300);
  }
}

TEST(Traffic, HasAsManyCandidatesAsThereAreItems) {
  ServingOptions options = Small();
  options.b = 1000;
  options.generator.items = 200;
  const ServingData data(options);
  EXPECT_EQ(Traffic(data, options).Candidates(0).size(), 200);
}

TEST(Traffic, RemembersWhatIsAcknowledged) {
  ServingOptions options = Small();
  options.batch = 30;
  const ServingData data(options);
  Traffic traffic(data, options);
  Random random(1);
  const EventBatch batch = traffic.NextBatch(Traffic::kRunStart + 5, random);
  ASSERT_EQ(batch.events.size(), 30);
  std::set<size_t> users;
  for (const Event& event : batch.events) {
    const auto user = static_cast<size_t>(std::get<int64_t>(event.user));
    ASSERT_LT(user, data.users());
    EXPECT_EQ(traffic.acknowledged(user), 0);
    users.insert(user);
  }
  traffic.Acknowledge(batch);
  for (size_t user = 0; user < data.users(); ++user) {
    EXPECT_EQ(traffic.acknowledged(user), users.count(user) ? Traffic::kRunStart + 5 : 0);
  }
}

TEST(FillStore, MakesAStoreOfTheData) {
  TempFolder folder;
  ServingOptions options = Small();
  options.generator.fixed_length = 0;
  options.generator.users = 100;  // some without behaviours
  const ServingData data(options);
  HistoryStore::Create(folder / "store");
  HistoryStore store(folder / "store");
  double last = 0;
  const FillResult result = FillStore(data, store, [&](double share) {
    EXPECT_GE(share, last);
    last = share;
  });
  EXPECT_EQ(last, 1);
  size_t behaviours = 0;
  for (size_t user = 0; user < data.users(); ++user) {
    const std::vector<Behaviour> history = data.History(user);
    EXPECT_EQ(store.Read(static_cast<int64_t>(user), SIZE_MAX), history) << user;
    behaviours += history.size();
  }
  EXPECT_EQ(result.behaviours, behaviours);
  EXPECT_GT(FolderBytes((folder / "store").string()), behaviours);
}

TEST(ServingData, TakesABundleWithAndWithoutTimes) {
  TempFolder folder;
  Bundle bundle = GenerateBundle(Small().generator);
  WriteBundle(bundle, folder / "timed");
  bundle.histories.times.clear();
  WriteBundle(bundle, folder / "plain");
  ServingOptions options;
  options.bundle = (folder / "timed").string();
  EXPECT_EQ(ServingData(options).History(3), ServingData(Small()).History(3));
  options.bundle = (folder / "plain").string();
  const std::vector<Behaviour> history = ServingData(options).History(3);
  EXPECT_EQ(history[5], (Behaviour{bundle.histories[3][5], 5}));
}

TEST(AgreesWithReference, FindsOtherPositionsAndOtherModels) {
  const Bundle bundle = GenerateBundle(Small().generator);
  const auto planes = Hyperplanes::Make(HyperplaneKind::kGaussian, 16, 40, 1);
  const auto other = Hyperplanes::Make(HyperplaneKind::kGaussian, 16, 40, 2);
  const auto history = bundle.histories[2];
  Found found;
  found.candidates = {5, 6, 7};
  found.positions.resize(3 * 7);
  found.counts.resize(3);
  const auto eta = MakeEtaRetriever("eta", bundle.items, planes);
  eta->Retrieve(*eta->Prepare(history), found.candidates, 7, *eta->NewScratch(),
                {found.positions, found.counts});
  EXPECT_TRUE(AgreesWithReference(found, 7, bundle.items, planes, history));
  EXPECT_FALSE(AgreesWithReference(found, 7, bundle.items, other, history));
  EXPECT_FALSE(AgreesWithReference(found, 7, bundle.items, planes, bundle.histories[3]));
  Found mixed = found;
  mixed.positions[3] = (mixed.positions[3] + 1) % 80;
  EXPECT_FALSE(AgreesWithReference(mixed, 7, bundle.items, planes, history));
  mixed = found;
  mixed.counts[2] = 6;
  EXPECT_FALSE(AgreesWithReference(mixed, 7, bundle.items, planes, history));
}

TEST(ScoresAgree, FindsOtherLogitsAndOtherHistories) {
  const CtrExport model = test::ModelMaker(CtrUnit::kEta, test::SomeSettings(16, 2), 80, 3).Make();
  const CtrModel served(model);
  CtrUser user = served.NewUser();
  CtrScratch scratch = served.NewScratch();
  std::vector<int32_t> history(100);
  for (size_t i = 0; i < history.size(); ++i) history[i] = static_cast<int32_t>(i * 7 % 80);
  const std::vector<int32_t> candidates = {5, 6, 7};
  std::vector<float> logits(3);
  served.Prepare(2, std::span<const int32_t>(history).last(90), scratch, user);
  served.Score(user, candidates, scratch, logits);
  EXPECT_TRUE(ScoresAgree(model, 2, history, candidates, logits));
  EXPECT_FALSE(ScoresAgree(model, 3, history, candidates, logits));
  EXPECT_FALSE(ScoresAgree(model, 2, std::span(history).first(40), candidates, logits));
  for (const float wrong : {logits[2] + 0.1f, std::nanf("")}) {
    std::vector<float> others = logits;
    others[2] = wrong;
    EXPECT_FALSE(ScoresAgree(model, 2, history, candidates, others));
  }
}

}  // namespace
}  // namespace eta::bench
