// SPDX-License-Identifier: Apache-2.0
#include "bench/common/cpus.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temp_folder.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

TEST(Cpus, RunsAThreadOnSome) {
  const std::vector<int> cpus = ThreadCpus();
  ASSERT_FALSE(cpus.empty());
  for (const int cpu : cpus) {
    std::thread([&] {
      RunThreadOn({cpu});
      EXPECT_EQ(sched_getcpu(), cpu);
      EXPECT_EQ(ThreadCpus(), std::vector<int>{cpu});
      RunThreadOn(cpus);
      EXPECT_EQ(ThreadCpus(), cpus);
    }).join();
  }
  EXPECT_EQ(ThreadCpus(), cpus);
  EXPECT_THROW(RunThreadOn({CPU_SETSIZE - 1}), std::runtime_error);
}

TEST(Cpus, KnowsThoseOfTheStart) {
  const std::vector<int> cpus = ProcessCpus();
  ASSERT_FALSE(cpus.empty());
  EXPECT_TRUE(std::ranges::includes(cpus, ThreadCpus()));
  std::thread([&] {
    RunThreadOn({cpus.back()});
    EXPECT_EQ(ProcessCpus(), cpus);
  }).join();
}

TEST(Cpus, PinsOpenMpThreads) {
  const std::vector<int> cpus = ProcessCpus();
  std::thread([&] {  // so that the test's own thread stays free
    EXPECT_NO_THROW(PinOpenMpThreads(cpus, static_cast<int>(cpus.size())));
    EXPECT_EQ(ThreadCpus(), std::vector<int>{cpus[0]});
    EXPECT_THROW(PinOpenMpThreads(cpus, static_cast<int>(cpus.size()) + 1), std::invalid_argument);
  })
      .join();
}

TEST(Cpus, RefusesThreadsThatOpenMpDoesNotGive) {
  EXPECT_NO_THROW(RequireOpenMpThreads(3));
#pragma omp parallel num_threads(2)
#pragma omp critical
  // A region inside another has one thread, unless nesting is asked for.
  EXPECT_THROW(RequireOpenMpThreads(3), std::invalid_argument);
}

class CpuQuotaTest : public testing::Test {
 protected:
  void Put(const char* file, const char* text) {
    fs::create_directories((root_ / file).parent_path());
    WriteText(root_ / file, text);
  }
  std::optional<double> Quota(const char* groups) {
    WriteText(folder_ / "groups", groups);
    return CpuQuota(folder_ / "groups", root_);
  }

  TempFolder folder_;
  fs::path root_ = folder_ / "root";
};

TEST_F(CpuQuotaTest, IsTheLeastOfAGroupAndThoseAboveIt) {
  Put("cpu.max", "max 100000\n");
  Put("a/cpu.max", "150000 100000\n");
  Put("a/b/cpu.max", "max 100000\n");
  Put("a/c/cpu.max", "50000 100000\n");
  EXPECT_EQ(Quota("0::/\n"), std::nullopt);
  EXPECT_EQ(Quota("0::/a/b\n"), 1.5);
  EXPECT_EQ(Quota("0::/a/c\n"), 0.5);
  EXPECT_EQ(Quota("0::/not/there\n"), std::nullopt);
}

TEST_F(CpuQuotaTest, ReadsVersion1) {
  Put("cpu/a/cpu.cfs_quota_us", "25000\n");
  Put("cpu/a/cpu.cfs_period_us", "100000\n");
  Put("cpu/cpu.cfs_quota_us", "-1\n");
  Put("cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Quota("5:memory:/a\n4:cpu,cpuacct:/a\n"), 0.25);
  EXPECT_EQ(Quota("5:memory:/a\n4:cpu,cpuacct:/\n"), std::nullopt);
}

TEST_F(CpuQuotaTest, BearsAnything) {
  Put("a/cpu.max", "0 0\n");
  for (const char* text : {"", "\n", ":", "::", "0:", "0::", "0::/a\n", "x"}) {
    EXPECT_EQ(Quota(text), std::nullopt) << text;
  }
  EXPECT_EQ(CpuQuota(folder_ / "none", root_), std::nullopt);
}

}  // namespace
}  // namespace eta::bench
