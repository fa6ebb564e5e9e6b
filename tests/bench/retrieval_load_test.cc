// SPDX-License-Identifier: Apache-2.0
// --load and --slo-ms.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/check.h"
#include "tests/support/retrieval_bench_fixture.h"

namespace eta {
namespace {

TEST_F(RetrievalBench, MeasuresUnderLoad) {
  const auto csv = folder_ / "load.csv";
  const auto path = folder_ / "run.json";
  const Outcome outcome =
      Run(Cat(kTiny, kSmallRequests, " --methods exact,eta:64 --threads 2 --load 200,400 ",
              "--load-seconds 0.2 --slo-ms 10 --slo-seconds 0.1 --load-csv ", csv.string(),
              " --json ", path.string()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("open loop: Poisson arrivals for 0.2 s, 2 workers"),
            std::string::npos);
  EXPECT_NE(outcome.out.find("highest rate that keeps p99 within 10 ms"), std::string::npos);
  EXPECT_NE(outcome.out.find("out of time"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("\nused: time in service"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("of capacity: highest rate / "), std::string::npos) << outcome.out;
  const auto json = nlohmann::json::parse(ReadAll(path));
  EXPECT_EQ(json.at("rows").size(), 2);  // the closed loop
  const auto& load = json.at("load");
  ASSERT_EQ(load.at("rows").size(), 4);
  for (const auto& row : load.at("rows")) {
    EXPECT_GT(row.at("arrivals"), 10);
    EXPECT_GT(row.at("service_mean_us"), 0);
    EXPECT_GT(row.at("utilisation"), 0);
    EXPECT_LE(row.at("p50_us"), row.at("p99_us"));
    EXPECT_LE(row.at("p999_us"), row.at("max_us"));
  }
  EXPECT_EQ(load.at("rows")[0].at("arrivals"), load.at("rows")[1].at("arrivals"));
  ASSERT_EQ(load.at("slo").size(), 2);
  EXPECT_EQ(load.at("slo")[0].at("probes").size(), 1);  // the time was too short for more
  const std::string text = ReadAll(csv);
  EXPECT_TRUE(text.starts_with("method,bits,k,l_mean,b,threads,limit_ms,kept,rate,")) << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), 1 + 4 + 2);
}

TEST_F(RetrievalBench, RejectsBadLoads) {
  for (const char* rates : {"0", "-1", "x", "nan", "100,,200", "100,", "''", "1e99"}) {
    ExpectBadInput(Cat("--load ", rates), "--load");
  }
  ExpectBadInput("--load 1", "5 requests");
  ExpectBadInput("--load 100 --load-seconds 0", "--load");
  ExpectBadInput("--slo-ms 1 --load-seconds 0", "--load-seconds");
  ExpectBadInput("--load-seconds 5", "needs --load");
  ExpectBadInput("--load-csv x.csv", "needs --load");
  ExpectBadInput("--load 100 --slo-seconds 9", "needs --slo-ms");
  ExpectBadInput("--slo-ms 60 --load-seconds 1", "needs --load-seconds of 1.2 or more");
  ExpectBadInput("--load 100 --cache cold", "--cache cold");
  ExpectBadInput("--load 100 --split candidates", "--split candidates");
  ExpectBadInput(Cat("--load 100 --load-csv ", (folder_ / "missing/x").string()), "missing");
}

}  // namespace
}  // namespace eta
