// SPDX-License-Identifier: Apache-2.0
// Runs the benchmark binary as a user does and looks at what it prints, writes and returns.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/data/bundle.h"
#include "core/retrieval/hyperplanes.h"
#include "tests/support/retrieval_bench_fixture.h"

namespace eta {
namespace {

constexpr const char* kHeader =
    "method,bits,dim,k,l_mean,b,threads,target,cache,recall,recall_p5,recall_ties,attention_mass,"
    "p50_us,p50_low_us,p50_high_us,p95_us,p99_us,p999_us,candidates_per_s,bytes_per_behaviour,"
    "build_us";

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

TEST_F(RetrievalBench, FindsThatExactIsExactAndOthersAreNot) {
  const Rows rows = RunForRows(Cat(kTiny, kSmallRequests, kFewMethods));
  ASSERT_EQ(rows.size(), 4);
  EXPECT_EQ(rows[0].at("recall"), "1.000000");
  EXPECT_EQ(rows[0].at("recall_p5"), "1.000000");
  EXPECT_EQ(rows[0].at("recall_ties"), "1.000000");
  const double mass = std::stod(rows[0].at("attention_mass"));
  EXPECT_GT(mass, 10.0 / 192);
  EXPECT_LT(mass, 1);
  for (size_t i = 1; i < rows.size(); ++i) {
    EXPECT_GT(std::stod(rows[i].at("recall")), 0);
    EXPECT_LT(std::stod(rows[i].at("recall")), 1);
    EXPECT_LT(std::stod(rows[i].at("attention_mass")), mass);
  }
}

TEST_F(RetrievalBench, RunsAllDefaultMethods) {
  const Outcome outcome = Run(Cat(kTiny, kSmallRequests));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* method :
       {"exact", "eta:64", "eta:128", "eta:256", "faiss_exact", "faiss_binary:64",
        "faiss_binary:256", "sim_hard", "sim_soft:ivf", "sim_soft:hnsw", "recent"}) {
    EXPECT_NE(outcome.out.find(Cat("\n", method, " ")), std::string::npos) << method;
  }
  for (const char* text : {"data ", "CPU ", "target ", "compiler ", "FAISS ", "threads "}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text;
  }
}

TEST_F(RetrievalBench, JudgesAlikeAtAnyThreadCountAndSplit) {
  const std::string arguments =
      Cat(kTiny, kSmallRequests, " --methods exact,eta:64,eta:72,faiss_binary:64,sim_hard ");
  const auto csv = folder_ / "rows.csv";
  // No FAISS on floats: BLAS may sum in another order with more threads, and then ties change.
  // FAISS targets may hold commas, so only what comes before and after is compared, as text.
  std::vector<std::string> expected;
  for (const char* threads : {"1", "2 --split users", "2 --split candidates", "8 --split users"}) {
    ASSERT_EQ(Run(Cat(arguments, "--csv ", csv.string(), " --threads ", threads)).exit_code, 0);
    std::vector<std::string> quality;
    std::istringstream lines(ReadAll(csv));
    for (std::string line; std::getline(lines, line);) {
      const size_t begin = line.find(",warm,");
      if (begin == std::string::npos) continue;
      size_t end = begin + 6;
      for (int field = 0; field < 4; ++field) end = line.find(',', end) + 1;
      quality.push_back(line.substr(begin, end - begin));
    }
    ASSERT_EQ(quality.size(), 5);
    if (expected.empty()) expected = quality;
    EXPECT_EQ(quality, expected) << threads;
  }
}

TEST_F(RetrievalBench, DependsOnTheSeedAlone) {
  const std::string arguments = Cat(kTiny, kSmallRequests, kFewMethods);
  const Rows first = RunForRows(arguments);
  const Rows second = RunForRows(arguments);
  const Rows other = RunForRows(arguments + " --seed 2");
  ASSERT_EQ(first.size(), 4);
  for (size_t i = 0; i < first.size(); ++i) {
    for (const char* column : {"recall", "recall_p5", "recall_ties", "attention_mass"}) {
      EXPECT_EQ(first[i].at(column), second[i].at(column));
    }
  }
  EXPECT_NE(first[1].at("recall"), other[1].at("recall"));
}

TEST_F(RetrievalBench, WritesAllThatIsNeededToRepeatARun) {
  const auto path = folder_ / "run.json";
  const Outcome outcome =
      Run(Cat(kTiny, kSmallRequests, kFewMethods, " --normalize --json ", path.string()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(ReadAll(path));
  EXPECT_EQ(json.at("settings").at("seed"), 1);
  EXPECT_EQ(json.at("settings").at("hyperplanes"), "gaussian");
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
  EXPECT_NE(outcome.err.find("5 requests instead of 200"), std::string::npos) << outcome.err;
  const auto json = nlohmann::json::parse(ReadAll(json_path));
  EXPECT_EQ(json.at("requests").at("candidates_mean"), 3);
  EXPECT_EQ(json.at("requests").at("behaviours_mean"), 100);  // nothing held out
  EXPECT_EQ(json.at("settings").at("hyperplanes_loaded_bits"), 64);
  // The loaded hyperplanes make another difference than those of the seed.
  const std::string eta = Cat("--data ", bundle, " --k 10 --methods eta:64,eta:128 ");
  const Rows loaded = RunForRows(eta);
  const Rows gaussian = RunForRows(eta + "--hyperplanes gaussian");
  EXPECT_NE(loaded[0].at("recall"), gaussian[0].at("recall"));
  EXPECT_EQ(loaded[1].at("recall"), gaussian[1].at("recall"));
  ExpectBadInput(Cat("--data ", bundle, " --methods sim_hard"), "sim_hard");
  ExpectBadInput(Cat("--data ", bundle, " --users 5"), "--users");
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

constexpr const char* kColdMethods = " --methods exact,eta:64,eta_gather:64,recent --cache cold ";

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

// The rows of a cold run and what its JSON says of how it was done.
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

TEST_F(RetrievalBench, RunsTheTargetThatIsAskedFor) {
  const std::string arguments = Cat(kTiny, kSmallRequests, " --methods exact,eta:64 ");
  const Rows best = RunForRows(arguments);
  for (const Rows& rows : {RunForRows(arguments + "--target EMU128"),
                           RunForRows(arguments, "ETA_SIMD_TARGET=EMU128")}) {
    ASSERT_EQ(rows.size(), 2);
    EXPECT_EQ(rows[1].at("target"), "EMU128");
    EXPECT_EQ(rows[1].at("recall"), best[1].at("recall"));
  }
  ExpectBadInput(arguments + "--target AVX1", "AVX1");
  EXPECT_EQ(Run(arguments, "ETA_SIMD_TARGET=nonsense").exit_code, 2);
}

TEST_F(RetrievalBench, PrintsTheTableOnlyWhenQuiet) {
  const Outcome outcome = Run(Cat(kTiny, kSmallRequests, kFewMethods, " --requests 99 --quiet"));
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(outcome.out.starts_with("method ")) << outcome.out;
  EXPECT_EQ(std::ranges::count(outcome.out, '\n'), 2 + 4);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(RetrievalBench, ExplainsItself) {
  EXPECT_NE(Run("--help").out.find("attention_mass"), std::string::npos);
  EXPECT_NE(Run("--list-methods").out.find("sim_hard"), std::string::npos);
  for (const char* option : {"--help", "--list-methods", "--version"}) {
    EXPECT_EQ(Run(option).exit_code, 0) << option;
  }
}

TEST_F(RetrievalBench, RejectsBadArguments) {
  for (const char* arguments : {"--nonsense",
                                "surplus",
                                "--k 0",
                                "--k -1",
                                "--k 1.5",
                                "--k x",
                                "--k",
                                "--k 99999999999999999999",
                                "--b 0",
                                "--threads 0",
                                "--threads 5000",
                                "--repeats 0",
                                "--requests 0",
                                "--dim 0",
                                "--dim 5000",
                                "--sigma nan",
                                "--sigma -1",
                                "--cross-category 2",
                                "--seed -1",
                                "--users 1x"}) {
    ExpectBadInput(arguments, "--");
  }
  ExpectBadInput("--split threads", "threads");
  ExpectBadInput("--cache tepid", "tepid");
  ExpectBadInput("--cache", "--cache");
  ExpectBadInput("--llc-mb 1", "--cache cold");
  ExpectBadInput("--cold-memory 1", "--cache cold");
  ExpectBadInput("--cache cold --llc-mb x", "--llc-mb");
  ExpectBadInput("--cache cold --cold-memory -1", "--cold-memory");
  ExpectBadInput("--hyperplanes round", "round");
  ExpectBadInput("--hyperplanes loaded", "loaded");
  ExpectBadInput("--methods ''", "methods");
  ExpectBadInput("--methods exact,,recent", "methods");
  ExpectBadInput("--methods exact,exact", "twice");
  const std::string tiny = kTiny;
  ExpectBadInput(tiny + "--methods exact,eta", "eta");
  ExpectBadInput(tiny + "--methods eta:0", "eta:0");
  ExpectBadInput(tiny + "--methods eta:5000", "eta:5000");
  ExpectBadInput(tiny + "--methods eta_gather", "eta_gather:BITS");
  ExpectBadInput(tiny + "--methods eta_gather:0", "eta_gather:0");
  ExpectBadInput(tiny + "--methods nonsense", "nonsense");
  ExpectBadInput(tiny + "--min-history 201", "201");
}

TEST_F(RetrievalBench, RejectsBadBundles) {
  const std::string missing = (folder_ / "missing").string();
  ExpectBadInput("--data " + missing, missing);
  ExpectBadInput("--data ''", "--data");
  const std::string bundle = MakeBundle([](Bundle&) {});
  const auto items = std::filesystem::path(bundle) / "history_items.npy";
  std::filesystem::resize_file(items, std::filesystem::file_size(items) - 1);
  ExpectBadInput("--data " + bundle, "history_items.npy");
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

TEST_F(RetrievalBench, WritesToDevicesDirectly) {
  const Outcome outcome = Run(
      Cat(kTiny, kSmallRequests, " --methods exact --quiet --csv /dev/stdout --json /dev/null"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("method ")) << outcome.out;
  EXPECT_NE(outcome.out.find(kHeader), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace eta
