// SPDX-License-Identifier: Apache-2.0
// The command line: what it explains, and what it refuses.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/base/check.h"
#include "core/data/bundle.h"
#include "tests/support/retrieval_bench_fixture.h"

namespace eta {
namespace {

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
                                "--k 010",
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
                                "--min-history -1",
                                "--min-history x",
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

}  // namespace
}  // namespace eta
