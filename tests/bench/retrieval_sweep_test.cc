// SPDX-License-Identifier: Apache-2.0
// Sweeps: what the axes mean, and that an interrupted sweep loses nothing.
#include "bench/retrieval/sweep/sweep.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/common/output.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/row_json.h"
#include "tests/support/retrieval_bench_fixture.h"
#include "tests/support/sanitizers.h"

namespace eta::bench {
namespace {

using Values = std::vector<size_t>;

TEST(ParseSweep, ReadsValuesAndRanges) {
  EXPECT_EQ(ParseSweep("bits=32,64,128").name, "bits");
  EXPECT_EQ(ParseSweep("bits=32,64,128").values, (Values{32, 64, 128}));
  EXPECT_EQ(ParseSweep("L=256:65536:x4").values, (Values{256, 1024, 4096, 16384, 65536}));
  EXPECT_EQ(ParseSweep("L=256:65535:x4").values, (Values{256, 1024, 4096, 16384}));
  EXPECT_EQ(ParseSweep("k=16:64:+16,100").values, (Values{16, 32, 48, 64, 100}));
  EXPECT_EQ(ParseSweep("threads=2:2:x2").values, (Values{2}));
  EXPECT_EQ(ParseSweep("L=1:2147483647:x2147483647").values, (Values{1, 2147483647}));
}

TEST(ParseSweep, RefusesAnythingElse) {
  for (const char* text : {"",
                           "L",
                           "=1",
                           "M=1",
                           "l=1",
                           "L=",
                           "L=1,",
                           "L=0",
                           "L=-1",
                           "L=010",
                           "L=1.5",
                           "L=x",
                           "L=1:2",
                           "L=1:2:3",
                           "L=1:2:x1",
                           "L=1:2:x",
                           "L=1:2:+0",
                           "L=2:1:x2",
                           "L=1:2:x2:x2",
                           "L=1,1",
                           "L=1:8:x2,4",
                           "bits=4097",
                           "threads=5000",
                           "dim=5000",
                           "k=99999999999999999999",
                           "L=1:2147483647:+1"}) {
    EXPECT_THROW(ParseSweep(text), std::invalid_argument) << text;
  }
}

TEST(ExpandBits, FillsInTheWidths) {
  EXPECT_EQ(ExpandBits("exact,eta:{bits}+rerank:4,recent", {32, 64}),
            "exact,eta:32+rerank:4,eta:64+rerank:4,recent");
  EXPECT_EQ(ExpandBits("eta:{bits}", {8}), "eta:8");
  EXPECT_EQ(ExpandBits("exact,eta:64", {}), "exact,eta:64");
  EXPECT_EQ(ExpandBits(",exact,", {}), ",exact,");  // for SplitMethods to refuse
  EXPECT_THROW(ExpandBits("exact,eta:64", {32}), std::invalid_argument);
  EXPECT_THROW(ExpandBits("exact,eta:{bits}", {}), std::invalid_argument);
}

TEST(MakeCells, CombinesAllAxesButBits) {
  const auto cells = MakeCells({{"L", {10, 20}}, {"bits", {32, 64}}, {"k", {1, 2, 3}}});
  ASSERT_EQ(cells.size(), 6);
  EXPECT_EQ(cells[0].Text(), "L = 10, k = 1");
  EXPECT_EQ(cells[1].Text(), "L = 10, k = 2");
  EXPECT_EQ(cells[5].Text(), "L = 20, k = 3");
  ASSERT_EQ(MakeCells({{"bits", {32}}}).size(), 1);
  EXPECT_EQ(MakeCells({{"bits", {32}}})[0].Text(), "all");
  const SweepAxis large{"L", Values(1000, 1)};
  EXPECT_THROW(MakeCells({large, large}), std::invalid_argument);
}

TEST(CellOptions, SetTheirValues) {
  Options options;
  options.held_out = 8;
  const SweepCell cell{{{"L", 100}, {"k", 5}, {"b", 7}, {"dim", 16}, {"threads", 2}}};
  const Options generated = CellOptions(options, cell);
  EXPECT_EQ(generated.generator.fixed_length, 108);
  EXPECT_EQ(generated.max_history, 0);
  EXPECT_EQ(generated.k, 5);
  EXPECT_EQ(generated.b, 7);
  EXPECT_EQ(generated.generator.dim, 16);
  EXPECT_EQ(generated.threads, 2);
  options.data = "bundle";
  EXPECT_EQ(CellOptions(options, cell).max_history, 100);
  EXPECT_EQ(CellOptions(options, cell).generator.fixed_length, 0);
}

TEST(RowJson, ComesBack) {
  Row row{};
  row.method = "eta:64";
  row.target = "AVX2";
  row.recall = 1.0 / 3;
  row.p50_us = 0.1;
  row.repeat_p50_us = {0.1, 0.2};
  row.recall_histogram[19] = 3;
  row.positions_digest = 0xFEDCBA9876543210u;
  const auto json = RowJson(row);
  const Row read = RowFromJson(nlohmann::ordered_json::parse(json.dump()));
  EXPECT_EQ(RowJson(read), json);
  EXPECT_EQ(read.recall, row.recall);
  EXPECT_FALSE(read.recall_p5);
  EXPECT_EQ(read.positions_digest, row.positions_digest);
  auto damaged = json;
  damaged.erase("p50_us");
  EXPECT_THROW(RowFromJson(damaged), nlohmann::json::exception);
  damaged = json;
  damaged["positions_digest"] = "xyz";
  EXPECT_THROW(RowFromJson(damaged), std::invalid_argument);
}

// What does not depend on time: every row's text up to the recalls, and the axes.
std::vector<std::vector<std::string>> Timeless(const Rows& rows) {
  std::vector<std::vector<std::string>> kept;
  for (const auto& row : rows) {
    kept.emplace_back();
    for (const char* name :
         {"method", "bits", "dim", "k", "l_mean", "b", "threads", "cache", "recall", "recall_p5",
          "recall_ties", "attention_mass", "bytes_per_behaviour", "sweep_L", "sweep_k"}) {
      kept.back().push_back(row.at(name));
    }
  }
  return kept;
}

constexpr const char* kSweep =
    " --methods 'exact,eta:{bits}' --sweep L=20:80:x2 --sweep bits=32,64 --sweep k=5,10 ";

class RetrievalBenchSweep : public RetrievalBench {
 protected:
  RetrievalBenchSweep() {
    const std::string tiny = " --users 6 --items 300 --dim 16 --repeats 2 --requests 5 --b 20 ";
    arguments_ = tiny + kSweep;
  }
  std::string cells() const { return (folder_ / "cells.json").string(); }

  std::string arguments_;
};

TEST_F(RetrievalBenchSweep, MeasuresAllCombinations) {
  const auto path = folder_ / "run.json";
  const Rows rows = RunForRows(Cat(arguments_, " --json ", path.string()));
  ASSERT_EQ(rows.size(), 3 * 2 * 3);
  EXPECT_EQ(rows[0].at("method"), "exact");
  EXPECT_EQ(rows[1].at("bits"), "32");
  EXPECT_EQ(rows[2].at("bits"), "64");
  EXPECT_EQ(rows[3].at("sweep_L"), "20");
  EXPECT_EQ(rows[3].at("sweep_k"), "10");
  for (const auto& row : rows) {
    EXPECT_EQ(row.at("k"), row.at("sweep_k"));
    EXPECT_EQ(row.at("l_mean"), row.at("sweep_L") + ".000");
    EXPECT_EQ(row.at("recall") == "1.000000", row.at("method") == "exact");
  }
  const auto json = nlohmann::json::parse(ReadAll(path));
  EXPECT_EQ(json.at("sweep").at("bits"), (Values{32, 64}));
  EXPECT_EQ(json.at("cells").size(), 6);
  ASSERT_EQ(json.at("rows").size(), 18);
  EXPECT_EQ(json.at("rows")[17].at("sweep_L"), 80);
  EXPECT_EQ(json.at("settings").at("k"), "swept");
  EXPECT_TRUE(json.at("definitions").contains("recall"));
}

TEST_F(RetrievalBenchSweep, KeepsFinishedCellsWhenItsTimeIsOver) {
  const Rows whole = RunForRows(arguments_);
  ASSERT_EQ(whole.size(), 18);
  const std::string bounded = Cat(arguments_, " --time-budget 0.000001 --cells ", cells());
  const auto csv = (folder_ / "rows.csv").string();
  nlohmann::json first;
  for (size_t run = 1; run <= 6; ++run) {
    const Outcome outcome = Run(Cat(bounded, " --csv ", csv));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const std::string note = Cat("the time is over: ", run, " of 6 cells are done");
    EXPECT_EQ(outcome.err.find(note) != std::string::npos, run < 6) << outcome.err;
    EXPECT_EQ(outcome.err.find('\r'), std::string::npos) << "progress in a file";
    const auto kept = nlohmann::json::parse(ReadAll(cells()));
    EXPECT_EQ(kept.at("cells").size(), run);
    if (run == 1) first = kept.at("cells")[0];
    EXPECT_EQ(kept.at("cells")[0], first);  // times and all
    const Rows rows = ParseCsv(ReadAll(csv));
    EXPECT_EQ(Timeless(rows), Timeless(Rows(whole.begin(), whole.begin() + 3 * run)));
  }
  // Nothing is left to measure: the same file again, byte for byte.
  const std::string before = ReadAll(csv);
  ASSERT_EQ(Run(Cat(bounded, " --csv ", csv)).exit_code, 0);
  EXPECT_EQ(ReadAll(csv), before);
}

TEST_F(RetrievalBenchSweep, KeepsFinishedCellsWhenOneFails) {
#if ETA_IS_SANITIZED
  GTEST_SKIP() << "sanitizers reserve more address space than the limit allows";
#endif
  // The second cell needs more memory than there may be.
  const auto csv = folder_ / "rows.csv";
  const std::string command = Cat(
      "export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1; ulimit -v 3000000; ", ETA_RETRIEVAL_BENCH,
      " --users 6 --items 300 --dim 16 --repeats 2 --requests 5 --b 20 --methods exact --sweep ",
      "L=20,100000000 --csv ", csv.string(), " >/dev/null 2>", (folder_ / "err").string());
  EXPECT_NE(std::system(command.c_str()), 0);
  EXPECT_NE(ReadAll(folder_ / "err").find("memory"), std::string::npos);
  const Rows rows = ParseCsv(ReadAll(csv));
  ASSERT_EQ(rows.size(), 1);
  EXPECT_EQ(rows[0].at("sweep_L"), "20");
}

TEST_F(RetrievalBenchSweep, GoesOnAfterItWasKilled) {
  const Rows whole = RunForRows(arguments_);
  const std::string kept = Cat(arguments_, " --cells ", cells());
  ASSERT_EQ(Run(Cat(kept, " --time-budget 0.000001")).exit_code, 0);
  const auto first = nlohmann::json::parse(ReadAll(cells())).at("cells")[0];
  // Wherever this hits, between cells or in the midst of one, the result must be the same.
  for (const char* seconds : {"0.02", "0.05", "0.1"}) {
    const std::string command =
        Cat("timeout -s KILL ", seconds, " ", ETA_RETRIEVAL_BENCH, " ", kept, " >/dev/null 2>&1");
    (void)std::system(command.c_str());
  }
  EXPECT_EQ(Timeless(RunForRows(kept)), Timeless(whole));
  EXPECT_EQ(nlohmann::json::parse(ReadAll(cells())).at("cells")[0], first);  // times and all
}

TEST_F(RetrievalBenchSweep, TakesCellsOfAnotherOrderAndMoreValues) {
  ASSERT_EQ(Run(Cat(arguments_, " --cells ", cells())).exit_code, 0);
  const std::string base = " --users 6 --items 300 --dim 16 --repeats 2 --requests 5 --b 20 ";
  const Rows rows =
      RunForRows(Cat(base, " --methods 'exact,eta:{bits}' --sweep bits=32,64 --sweep k=10,5,2 ",
                     "--sweep L=40 --cells ", cells()));
  ASSERT_EQ(rows.size(), 9);
  EXPECT_EQ(rows[0].at("sweep_k"), "10");
  EXPECT_EQ(rows[8].at("sweep_k"), "2");
  EXPECT_EQ(nlohmann::json::parse(ReadAll(cells())).at("cells").size(), 7);  // one was new
}

TEST_F(RetrievalBenchSweep, RefusesCellsOfAnotherSetting) {
  ASSERT_EQ(Run(Cat(arguments_, " --cells ", cells())).exit_code, 0);
  const std::string kept = Cat(arguments_, " --cells ", cells());
  ExpectBadInput(kept + " --repeats 3", "repeats = 2, and now it is 3");
  ExpectBadInput(kept + " --seed 2", "seed = 1, and now it is 2");
  ExpectBadInput(kept + " --gen-seed 2", "gen-seed");
  ExpectBadInput(kept + " --target EMU128 --quiet", "target");  // without its note on FMA
  ExpectBadInput(kept + " --methods 'eta:{bits}'", "methods");
  ExpectBadInput(kept + " --sweep b=5", "--b");
  const std::string text = ReadAll(cells());
  for (const std::string& damaged : {text.substr(0, text.size() / 2), std::string("{}"),
                                     std::string("[1]"), std::string("{\"format\": \"other\"}")}) {
    std::ofstream(cells()) << damaged;
    ExpectBadInput(kept, "no file of --cells");
    EXPECT_EQ(ReadAll(cells()), damaged);
  }
}

TEST_F(RetrievalBenchSweep, RefusesCellsThatAnotherProcessMeasures) {
  const std::string kept = Cat(arguments_, " --cells ", cells());
  ASSERT_EQ(Run(kept).exit_code, 0);
  const std::string before = ReadAll(cells());
  const auto link = folder_ / "link.json";
  std::filesystem::create_symlink(cells(), link);
  {
    const FileLock lock(cells());
    ExpectBadInput(kept, "cells.json: another process is at work on it");
    ExpectBadInput(Cat(arguments_, " --cells ", link.string()), "another process");
    EXPECT_EQ(Run(Cat(kept, ".other")).exit_code, 0);
  }
  EXPECT_EQ(ReadAll(cells()), before);
  std::ofstream(cells() + ".lock") << "left behind by a process that was killed";
  EXPECT_EQ(Run(kept).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(cells() + ".lock"));
}

TEST_F(RetrievalBenchSweep, LosesNoCellsToOtherProcesses) {
  const Rows whole = RunForRows(arguments_);
  // Each either has the file to itself or is refused, however they fall; one at least is not. Those
  // that get it have a cell more than the one before.
  const std::string one =
      Cat(ETA_RETRIEVAL_BENCH, arguments_, " --time-budget 0.000001 --cells ", cells(),
          " >/dev/null 2>&1; echo $? >>", (folder_ / "codes").string());
  std::string all;
  for (int process = 0; process < 4; ++process) all += Cat("(", one, ") & ");
  ASSERT_EQ(std::system(Cat(all, "wait").c_str()), 0);
  std::istringstream codes(ReadAll(folder_ / "codes"));
  size_t finished = 0, refused = 0;
  for (int code = 0; codes >> code; ++(code == 0 ? finished : refused)) {
    EXPECT_TRUE(code == 0 || code == 2) << code;
  }
  EXPECT_EQ(finished + refused, 4);
  EXPECT_GE(finished, 1);
  EXPECT_EQ(nlohmann::json::parse(ReadAll(cells())).at("cells").size(), finished);
  EXPECT_EQ(Timeless(RunForRows(Cat(arguments_, " --cells ", cells()))), Timeless(whole));
}

TEST_F(RetrievalBenchSweep, CutsTheHistoriesOfABundle) {
  const std::string bundle = MakeBundle([](Bundle&) {});
  const std::string base = Cat("--data ", bundle, " --k 5 --b 20 --repeats 1 --methods exact ");
  const Rows rows = RunForRows(Cat(base, "--sweep L=10,50 --cells ", cells()));
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[0].at("l_mean"), "10.000");
  EXPECT_EQ(rows[1].at("l_mean"), "50.000");
  ExpectBadInput(Cat(base, "--sweep dim=8"), "--sweep dim");
  // Other data under the same name.
  std::filesystem::remove_all(bundle);
  MakeBundle([](Bundle& b) { b.items.embeddings.values[0] += 1; });
  ExpectBadInput(Cat(base, "--sweep L=10,50 --cells ", cells()), "with data = ");
}

// The default methods of a sweep over widths: pq4 takes multiples of 8 up to 4 bits a dimension.
TEST_F(RetrievalBenchSweep, LeavesOutDefaultMethodsOfAnotherWidth) {
  for (const char* bits : {"20", "128"}) {
    const Outcome outcome = Run(Cat(kTiny, kSmallRequests, " --sweep bits=", bits));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find(Cat("pq4:", bits, " left out: pq4: ")), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find(Cat("pq4:", bits, "+rerank_i8:2 left out")), std::string::npos);
    EXPECT_EQ(outcome.err.find(Cat("eta:", bits, " left out")), std::string::npos);
  }
}

TEST_F(RetrievalBenchSweep, RejectsBadSweeps) {
  for (const char* sweep : {"L", "M=1", "L=0", "L=8:4:x2", "L=4,4", "''"}) {
    ExpectBadInput(Cat("--sweep ", sweep), "--sweep");
  }
  ExpectBadInput("--sweep k=1 --sweep k=2", "twice");
  ExpectBadInput("--sweep k=1 --k 5", "exclude");
  ExpectBadInput("--sweep L=10 --length 5", "exclude");
  ExpectBadInput("--sweep L=10 --max-history 5", "exclude");
  ExpectBadInput("--sweep bits=32 --methods exact", "{bits}");
  ExpectBadInput("--methods 'eta:{bits}'", "{bits}");
  ExpectBadInput("--sweep bits=64 --methods 'eta:64,eta:{bits}'", "twice");
  ExpectBadInput("--time-budget 5", "--sweep");
  ExpectBadInput(Cat("--cells ", cells()), "--sweep");
  ExpectBadInput("--sweep k=1 --time-budget -1", "--time-budget");
  ExpectBadInput("--sweep k=1 --load 100", "--load");
  ExpectBadInput("--sweep threads=1,4000 --pin", "--pin");
  ExpectBadInput(Cat("--sweep k=1 --cells ", cells(), " --csv ", cells()), "cells.json");
  ExpectBadInput(
      Cat("--sweep k=1 --cells ", cells(), " --csv ", (folder_ / "." / "cells.json").string()),
      "two outputs");
  ExpectBadInput(Cat("--sweep k=1 --cells ", (folder_ / "missing/x").string()), "missing");
}

}  // namespace
}  // namespace eta::bench
