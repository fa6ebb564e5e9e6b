// SPDX-License-Identifier: Apache-2.0
// What a run prints and writes: table, CSV, JSON.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "tests/support/retrieval_bench_fixture.h"

namespace eta {
namespace {

constexpr const char* kHeader =
    "method,bits,dim,k,l_mean,b,threads,target,cache,recall,recall_p5,recall_ties,attention_mass,"
    "p50_us,p50_low_us,p50_high_us,p95_us,p99_us,p999_us,candidates_per_s,bytes_per_behaviour,"
    "build_us,user_bytes,shared_bytes";

TEST_F(RetrievalBench, WritesTheAgreedCsv) {
  const auto csv = folder_ / "rows.csv";
  ASSERT_EQ(Run(Cat(kTiny, kSmallRequests, " --methods recent --csv ", csv.string())).exit_code, 0);
  EXPECT_TRUE(ReadAll(csv).starts_with(Cat(kHeader, "\n"))) << ReadAll(csv);
  const Rows rows = RunForRows(Cat(kTiny, kSmallRequests, kFewMethods));
  ASSERT_EQ(rows.size(), 4);
  EXPECT_EQ(rows[0].at("method"), "exact");
  EXPECT_EQ(rows[1].at("method"), "eta:64");
  for (const auto& row : rows) {
    EXPECT_EQ(row.at("dim"), "16");
    EXPECT_EQ(row.at("k"), "10");
    EXPECT_EQ(row.at("l_mean"), "192.000");  // 200 less the 8 held out
    EXPECT_EQ(row.at("b"), "20");
    EXPECT_EQ(row.at("threads"), "1");
    EXPECT_EQ(row.at("cache"), "warm");
    EXPECT_LE(std::stod(row.at("p50_us")), std::stod(row.at("p95_us")));
    EXPECT_LE(std::stod(row.at("p95_us")), std::stod(row.at("p99_us")));
    EXPECT_LE(std::stod(row.at("p99_us")), std::stod(row.at("p999_us")));
    EXPECT_GT(std::stod(row.at("candidates_per_s")), 0);
    EXPECT_LE(std::stod(row.at("recall_p5")), std::stod(row.at("recall")) + 1e-6);
    EXPECT_GE(std::stod(row.at("recall_ties")), std::stod(row.at("recall")));
  }
  EXPECT_EQ(rows[2].at("bits"), "100");
}

TEST_F(RetrievalBench, WritesAllThatIsNeededToRepeatARun) {
  const auto path = folder_ / "run.json";
  const Outcome outcome =
      Run(Cat(kTiny, kSmallRequests, kFewMethods, " --normalize --json ", path.string()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(ReadAll(path));
  EXPECT_EQ(json.at("settings").at("seed"), 1);
  EXPECT_EQ(json.at("settings").at("hyperplanes"),
            "gaussian; orthogonal for eta_norm and eta_asym");
  EXPECT_EQ(json.at("data").at("digest").get<std::string>().size(), 16);
  EXPECT_EQ(json.at("data").at("normalized"), true);
  EXPECT_EQ(json.at("data").at("generator").at("fixed_length"), 200);
  EXPECT_EQ(json.at("requests").at("requests"), 5);
  for (const char* key : {"cpu", "target", "compiler", "compiler_flags", "date", "variables"}) {
    EXPECT_TRUE(json.at("environment").contains(key)) << key;
  }
  for (const char* key : {"eta-simd", "git_revision", "highway", "faiss"}) {
    EXPECT_NE(json.at("environment").at("versions").at(key), "") << key;
  }
  ASSERT_EQ(json.at("rows").size(), 4);
  EXPECT_EQ(json.at("rows")[0].at("recall"), 1);
  EXPECT_EQ(json.at("rows")[0].at("latency_samples"), 10);
  for (const auto& row : json.at("rows")) {
    EXPECT_EQ(row.at("repeat_p50_us").size(), 2);
    for (const auto& p50 : row.at("repeat_p50_us")) EXPECT_GT(p50, 0);
    const std::vector<size_t> bins = row.at("recall_histogram");
    EXPECT_EQ(bins.size(), 20);
    EXPECT_EQ(std::accumulate(bins.begin(), bins.end(), size_t{0}),
              row.at("requests_with_recall").get<size_t>());
  }
  EXPECT_EQ(json.at("rows")[0].at("recall_histogram").back(), 5);  // exact
  std::istringstream columns(kHeader);
  for (std::string column; std::getline(columns, column, ',');) {
    EXPECT_TRUE(json.at("rows")[0].contains(column)) << column;
    EXPECT_TRUE(json.at("definitions").contains(column)) << column;
  }
  EXPECT_EQ(json.at("command_line").back(), path.string());
  EXPECT_EQ(folder_.CountEntries(), 1);
}

TEST_F(RetrievalBench, TellsHowSureTheMedianIs) {
  const std::string arguments = Cat(kTiny, kSmallRequests, kFewMethods);
  for (const auto& row : RunForRows(arguments + "--repeats 9")) {
    EXPECT_GT(std::stod(row.at("p50_low_us")), 0);
    EXPECT_LE(std::stod(row.at("p50_low_us")), std::stod(row.at("p50_high_us")));
  }
  const Rows few = RunForRows(arguments + "--repeats 4");
  ASSERT_EQ(few.size(), 4);
  for (const auto& row : few) EXPECT_EQ(row.at("p50_low_us"), "");
}

TEST_F(RetrievalBench, NotesWhatTheMachineDid) {
  const auto path = folder_ / "run.json";
  ASSERT_EQ(Run(Cat(kTiny, kSmallRequests, kFewMethods, " --pin --json ", path.string())).exit_code,
            0);
  const auto json = nlohmann::json::parse(ReadAll(path));
  EXPECT_EQ(json.at("settings").at("pinned"), true);
  EXPECT_EQ(json.at("settings").at("requests_per_turn"), 16);
  const auto& environment = json.at("environment");
  const bool counts = environment.at("counters") == "cycles, instructions";
  for (const char* key : {"cpu_mhz_start", "cpu_mhz_end"}) {
    EXPECT_TRUE(environment.at(key).is_null() || environment.at(key) > 0) << key;
  }
  for (const auto& row : json.at("rows")) {
    EXPECT_TRUE(row.at("voluntary_switches").is_number_unsigned());
    EXPECT_TRUE(row.at("involuntary_switches").is_number_unsigned());
    for (const char* key : {"cycles_per_code", "instructions_per_code"}) {
      EXPECT_EQ(row.at(key).is_number(), counts) << key;
      EXPECT_TRUE(json.at("definitions").contains(key)) << key;
    }
  }
  ExpectBadInput(Cat(kTiny, " --pin --threads 4000"), "--pin");
}

TEST_F(RetrievalBench, DigestsWhatWasReturned) {
  const auto digests = [&](const std::string& more) {
    const auto path = folder_ / "run.json";
    EXPECT_EQ(Run(Cat(kTiny, kSmallRequests, " --methods exact,scan_i8,eta:64,eta_gather:64 ", more,
                      " --json ", path.string()))
                  .exit_code,
              0);
    std::vector<std::string> found;
    const auto json = nlohmann::json::parse(ReadAll(path));
    for (const auto& row : json.at("rows")) {
      found.push_back(row.at("positions_digest"));
    }
    return found;
  };
  const auto first = digests("");
  ASSERT_EQ(first.size(), 4);
  EXPECT_EQ(first[2], first[3]);  // the same codes
  EXPECT_NE(first[0], first[2]);
  EXPECT_EQ(digests("--threads 2"), first);
  EXPECT_EQ(digests("--cache cold --llc-mb 1"), first);
  EXPECT_NE(digests("--seed 2")[2], first[2]);
}

TEST_F(RetrievalBench, PrintsTheTableOnlyWhenQuiet) {
  const Outcome outcome = Run(Cat(kTiny, kSmallRequests, kFewMethods, " --requests 99 --quiet"));
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(outcome.out.starts_with("method ")) << outcome.out;
  EXPECT_EQ(std::ranges::count(outcome.out, '\n'), 2 + 4);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(RetrievalBench, FindsUnwritableOutputBeforeItReadsData) {
  const std::string missing = (folder_ / "missing/rows.csv").string();
  const std::string data = " --data " + (folder_ / "none").string();
  for (const char* option : {"--csv ", "--json "}) {
    ExpectBadInput(option + missing + data, "rows.csv");
    ExpectBadInput(option + folder_.path().string() + data, "folder");
    ExpectBadInput(option + folder_.path().string() + "/" + data, "folder");
    ExpectBadInput(Cat(option, "''", data), option[2] == 'c' ? "--csv" : "--json");
  }
  const std::string same = (folder_ / "same").string();
  ExpectBadInput(Cat("--csv ", same, " --json ", same, data), "same");
}

TEST_F(RetrievalBench, WritesOverNothingThatItReadsOrPrints) {
  const std::string bundle = MakeBundle([](Bundle&) {});
  const std::string array = bundle + "/item_embeddings.npy";
  const std::string before = ReadAll(array);
  std::filesystem::create_symlink(array, folder_ / "link");
  for (const char* option :
       {"--csv ", "--json ", "--load 100 --load-csv ", "--sweep b=1,2 --cells "}) {
    for (const std::string& output :
         {array, bundle + "/bundle.json", (folder_ / "link").string()}) {
      ExpectBadInput(Cat("--data ", bundle, " ", option, output), "written over what is read");
    }
  }
  EXPECT_EQ(ReadAll(array), before);
  // ExpectBadInput cannot see where stdout goes.
  const auto out = folder_ / "stdout";  // where Run sends it
  const Outcome outcome = Run(Cat(kTiny, " --csv ", out.string()));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("written over what is printed"), std::string::npos) << outcome.err;
}

TEST_F(RetrievalBench, PrintsNoControlCharactersOfTheData) {
  const std::string bundle =
      MakeBundle([](Bundle& b) { b.name = "\x1b]0;title\x07\nforged: 1\xc2\x9b 31m"; });
  const auto path = folder_ / "run.json";
  const Outcome outcome =
      Run(Cat("--data ", bundle, " --repeats 1 --methods recent --json ", path.string()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("\\x1b]0;title\\x07\\nforged: 1\\x9b 31m: 6 users"), std::string::npos)
      << outcome.out;
  EXPECT_EQ(nlohmann::json::parse(ReadAll(path)).at("data").at("name"),
            "\x1b]0;title\x07\nforged: 1\xc2\x9b 31m");
  ExpectBadInput("--data $'/no\\x1b[31m\\nwhere'", "/no\\x1b[31m\\nwhere: does not exist");
}

TEST_F(RetrievalBench, WritesToDevicesDirectly) {
  const Outcome outcome = Run(
      Cat(kTiny, kSmallRequests, " --methods exact --quiet --csv /dev/stdout --json /dev/null"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("method ")) << outcome.out;
  EXPECT_NE(outcome.out.find(kHeader), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace eta
