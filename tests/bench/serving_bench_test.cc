// SPDX-License-Identifier: Apache-2.0
// serving_bench as a user runs it.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/data/bundle.h"
#include "core/data/generator.h"
#include "tests/support/ctr_test_util.h"
#include "tests/support/temp_folder.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTinyData = " --users 60 --items 300 --dim 16 --length 90 ";
constexpr const char* kTiny =
    " --max-history 60 --bits 40 --b 20 --k 10 --rate 300 --seconds 0.3 --appends 3000 --batch 20 "
    "--swap-every 0.1 --samples 8 ";

class ServingBench : public ::testing::Test {
 protected:
  struct Outcome {
    int exit_code;
    std::string out;
    std::string err;
  };

  Outcome Run(const std::string& arguments) {
    const fs::path out = folder_ / "stdout", err = folder_ / "stderr";
    const std::string path = folder_.path().string();
    const std::string command = Cat("cd '", path, "'; TMPDIR='", path, "' ", ETA_SERVING_BENCH, " ",
                                    arguments, " >", out.string(), " 2>", err.string());
    const int status = std::system(command.c_str());
    Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadText(out), ReadText(err)};
    fs::remove(out);
    fs::remove(err);
    return outcome;
  }

  // It must end with 2 and one line on stderr that has `text`, and leave nothing behind.
  void ExpectBadInput(const std::string& arguments, const std::string& text) {
    const size_t entries = folder_.CountEntries();
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments << ": " << outcome.err;
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << arguments << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << arguments << ": " << outcome.err;
    EXPECT_EQ(folder_.CountEntries(), entries) << arguments;
  }

  std::string MakeBundle() {
    WriteBundle(
        GenerateBundle({.users = 60, .items = 300, .dim = 16, .categories = 5, .fixed_length = 90}),
        folder_ / "bundle");
    return (folder_ / "bundle").string();
  }

  TempFolder folder_;
};

void CheckPhase(const nlohmann::json& phase) {
  const std::string name = phase.at("name");
  EXPECT_GT(phase.at("requests").at("arrivals"), 20) << name;
  EXPECT_LE(phase.at("requests").at("p50_us"), phase.at("requests").at("p99_us")) << name;
  EXPECT_GT(phase.at("requests").at("service_mean_us"), 0) << name;
  EXPECT_GT(phase.at("cache_hits").get<int>() + phase.at("cache_misses").get<int>(), 0) << name;
  EXPECT_GT(phase.at("checked"), 0) << name;
  EXPECT_TRUE(phase.at("disk_read_bytes").is_number()) << name;
  EXPECT_TRUE(phase.at("disk_written_bytes").is_number()) << name;
  EXPECT_EQ(phase.at("wrong"), 0) << name;
  EXPECT_EQ(phase.at("stale"), 0) << name;
  EXPECT_GE(phase.at("model_age").at("p50_s"), 0) << name;
  EXPECT_FALSE(phase.at("slices").empty()) << name;
  EXPECT_GT(phase.at("cpu_p50_us"), 0) << name;
  EXPECT_GE(phase.at("cpu_p99_us"), phase.at("cpu_p50_us")) << name;
  const auto& waited = phase.at("waited_s");  // null without /proc/thread-self/schedstat
  EXPECT_TRUE(waited.is_null() || waited >= 0) << name;
  EXPECT_EQ(phase.at("request"), name.starts_with("scores") ? "score" : "retrieve") << name;
  const bool appends = name.find("append") != std::string::npos;
  EXPECT_EQ(phase.at("appends").is_object(), appends) << name;
  if (appends) {
    EXPECT_GT(phase.at("appends").at("behaviours_per_s"), 0) << name;
  }
  const bool swaps = name.find("swaps") != std::string::npos;
  EXPECT_EQ(!phase.at("swaps").empty(), swaps) << name;
  EXPECT_EQ(phase.at("swap_priority").is_string(), swaps) << name;
  for (const auto& swap : phase.at("swaps")) EXPECT_GT(swap.at("end_s"), swap.at("begin_s"));
}

TEST_F(ServingBench, MeasuresAllPhases) {
  const Outcome outcome =
      Run(Cat(kTinyData, kTiny,
              "--durability none,synced --swap-priority idle,normal --csv s.csv --json s.json"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* text :
       {"store: 60 users, 5400 behaviours", "open loop: Poisson arrivals, 300 requests/s",
        "age when answered", "re-hash", "eta_gather", "appends alone"}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << "\n" << outcome.out;
  }
  std::istringstream row(outcome.out.substr(outcome.out.find("\nquiet ")));
  std::string line;
  std::getline(std::getline(row, line), line);
  std::istringstream words(line);
  const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
  EXPECT_EQ(fields.size(), 21 + 2) << line;  // a word a column, and "0 of 8" in the last one
  const auto json = nlohmann::json::parse(ReadText(folder_ / "s.json"));
  std::vector<std::string> names;
  uint64_t version = 1;
  for (const auto& phase : json.at("phases")) {
    names.push_back(phase.at("name"));
    CheckPhase(phase);
    for (const auto& swap : phase.at("swaps")) EXPECT_EQ(swap.at("version"), ++version);
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{
                "quiet", "appends, none", "appends, synced", "swaps", "appends, none, and swaps",
                "appends, none, and swaps, normal priority", "quiet, at the end"}));
  EXPECT_GE(version, 4);
  const auto p99 = [](const nlohmann::json& phase) {
    return phase.at("requests").at("p99_us").get<double>();
  };
  const auto& phases = json.at("phases");
  const double quiet = std::min(p99(phases.front()), p99(phases.back()));
  for (const auto& phase : phases) EXPECT_EQ(phase.at("p99_of_quiet"), p99(phase) / quiet);
  const auto& ratios = json.at("ratios");
  EXPECT_EQ(ratios.at("items"), 300);
  EXPECT_EQ(ratios.at("behaviours_mean"), 60);
  for (const char* key :
       {"rehash_ms", "rebuild_ms", "eta_us", "cached_us", "eta_gather_us", "cold_us"}) {
    EXPECT_GT(ratios.at(key), 0) << key;
  }
  EXPECT_EQ(json.at("store").at("behaviours"), 5400);
  EXPECT_GT(json.at("store").at("bytes"), 5400);
  EXPECT_GT(json.at("cache").at("users"), 0);
  EXPECT_EQ(json.at("appends_alone").size(), 2);
  const std::string csv = ReadText(folder_ / "s.csv");
  EXPECT_TRUE(csv.starts_with("phase,durability,rate,")) << csv;
  EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 7);
  EXPECT_EQ(folder_.CountEntries(), 2);  // the store is gone
}

TEST_F(ServingBench, MeasuresScores) {
  const CtrExport model = test::ModelMaker(CtrUnit::kEta, test::SomeSettings(16, 2), 80, 3).Make();
  const test::ExportWriter writer(model, {}, folder_ / "model");
  const Outcome outcome =
      Run(Cat("--ctr model", kTiny, "--durability flushed --csv s.csv --json s.json"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("scores, cached"), std::string::npos) << outcome.out;
  const auto json = nlohmann::json::parse(ReadText(folder_ / "s.json"));
  const auto& phases = json.at("phases");
  ASSERT_EQ(phases.size(), 5 + 3);
  for (const auto& phase : phases) CheckPhase(phase);
  EXPECT_EQ(phases[5].at("name"), "scores, quiet");
  EXPECT_EQ(phases[6].at("name"), "scores, appends, flushed, and swaps");
  EXPECT_EQ(phases[6].at("swaps")[0].at("version"), 2);  // of the CTR model
  const auto p99 = [&](size_t i) { return phases[i].at("requests").at("p99_us").get<double>(); };
  EXPECT_EQ(phases[6].at("p99_of_quiet"), p99(6) / std::min(p99(5), p99(7)));
  EXPECT_GT(json.at("ratios").at("ctr_us"), 0);
  EXPECT_GT(json.at("ratios").at("scored_us"), 0);
  const std::string csv = ReadText(folder_ / "s.csv");
  EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 8);
  EXPECT_NE(csv.find(",score,"), std::string::npos) << csv;
  ExpectBadInput("--ctr absent", "absent");
  ExpectBadInput("--ctr model --users 5", "--ctr gives others");
  ExpectBadInput(Cat("--ctr model --bundle ", MakeBundle()), "5 users and 80 items, the data 60");
}

TEST_F(ServingBench, TakesABundle) {
  const std::string bundle = MakeBundle();
  const Outcome outcome = Run(Cat("--bundle ", bundle, kTiny, "--durability flushed"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("store: 60 users, 5400 behaviours"), std::string::npos) << outcome.out;
}

TEST_F(ServingBench, RefusesWhatItCannotMeasure) {
  ExpectBadInput("--rate 0", "--rate 0 for");
  ExpectBadInput("--rate x", "--rate");
  ExpectBadInput("--seconds 0", "--seconds");
  ExpectBadInput("--seconds 86400 --rate 1e6", "more than");
  ExpectBadInput("--threads 0", "--threads");
  ExpectBadInput("--bits 0", "--bits");
  ExpectBadInput("--k 0", "--k");
  ExpectBadInput("--batch 0", "--batch");
  ExpectBadInput("--appends 10 --batch 1000", "batches are expected");
  ExpectBadInput("--swap-every 0", "--swap-every");
  ExpectBadInput("--swap-every 9 --seconds 3", "--swap-every");
  ExpectBadInput("--durability flushed,", "--durability");
  ExpectBadInput("--durability none,none", "there twice");
  ExpectBadInput("--durability disk", "neither none, flushed nor synced");
  ExpectBadInput("--swap-priority low", "neither idle nor normal");
  ExpectBadInput("--swap-threads 2", "--swap-priority normal");
  ExpectBadInput("--cross-category 2", "--cross-category");
  ExpectBadInput("--bundle absent", "absent");
  ExpectBadInput("--bundle b --users 5", "--bundle gives others");
  ExpectBadInput("surplus", "surplus");
}

TEST_F(ServingBench, WritesOverNothingThatItReads) {
  const std::string bundle = MakeBundle();
  ExpectBadInput(Cat("--bundle ", bundle, " --csv ", bundle, "/item_embeddings.npy"),
                 "item_embeddings.npy");
  ExpectBadInput("--csv same --json same", "same");
  ExpectBadInput("--csv absent/s.csv", "absent/s.csv");
}

}  // namespace
}  // namespace eta
