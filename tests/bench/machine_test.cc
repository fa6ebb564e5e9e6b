// SPDX-License-Identifier: Apache-2.0
#include "bench/common/machine.h"

#include <gtest/gtest.h>
#include <linux/perf_event.h>

#include <chrono>
#include <ctime>
#include <thread>

namespace eta::bench {
namespace {

TEST(Machine, CountsContextSwitches) {
  const ContextSwitches before = ReadContextSwitches();
  for (int i = 0; i < 10; ++i) std::this_thread::sleep_for(std::chrono::microseconds(100));
  EXPECT_GE(ReadContextSwitches().voluntary, before.voluntary + 10);
}

// Many machines hide the CPU's counters; those of the kernel work as the same code has them.
TEST(Machine, CountsEvents) {
  EventCounter counter(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK);
  if (!counter.works()) GTEST_SKIP() << counter.error();
  const std::clock_t start = std::clock();
  const uint64_t before = *counter.Read();
  while (std::clock() - start < CLOCKS_PER_SEC / 50) {
  }
  EXPECT_GT(*counter.Read() - before, 10'000'000u);  // ns of 20 ms
}

TEST(Machine, SaysWhyACounterDoesNotWork) {
  const EventCounter counter(PERF_TYPE_HARDWARE, 1 << 20);
  EXPECT_FALSE(counter.works());
  EXPECT_NE(counter.error().find("perf_event_open: "), std::string::npos);
  EXPECT_FALSE(counter.Read());
}

}  // namespace
}  // namespace eta::bench
