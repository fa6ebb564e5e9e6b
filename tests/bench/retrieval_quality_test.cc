// SPDX-License-Identifier: Apache-2.0
// Which methods run, and that what is said of their recall depends on the data alone.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "simd/target.h"
#include "tests/support/retrieval_bench_fixture.h"

namespace eta {
namespace {

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
       {"exact", "cosine", "scan_i8", "eta:64", "eta:128", "eta:256", "eta_asym:64",
        "eta:64+rerank_i8:4", "faiss_exact", "faiss_binary:64", "faiss_binary:256", "sim_hard",
        "sim_soft:ivf", "sim_soft:hnsw", "recent", "random"}) {
    EXPECT_NE(outcome.out.find(Cat("\n", method, " ")), std::string::npos) << method;
  }
  for (const char* text : {"data ", "CPU ", "target ", "compiler ", "FAISS ", "threads "}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text;
  }
}

// Where lengths differ, directions alone do not find the largest inner products.
TEST_F(RetrievalBench, SaysWhatLengthsCostSignCodes) {
  const std::string bundle = MakeBundle([](Bundle& b) {
    for (size_t i = 0; i < b.items.size(); ++i) {
      for (size_t d = 0; d < 16; ++d) b.items.embeddings.row(i)[d] *= i % 2 == 0 ? 1.0f : 5.0f;
    }
  });
  const auto path = folder_ / "run.json";
  const std::string arguments = Cat("--data ", bundle, kSmallRequests,
                                    " --methods exact,cosine --repeats 1 --json ", path.string());
  Outcome outcome = Run(arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("\nnorms     of item embeddings: "), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find("note: embeddings differ in length"), std::string::npos);
  EXPECT_NE(outcome.err.find("eta_norm, eta_asym and pq4"), std::string::npos) << outcome.err;
  auto json = nlohmann::json::parse(ReadAll(path));
  EXPECT_LT(json.at("rows")[1].at("recall"), 0.9);
  const auto& norms = json.at("data").at("norms");
  EXPECT_GT(norms.at("p95"), 3 * norms.at("p5").get<double>());
  EXPECT_LE(norms.at("p50"), norms.at("p95"));

  outcome = Run(arguments + " --normalize");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err.find("differ in length"), std::string::npos) << outcome.err;
  json = nlohmann::json::parse(ReadAll(path));
  EXPECT_GT(json.at("rows")[1].at("recall"), 0.99);
  EXPECT_NEAR(json.at("data").at("norms").at("p5").get<double>(), 1, 1e-6);
}

// A history of few items has many equal scores, and FAISS does not prefer the newest.
TEST_F(RetrievalBench, SaysWhereTiesDecide) {
  const std::string bundle = MakeBundle([](Bundle& b) {
    for (int32_t& item : b.histories.items) item %= 8;
  });
  const std::string arguments = Cat("--data ", bundle, kSmallRequests, " --repeats 1 --methods ");
  const Outcome tied = Run(arguments + "exact,faiss_exact");
  ASSERT_EQ(tied.exit_code, 0) << tied.err;
  EXPECT_NE(tied.err.find("note: recall (mean and p5) counts positions"), std::string::npos);
  EXPECT_NE(tied.err.find(", for faiss_exact\n"), std::string::npos) << tied.err;
  EXPECT_EQ(Run(arguments + "exact").err.find("counts positions"), std::string::npos);
}

// On embeddings of length 1 the softmax is nearly flat, and a method cannot win much.
TEST_F(RetrievalBench, SaysWhereAttentionMassTellsNothing) {
  const auto path = folder_ / "run.json";
  const auto masses = [&](const std::string& more, bool is_noted) {
    const Outcome outcome = Run(Cat(kTiny, kSmallRequests, " --methods exact,random --normalize ",
                                    more, " --json ", path.string()));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("note: attention mass does not tell") != std::string::npos, is_noted)
        << outcome.err;
    const auto json = nlohmann::json::parse(ReadAll(path));
    return std::vector<double>{json.at("rows")[0].at("attention_mass"),
                               json.at("rows")[1].at("attention_mass"),
                               json.at("settings").at("temperature")};
  };
  const auto flat = masses("", true);
  const auto sharp = masses("--temperature 0.05", false);
  EXPECT_GT(sharp[0], 2 * flat[0]);
  EXPECT_NEAR(flat[1], 10.0 / 192, 0.01);  // of chance: K of 192 behaviours
  EXPECT_EQ(flat[2], 1);
  EXPECT_EQ(sharp[2], 0.05);
  ExpectBadInput(Cat(kTiny, " --temperature 0"), "--temperature must be above 0");
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

// compare.py asks for equal figures, and methods return a set in an order of their own.
TEST_F(RetrievalBench, FiguresAreThoseOfEveryTarget) {
  const auto figures = [&](const std::string& target) {
    const auto path = folder_ / "run.json";
    const Outcome outcome =
        Run(Cat(kTiny, kSmallRequests,
                " --methods exact,scan_i8,eta:64,eta:64+rerank:4,eta_asym:64 --repeats 1 --target ",
                target, " --json ", path.string()));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    std::vector<std::vector<double>> all;
    const auto json = nlohmann::json::parse(ReadAll(path));
    for (const auto& row : json.at("rows")) {
      all.push_back(
          {row.at("recall"), row.at("recall_p5"), row.at("recall_ties"), row.at("attention_mass")});
    }
    return all;
  };
  const auto expected = figures("EMU128");
  for (int64_t rest = simd::SupportedTargets(); rest != 0; rest &= rest - 1) {
    const std::string target = simd::TargetName(rest & -rest);
    EXPECT_EQ(figures(target), expected) << target;
  }
}

}  // namespace
}  // namespace eta
