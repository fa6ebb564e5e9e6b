// SPDX-License-Identifier: Apache-2.0
// --dump and --per-request: what methods returned, request by request.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/data/npy.h"
#include "tests/support/retrieval_bench_fixture.h"

namespace eta {
namespace {

constexpr size_t kK = 10;

double InnerProduct(const Bundle& bundle, int32_t a, int32_t b) {
  double sum = 0;
  for (size_t d = 0; d < bundle.items.dim(); ++d) {
    sum += static_cast<double>(bundle.items.embeddings.row(static_cast<size_t>(a))[d]) *
           bundle.items.embeddings.row(static_cast<size_t>(b))[d];
  }
  return sum;
}

// Of the users one has no history, one fewer behaviours than K.
void ShortenSome(Bundle& b) {
  b.histories.offsets = {0, 0, 5, 155, 300, 450, 600};
  b.histories.times.clear();
}

class RetrievalDump : public RetrievalBench {
 protected:
  std::filesystem::path Dump(const std::string& bundle, const std::string& more = "") {
    const auto dump = folder_ / "dump";
    std::filesystem::remove_all(dump);
    const Outcome outcome =
        Run(Cat("--data ", bundle, kSmallRequests,
                "--requests 6 --held-out 0 --min-history 0 --repeats 1 --methods "
                "exact,eta:64+rerank_i8:2,sim_hard ",
                more, " --dump ", dump.string()));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return dump;
  }
};

TEST_F(RetrievalDump, HoldsWhatMethodsReturned) {
  const std::string path = MakeBundle(ShortenSome);
  const Bundle bundle = ReadBundle(path);
  for (const std::string more : {"", "--cache cold --llc-mb 1", "--max-history 40"}) {
    const auto dump = Dump(path, more);
    const auto users = ReadNpyVector<int64_t>(dump / "user.npy");
    const auto candidates = ReadNpyVector<int32_t>(dump / "candidate.npy");
    ASSERT_EQ(users.size(), 6 * 20);
    ASSERT_EQ(candidates.size(), users.size());
    for (const std::string method : {"exact", "eta_64+rerank_i8_2", "sim_hard"}) {
      SCOPED_TRACE(method + " " + more);
      const auto positions = ReadNpyMatrix<int32_t>(dump / method / "positions.npy");
      const auto scores = ReadNpyMatrix<float>(dump / method / "scores.npy");
      const auto counts = ReadNpyVector<int32_t>(dump / method / "counts.npy");
      ASSERT_EQ(positions.rows, users.size());
      ASSERT_EQ(positions.cols, kK);
      ASSERT_EQ(scores.rows, users.size());
      ASSERT_EQ(scores.cols, kK);
      ASSERT_EQ(counts.size(), users.size());
      for (size_t r = 0; r < users.size(); ++r) {
        const auto history = bundle.histories[static_cast<size_t>(users[r])];
        const size_t seen =
            more.starts_with("--max") ? std::min<size_t>(40, history.size()) : history.size();
        const auto count = static_cast<size_t>(counts[r]);
        ASSERT_TRUE(count == std::min(kK, seen) || method == "sim_hard") << count;
        for (size_t i = 0; i < kK; ++i) {
          const int32_t position = positions.row(r)[i];
          if (i >= count) {
            ASSERT_EQ(position, -1);
            ASSERT_TRUE(std::isnan(scores.row(r)[i]));
            continue;
          }
          ASSERT_GE(position, static_cast<int32_t>(history.size() - seen));
          ASSERT_LT(position, static_cast<int32_t>(history.size()));
          ASSERT_NEAR(scores.row(r)[i],
                      InnerProduct(bundle, candidates[r], history[static_cast<size_t>(position)]),
                      1e-4);
          ASSERT_TRUE(i == 0 || scores.row(r)[i] <= scores.row(r)[i - 1]);
        }
      }
    }
  }
}

TEST_F(RetrievalDump, SaysWhatItIs) {
  const std::string path = MakeBundle(ShortenSome);
  const auto json = nlohmann::json::parse(ReadAll(Dump(path) / "dump.json"));
  EXPECT_EQ(json.at("format"), "eta-simd retrieval_bench dump 1");
  EXPECT_EQ(json.at("data"), path);
  EXPECT_EQ(json.at("digest"), BundleDigest(ReadBundle(path)));
  EXPECT_EQ(json.at("rows"), 120);
  EXPECT_EQ(json.at("k"), kK);
  EXPECT_EQ(json.at("methods").at("eta:64+rerank_i8:2"), "eta_64+rerank_i8_2");
}

TEST_F(RetrievalDump, RefusesAFolderThatExists) {
  std::filesystem::create_directory(folder_ / "taken");
  ExpectBadInput(Cat(kTiny, " --dump ", (folder_ / "taken").string()), "taken: exists already");
  ExpectBadInput(
      Cat("--data ", (folder_ / "none").string(), " --dump ", (folder_ / "new").string()),
      "none: does not exist");
  for (const char* option : {" --dump ", " --per-request "}) {
    ExpectBadInput(Cat(kTiny, " --sweep b=1,2", option, (folder_ / "new").string()),
                   "--sweep does not go with");
  }
}

// Before data is read and methods are built, for which there is no such name.
TEST_F(RetrievalDump, RefusesTwoMethodsOfOneFolder) {
  const auto dump = folder_ / "new";
  ExpectBadInput(Cat("--data ", (folder_ / "none").string(), " --methods eta:64,eta_64 --dump ",
                     dump.string()),
                 "two methods would be written to eta_64");
  EXPECT_FALSE(std::filesystem::exists(dump));
}

// The dump was there when the file of the load could not be written.
TEST_F(RetrievalDump, AppearsWithTheOtherFilesOrNot) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  const auto dump = folder_ / "dump", csv = folder_ / "rows.csv";
  const std::string arguments = Cat(kTiny, kSmallRequests, " --methods exact --dump ",
                                    dump.string(), " --csv ", csv.string());
  EXPECT_EQ(Run(Cat(arguments, " --json /dev/full")).exit_code, 2);
  EXPECT_EQ(folder_.CountEntries(), 0);
  EXPECT_EQ(Run(arguments).exit_code, 0);
  EXPECT_EQ(folder_.CountEntries(), 2);
}

// The means over requests are the figures of the table.
TEST_F(RetrievalDump, RowsOfRequestsAddUpToTheTable) {
  const std::string bundle = MakeBundle(ShortenSome);
  const auto file = folder_ / "requests.csv";
  for (const std::string more : {"", "--cache cold --llc-mb 1"}) {
    const Rows table = RunForRows(Cat("--data ", bundle, kSmallRequests,
                                      "--requests 6 --min-history 0 --held-out 0 --repeats 2 "
                                      "--methods exact,eta:64 --per-request ",
                                      file.string(), " ", more));
    ASSERT_EQ(table.size(), 2);
    const Rows rows = ParseCsv(ReadAll(file));
    ASSERT_EQ(rows.size(), 12);
    std::vector<std::string> users;
    for (size_t m = 0; m < 2; ++m) {
      double recall = 0, mass = 0, length = 0;
      for (size_t r = m; r < rows.size(); r += 2) {
        EXPECT_EQ(rows[r].at("method"), table[m].at("method"));
        EXPECT_EQ(rows[r].at("candidates"), "20");
        EXPECT_GT(std::stod(rows[r].at("p50_us")), 0);
        length += std::stod(rows[r].at("length"));
        if (m == 0) users.push_back(rows[r].at("user"));
        if (rows[r].at("length") == "0") {
          EXPECT_EQ(rows[r].at("recall"), "");
          continue;
        }
        recall += std::stod(rows[r].at("recall"));
        mass += std::stod(rows[r].at("attention_mass"));
      }
      EXPECT_NEAR(recall / 5, std::stod(table[m].at("recall")), 1e-5);
      EXPECT_NEAR(mass / 5, std::stod(table[m].at("attention_mass")), 1e-5);
      EXPECT_NEAR(length / 6, std::stod(table[m].at("l_mean")), 1e-3);
    }
    std::ranges::sort(users);
    EXPECT_EQ(users, (std::vector<std::string>{"0", "1", "2", "3", "4", "5"}));
  }
}

}  // namespace
}  // namespace eta
