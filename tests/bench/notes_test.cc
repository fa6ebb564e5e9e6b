// SPDX-License-Identifier: Apache-2.0
#include "bench/common/notes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "core/base/check.h"
#include "core/base/simd_env.h"
#include "simd/target.h"

namespace eta::bench {
namespace {

TEST(TargetNotes, TellWhatAPoorTargetCosts) {
  for (const char* name : {"SSE4", "SSSE3"}) {
    if (!simd::ForceTargetForTest(name)) continue;
    ASSERT_EQ(TargetNotes().size(), 1) << name;
    EXPECT_TRUE(TargetNotes()[0].starts_with(
        Cat("the SIMD target ", name, " has no fused multiply-add and emulates it: ")));
  }
  ASSERT_TRUE(simd::ForceTargetForTest("EMU128"));
  ASSERT_EQ(TargetNotes().size(), 1);
  EXPECT_TRUE(TargetNotes()[0].starts_with("the SIMD target EMU128 has no vector instructions: "));
  simd::ForceTargetForTest(nullptr);
  if (!simd::ActiveCapabilities().fma) GTEST_SKIP() << "no target has FMA";
  EXPECT_EQ(TargetNotes(), Notes());
}

TEST(MachineNotes, TellOfThreadsWithoutACpuEach) {
  Environment environment{};
  environment.usable_cpus = 4;
  EXPECT_EQ(MachineNotes(environment, 4), Notes());
  EXPECT_EQ(MachineNotes(environment, 5),
            Notes{"5 threads share 4 CPUs: latencies include waiting"});
  environment.cpu_quota = 1.5;
  EXPECT_EQ(MachineNotes(environment, 1), Notes());
  EXPECT_EQ(MachineNotes(environment, 2),
            Notes{"2 threads share the time of 1.5 CPUs, the quota of the control group: latencies "
                  "include waiting"});
  environment.cpu_quota = 0.5;
  EXPECT_EQ(MachineNotes(environment, 1).size(), 1);
  environment.cpu_quota.reset();
  environment.load_average = 5;
  EXPECT_EQ(MachineNotes(environment, 1).size(), 1);
}

TEST(DataNotes, TellOfEmptyHistories) {
  Bundle bundle;
  bundle.items.embeddings = Matrix<float>(2, 1);
  EXPECT_EQ(DataNotes(bundle), Notes());  // no users
  bundle.histories.offsets = {0, 1, 2, 2};
  bundle.histories.items = {0, 1};
  EXPECT_EQ(DataNotes(bundle), Notes());
  bundle.histories.offsets = {0, 2, 2, 2};
  EXPECT_EQ(DataNotes(bundle), Notes{"2 of 3 users (66 %) have no history"});
}

TEST(DataNotes, TellOfValuesThatAreNotFinite) {
  Bundle bundle;
  bundle.items.embeddings = Matrix<float>(9, 2);
  bundle.items.embeddings.row(3)[1] = std::nanf("");
  bundle.items.embeddings.row(4)[0] = bundle.items.embeddings.row(4)[1] = HUGE_VALF;
  ASSERT_EQ(DataNotes(bundle).size(), 1);
  EXPECT_TRUE(DataNotes(bundle)[0].starts_with(
      "2 of 9 item embeddings hold NaN or infinity (rows 3, 4): "));
  for (size_t r = 0; r < 9; ++r) bundle.items.embeddings.row(r)[0] = -HUGE_VALF;
  EXPECT_TRUE(DataNotes(bundle)[0].starts_with(
      "9 of 9 item embeddings hold NaN or infinity (rows 0, 1, 2, 3, 4, ...): "));
}

}  // namespace
}  // namespace eta::bench
