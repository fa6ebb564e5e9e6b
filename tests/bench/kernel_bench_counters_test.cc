// SPDX-License-Identifier: Apache-2.0
#include "bench/kernel/counters.h"

#include <gtest/gtest.h>
#include <linux/perf_event.h>

#include <functional>
#include <optional>
#include <vector>

#include "bench/common/machine.h"

namespace eta::bench {
namespace {

constexpr int kIterations = 10;

// Runs one row as kernel_bench does; what the row reports.
benchmark::UserCounters RunRow(const std::function<void(benchmark::State&)>& body) {
  struct Keep : benchmark::BenchmarkReporter {
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override { counters = runs.at(0).counters; }
    benchmark::UserCounters counters;
  } keep;
  benchmark::RegisterBenchmark("row", body)->Iterations(kIterations);
  benchmark::RunSpecifiedBenchmarks(&keep);
  benchmark::ClearRegisteredBenchmarks();
  return keep.counters;
}

// Only what runs between the loop's start and end moves these.
uint64_t events = 0;

struct FalseCounters {
  std::optional<uint64_t> cycles() const { return events; }
  std::optional<uint64_t> instructions() const { return 3 * events; }
};

struct RefusedCounters {
  EventCounter refused{PERF_TYPE_HARDWARE, 1 << 20};
  std::optional<uint64_t> cycles() const { return refused.Read(); }
  std::optional<uint64_t> instructions() const { return refused.Read(); }
};

template <class Counters>
void Row(LoopCounters<Counters>& counters, benchmark::State& state, int64_t items_per_iteration) {
  events += 1'000'000;
  for ([[maybe_unused]] auto _ : counters.Over(state)) events += 8;
  events += 1'000'000;
  if (items_per_iteration > 0) state.SetItemsProcessed(state.iterations() * items_per_iteration);
  counters.Report(state);
}

TEST(LoopCounters, CountTheLoopAlone) {
  LoopCounters<FalseCounters> counters;
  auto row = RunRow([&](benchmark::State& state) { Row(counters, state, 4); });
  EXPECT_EQ(row.at("cycles_per_item"), 2);
  EXPECT_EQ(row.at("instructions_per_item"), 6);
}

TEST(LoopCounters, NeedItems) {
  LoopCounters<FalseCounters> counters;
  EXPECT_TRUE(RunRow([&](benchmark::State& state) { Row(counters, state, 0); }).empty());
}

TEST(LoopCounters, SayNothingOfARowThatDidNotLoop) {
  LoopCounters<FalseCounters> counters;
  RunRow([&](benchmark::State& state) { Row(counters, state, 4); });
  const auto row = RunRow([&](benchmark::State& state) {
    for (auto _ : state) {
    }
    state.SetItemsProcessed(state.iterations());
    counters.Report(state);
  });
  EXPECT_FALSE(row.contains("cycles_per_item"));
}

TEST(LoopCounters, SayNothingWhereTheMachineRefuses) {
  LoopCounters<RefusedCounters> counters;
  const auto row = RunRow([&](benchmark::State& state) { Row(counters, state, 4); });
  EXPECT_TRUE(row.contains("items_per_second"));
  EXPECT_FALSE(row.contains("cycles_per_item"));
  EXPECT_FALSE(row.contains("instructions_per_item"));
}

}  // namespace
}  // namespace eta::bench
