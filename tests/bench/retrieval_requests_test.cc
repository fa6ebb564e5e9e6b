// SPDX-License-Identifier: Apache-2.0
// Which users, histories and candidates a run asks about.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/data/bundle.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/pq4_codebooks.h"
#include "tests/support/retrieval_bench_fixture.h"

namespace eta {
namespace {

TEST_F(RetrievalBench, ReadsABundleWithCandidatesAndHyperplanes) {
  const std::string bundle = MakeBundle([](Bundle& b) {
    b.items.categories.clear();
    b.candidates.emplace();
    for (int32_t user = 0; user < 6; ++user) {
      // User 0 has none, and repetitions count once.
      if (user > 0) b.candidates->items.insert(b.candidates->items.end(), {user, user, 7, 9});
      b.candidates->offsets.push_back(static_cast<int64_t>(b.candidates->items.size()));
    }
    b.hyperplanes = Hyperplanes::Make(HyperplaneKind::kSigns, 16, 64, 5).matrix();
  });
  const auto json_path = folder_ / "run.json";
  const Outcome outcome = Run(Cat("--data ", bundle, " --k 10 --json ", json_path.string()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("sim_hard left out"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("pq4:128+rerank_i8:2 left out"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("pq4:64 left out"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("5 requests instead of 200"), std::string::npos) << outcome.err;
  const auto json = nlohmann::json::parse(ReadAll(json_path));
  EXPECT_EQ(json.at("requests").at("candidates_mean"), 3);
  EXPECT_EQ(outcome.err.find("more candidates than"), std::string::npos) << outcome.err;
  const Outcome cut = Run(Cat("--data ", bundle, " --k 10 --b 2 --methods recent"));
  EXPECT_NE(cut.err.find("5 of 5 requests are given more candidates than --b 2, up to 3: the first "
                         "2 of each are used"),
            std::string::npos)
      << cut.err;
  EXPECT_EQ(json.at("requests").at("behaviours_mean"), 100);  // nothing held out
  EXPECT_EQ(json.at("settings").at("hyperplanes_loaded_bits"), 64);
  // The loaded hyperplanes make another difference than those of the seed.
  const std::string eta = Cat("--data ", bundle, " --k 10 --methods eta:64,eta:128 ");
  const Rows loaded = RunForRows(eta);
  const Rows gaussian = RunForRows(eta + "--hyperplanes gaussian");
  EXPECT_NE(loaded[0].at("recall"), gaussian[0].at("recall"));
  EXPECT_EQ(loaded[1].at("recall"), gaussian[1].at("recall"));
  ExpectBadInput(Cat("--data ", bundle, " --methods sim_hard"), "sim_hard");
  ExpectBadInput(Cat("--data ", bundle, " --methods pq4:128"), "subspaces");
  ExpectBadInput(Cat("--data ", bundle, " --users 5"), "--users");
}

TEST_F(RetrievalBench, UsesTheCodebooksOfABundle) {
  const auto bundle_of = [&](const char* name, uint64_t seed) {
    return MakeBundle(
        [&](Bundle& b) {
          const auto codebooks = Pq4Codebooks::Train(b.items, 32, {.seed = seed});
          b.pq_codebooks = codebooks.centroids();
          b.pq_rotation = codebooks.rotation();
        },
        name);
  };
  const auto settings_of = [&](const std::string& bundle) {
    const auto json_path = folder_ / "run.json";
    const auto outcome =
        Run(Cat("--data ", bundle, " --k 10 --methods pq4:32 --json ", json_path.string()));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(ReadAll(json_path)).at("settings");
  };
  EXPECT_EQ(settings_of(bundle_of("loaded", 1)).at("pq4_loaded_bits"), 32);
  EXPECT_TRUE(settings_of(MakeBundle([](Bundle&) {}, "none")).at("pq4_loaded_bits").is_null());
  // Codebooks of the run's own seed are those it would train, others find something else.
  const auto rows_of = [&](const std::string& bundle) {
    return RunForRows(Cat("--data ", bundle, " --k 10 --seed 1 --methods pq4:32,pq4:16 "));
  };
  const Rows none = rows_of((folder_ / "none").string());
  const Rows same = rows_of((folder_ / "loaded").string());
  const Rows other = rows_of(bundle_of("other", 9));
  EXPECT_EQ(same[0].at("recall"), none[0].at("recall"));
  EXPECT_NE(other[0].at("recall"), none[0].at("recall"));
  EXPECT_EQ(other[1].at("recall"), none[1].at("recall"));
}

// Candidates are compared by their own embeddings, here those of the items in reverse.
TEST_F(RetrievalBench, UsesTheEmbeddingsOfCandidates) {
  const auto json_path = folder_ / "run.json";
  const auto digests_of = [&](const std::string& bundle, const std::string& more) {
    const Outcome outcome =
        Run(Cat("--data ", bundle, kSmallRequests,
                " --repeats 1 --methods exact,cosine,scan_i8,eta:64,eta_gather:64,eta_norm:64,"
                "eta_asym:64,eta_asym_plain:64,pq4:32,eta:64+rerank:2,eta:64+rerank_i8:2,"
                "faiss_binary:64 ",
                more, " --json ", json_path.string()));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out.find(", two towers") != std::string::npos, bundle.ends_with("towers"));
    const auto json = nlohmann::json::parse(ReadAll(json_path));
    EXPECT_EQ(json.at("data").at("has_candidate_embeddings"), bundle.ends_with("towers"));
    EXPECT_EQ(json.at("rows")[0].at("recall"), 1);
    std::vector<std::string> digests;
    for (const auto& row : json.at("rows")) digests.push_back(row.at("positions_digest"));
    return digests;
  };
  const std::string one = MakeBundle([](Bundle&) {});
  const std::string same =
      MakeBundle([](Bundle& b) { b.items.candidate_embeddings = b.items.embeddings; }, "towers");
  const std::string other = MakeBundle(
      [](Bundle& b) {
        b.items.candidate_embeddings = b.items.embeddings;
        std::ranges::reverse(b.items.candidate_embeddings->values);
      },
      "other_towers");
  for (const char* more : {"", "--normalize", "--hyperplanes hadamard"}) {
    const auto expected = digests_of(one, more);
    EXPECT_EQ(digests_of(same, more), expected);
    const auto reversed = digests_of(other, more);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NE(reversed[i], expected[i]) << i;
  }
}

TEST_F(RetrievalBench, AcceptsEmptyHistories) {
  const Rows rows =
      RunForRows(Cat(kTiny, kSmallRequests, " --methods exact,eta:64,recent --held-out 1000 "));
  ASSERT_EQ(rows.size(), 3);
  for (const auto& row : rows) {
    EXPECT_EQ(row.at("l_mean"), "0.000");
    for (const char* column :
         {"recall", "recall_p5", "recall_ties", "attention_mass", "bytes_per_behaviour"}) {
      EXPECT_EQ(row.at(column), "") << column;
    }
    EXPECT_GT(std::stod(row.at("p50_us")), 0);
  }
}

TEST_F(RetrievalBench, CutsHistories) {
  const Rows rows = RunForRows(
      Cat(kTiny, kSmallRequests, " --methods exact --held-out 0 --max-history 64 --k 100"));
  ASSERT_EQ(rows.size(), 1);
  EXPECT_EQ(rows[0].at("l_mean"), "64.000");
  EXPECT_EQ(rows[0].at("recall"), "1.000000");
  EXPECT_EQ(rows[0].at("attention_mass"), "1.000000");
}

TEST_F(RetrievalBench, AsksUsersWhoHaveSomethingToChooseFrom) {
  // Four users of 10 behaviours, one of 260 and one of 300.
  const std::string bundle = MakeBundle([](Bundle& b) {
    b.histories.offsets = {0, 10, 20, 30, 40, 300, 600};
    b.histories.times.clear();
  });
  const auto path = folder_ / "run.json";
  const std::string arguments =
      Cat("--data ", bundle, " --held-out 0 --k 20 --b 20 --repeats 1 --methods exact,recent ",
          "--json ", path.string());
  Outcome outcome = Run(arguments + " --requests 2");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("users     2 of 6 users, those with more than 2 K = 40 behaviours, "
                             "because the median history is 10 behaviours"),
            std::string::npos)
      << outcome.out;
  auto json = nlohmann::json::parse(ReadAll(path));
  EXPECT_EQ(json.at("settings").at("min_history"), 41);
  const auto& requests = json.at("requests");
  EXPECT_EQ(requests.at("min_history"), 41);
  EXPECT_EQ(requests.at("min_history_asked_for"), 41);
  EXPECT_EQ(requests.at("min_history_is_default"), true);
  EXPECT_EQ(requests.at("users"), 6);
  EXPECT_EQ(requests.at("users_qualifying"), 2);
  EXPECT_EQ(requests.at("users_median_behaviours"), 10);
  EXPECT_EQ(requests.at("behaviours_min"), 260);

  outcome = Run(arguments);  // 200 requests are wanted
  EXPECT_NE(outcome.out.find("users     all 6: the median history is 10 behaviours, but only 2 "),
            std::string::npos)
      << outcome.out;
  EXPECT_EQ(nlohmann::json::parse(ReadAll(path)).at("requests").at("min_history"), 0);

  outcome = Run(arguments + " --requests 2 --min-history 0");
  EXPECT_EQ(outcome.out.find("users     "), std::string::npos) << outcome.out;
  EXPECT_EQ(nlohmann::json::parse(ReadAll(path)).at("requests").at("min_history_is_default"),
            false);

  outcome = Run(arguments + " --min-history 10 --sweep L=5,50");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("L = 50; 6 of 6 users, those with 10 behaviours or more\n"),
            std::string::npos)
      << outcome.out;
}

}  // namespace
}  // namespace eta
