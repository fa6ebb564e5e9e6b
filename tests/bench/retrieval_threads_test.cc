// SPDX-License-Identifier: Apache-2.0
// What the environment of a run says to OpenMP, and notes that a run begins with.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/common/cpus.h"
#include "core/base/check.h"
#include "tests/support/retrieval_bench_fixture.h"

namespace eta {
namespace {

class RetrievalThreads : public RetrievalBench {
 protected:
  nlohmann::json RunForJson(const std::string& arguments, const std::string& variables) {
    const auto path = folder_ / "run.json";
    const Outcome outcome = Run(Cat(kTiny, kSmallRequests, " --methods eta:64,faiss_exact ",
                                    arguments, " --json ", path.string()),
                                variables);
    EXPECT_EQ(outcome.exit_code, 0) << variables << ": " << outcome.err;
    return outcome.exit_code == 0 ? nlohmann::json::parse(ReadAll(path)) : nlohmann::json();
  }
};

TEST_F(RetrievalThreads, RefusesMoreThanOpenMpGives) {
  for (const char* more : {"", "--split candidates", "--sweep threads=1,2", "--load 100"}) {
    const std::string threads = std::string(more).starts_with("--sweep") ? "" : "--threads 2 ";
    const Outcome outcome =
        Run(Cat(kTiny, kSmallRequests, kFewMethods, threads, more), "OMP_THREAD_LIMIT=1");
    EXPECT_EQ(outcome.exit_code, 2) << more;
    EXPECT_NE(outcome.err.find("--threads 2: OpenMP runs no more than 1 (OMP_THREAD_LIMIT=1)"),
              std::string::npos)
        << outcome.err;
  }
}

TEST_F(RetrievalThreads, ReportsThoseThatRan) {
  for (const char* variables : {"", "OMP_DYNAMIC=true", "OMP_NUM_THREADS=1"}) {
    for (const char* split : {"users", "candidates"}) {
      const auto json = RunForJson(Cat("--threads 2 --split ", split), variables);
      for (const auto& row : json.at("rows")) EXPECT_EQ(row.at("threads"), 2) << variables << split;
    }
  }
}

TEST_F(RetrievalThreads, RecordsTheVariablesThatAreSet) {
  const auto json =
      RunForJson("", "OMP_MAX_ACTIVE_LEVELS=3 KMP_BLOCKTIME=0 ETA_SOMETHING=$'\\x1b'");
  const auto& variables = json.at("environment").at("variables");
  EXPECT_EQ(variables.at("OMP_MAX_ACTIVE_LEVELS"), "3");
  EXPECT_EQ(variables.at("KMP_BLOCKTIME"), "0");
  EXPECT_TRUE(variables.contains("ETA_SOMETHING"));
  EXPECT_EQ(variables.at("OMP_PLACES"), "not set");
  EXPECT_TRUE(json.at("environment").contains("cpu_quota"));
}

// OpenMP then binds the main thread before main() begins.
TEST_F(RetrievalThreads, CountsAndPinsWhereOpenMpBindsThreads) {
  const size_t cpus = bench::ProcessCpus().size();
  const size_t threads = std::min<size_t>(cpus, 2);
  for (const char* variables : {"OMP_PROC_BIND=true", "OMP_PROC_BIND=close OMP_PLACES=cores",
                                "OMP_PLACES='{0}'", "GOMP_CPU_AFFINITY=0"}) {
    for (const char* more : {"", "--pin", "--pin --load 100 --load-seconds 0.2"}) {
      const auto json = RunForJson(Cat("--threads ", threads, " ", more), variables);
      EXPECT_EQ(json.at("environment").at("usable_cpus"), cpus) << variables;
      for (const auto& row : json.at("rows")) EXPECT_EQ(row.at("threads"), threads) << variables;
    }
  }
}

TEST_F(RetrievalThreads, NotesAtTheStartThatFmaIsEmulated) {
  const auto path = folder_ / "run.json";
  const std::string arguments =
      Cat(kTiny, kSmallRequests, " --methods recent --target EMU128 --json ", path.string());
  const Outcome outcome = Run(arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with("note: the SIMD target EMU128 has no vector instructions"))
      << outcome.err;
  const auto notes = nlohmann::json::parse(ReadAll(path)).at("notes");
  EXPECT_NE(notes.at(0).get<std::string>().find("vector instructions"), std::string::npos);
  EXPECT_EQ(Run(arguments + " --quiet").err, "");
}

TEST_F(RetrievalThreads, NotesWhatIsOddInTheData) {
  const std::string bundle = MakeBundle([](Bundle& b) {
    b.histories.offsets = {0, 600, 600, 600, 600, 600, 600};
    b.histories.times.clear();
    b.items.embeddings.row(7)[0] = std::nanf("");
  });
  const Outcome outcome =
      Run(Cat("--data ", bundle, " --repeats 1 --methods recent --min-history 0"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* note : {"note: 5 of 6 users (83 %) have no history\n",
                           "note: 1 of 300 item embeddings hold NaN or infinity (rows 7)"}) {
    EXPECT_NE(outcome.err.find(note), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace eta
