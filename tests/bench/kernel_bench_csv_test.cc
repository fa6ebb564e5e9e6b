// SPDX-License-Identifier: Apache-2.0
#include "bench/kernel/csv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace eta::bench {
namespace {

// Google Benchmark's own reporter ends the program at the second of these rows.
TEST(CsvReporter, PrintsRowsOfDifferentCounters) {
  benchmark::RegisterBenchmark("first", [](benchmark::State& state) {
    for (auto _ : state) {
    }
    state.counters["of_limit"] = 0.5;
  })->Iterations(1);
  benchmark::RegisterBenchmark("second", [](benchmark::State& state) {
    for (auto _ : state) {
    }
    state.SetLabel("a, \"b\"");
    state.counters["x_faiss"] = 40;
    state.counters["x_dense"] = std::nan("");
  })->Iterations(2);
  benchmark::RegisterBenchmark(
      "third", [](benchmark::State& state) { state.SkipWithError("differs, it seems"); });
  std::ostringstream out, err;
  CsvReporter reporter;
  reporter.SetOutputStream(&out);
  reporter.SetErrorStream(&err);
  EXPECT_EQ(benchmark::RunSpecifiedBenchmarks(&reporter), 3);
  benchmark::ClearRegisteredBenchmarks();
  std::istringstream text(out.str());
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 4) << out.str();
  EXPECT_EQ(lines[0],
            "name,iterations,real_time,cpu_time,time_unit,label,error_occurred,error_message,"
            "of_limit,x_dense,x_faiss");
  EXPECT_TRUE(lines[1].starts_with("first/iterations:1,1,")) << lines[1];
  EXPECT_TRUE(lines[1].ends_with(",ns,,,,0.5,,")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with("second/iterations:2,2,")) << lines[2];
  EXPECT_TRUE(lines[2].ends_with(",ns,\"a, \"\"b\"\"\",,,,,40")) << lines[2];
  EXPECT_EQ(lines[3], "third,,,,ns,,true,\"differs, it seems\",,,");
}

TEST(CsvReporter, IsMadeWhereCsvIsAskedFor) {
  const auto make = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "kernel_bench");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    return CsvReporterFor(static_cast<int>(argv.size()), argv.data()) != nullptr;
  };
  EXPECT_FALSE(make({}));
  EXPECT_TRUE(make({"--benchmark_format=csv"}));
  EXPECT_FALSE(make({"--benchmark_format=csv", "--benchmark_format=json"}));
  EXPECT_THROW(make({"--benchmark_out_format=csv"}), std::invalid_argument);
}

}  // namespace
}  // namespace eta::bench
