// SPDX-License-Identifier: Apache-2.0
// --cache cold.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "core/base/check.h"
#include "tests/support/retrieval_bench_fixture.h"

namespace eta {
namespace {

constexpr const char* kColdMethods = " --methods exact,eta:64,eta_gather:64,recent --cache cold ";

TEST_F(RetrievalBench, MeasuresColdUsersInTurn) {
  const auto path = folder_ / "run.json";
  const std::string arguments = Cat(kTiny, kSmallRequests, kColdMethods);
  const Rows rows = RunForRows(Cat(arguments, " --llc-mb 1 --json ", path.string()));
  ASSERT_EQ(rows.size(), 4);
  for (const auto& row : rows) EXPECT_EQ(row.at("cache"), "cold");
  const auto json = nlohmann::json::parse(ReadAll(path));
  EXPECT_EQ(json.at("settings").at("cache"), "cold");
  EXPECT_EQ(json.at("rows")[0].at("cache"), "cold");
  EXPECT_EQ(json.at("rows")[0].at("latency_samples"), 10);
  const auto& cold = json.at("settings").at("cold");
  EXPECT_EQ(cold.at("last_level_cache_bytes"), 1 << 20);
  EXPECT_EQ(cold.at("last_level_cache_source"), "--llc-mb");
  // Three methods hold something, each more than twice the cache.
  EXPECT_GT(cold.at("prepared_bytes"), 3 * 2 << 20);
  EXPECT_NE(cold.at("how").get<std::string>().find("in turn"), std::string::npos);
}

TEST_F(RetrievalBench, FlushesTheCacheWhereMemoryIsShort) {
  const auto path = folder_ / "run.json";
  const std::string arguments = Cat(kTiny, kSmallRequests, kColdMethods);
  const Outcome outcome = Run(Cat(arguments, " --llc-mb 2 --cold-memory 6 --json ", path.string()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("cold: last-level cache 2 MB"), std::string::npos) << outcome.out;
  const auto cold = nlohmann::json::parse(ReadAll(path)).at("settings").at("cold");
  EXPECT_NE(cold.at("how").get<std::string>().find("buffer"), std::string::npos);
  EXPECT_LT(cold.at("prepared_bytes"), 1 << 20);
  ExpectBadInput(arguments + "--llc-mb 100 --cold-memory 6", "--cold-memory");
}

TEST_F(RetrievalBench, JudgesColdAsWarm) {
  for (const char* more : {"", " --threads 2 --split users", " --threads 2 --split candidates",
                           " --held-out 1000", " --repeats 7 --requests 1"}) {
    const std::string arguments =
        Cat(kTiny, kSmallRequests, " --methods exact,eta:64,eta_gather:64 ", more);
    const Rows warm = RunForRows(arguments);
    const Rows cold = RunForRows(arguments + " --cache cold --llc-mb 1");
    ASSERT_EQ(warm.size(), 3);
    ASSERT_EQ(cold.size(), 3);
    for (const char* column :
         {"recall", "recall_p5", "recall_ties", "attention_mass", "bytes_per_behaviour"}) {
      for (size_t i = 0; i < 3; ++i) EXPECT_EQ(cold[i].at(column), warm[i].at(column)) << column;
      if (std::string(column) == "bytes_per_behaviour") continue;
      EXPECT_EQ(warm[2].at(column), warm[1].at(column)) << column;
    }
  }
}

}  // namespace
}  // namespace eta
