// SPDX-License-Identifier: Apache-2.0
// The builds that look for faults check preconditions: those of kernels and those of the standard
// library. A build that has lost its assertions passes all other tests.
#include <gtest/gtest.h>

#include <cassert>
#include <cstdint>
#include <vector>

#include "simd/code_blocks.h"

namespace eta::test {
namespace {

constexpr bool kLooksForFaults = ETA_EXPECT_ASSERTIONS;
#ifdef NDEBUG
constexpr bool kHasAssertions = kLooksForFaults;
#else
constexpr bool kHasAssertions = true;  // optimised or not
#endif

void RequireBuild(bool expected) {
  if (!expected) GTEST_SKIP() << "this build is not one that looks for faults";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
}

TEST(AssertionsDeathTest, OfKernelsAreOn) {
  RequireBuild(kHasAssertions);
  if (!kHasAssertions) return;
  uint8_t code = 0;
  std::vector<uint8_t> blocks(64);
  // No bytes a code.
  EXPECT_DEATH(simd::PackCodeBlocks({&code, 0, 0, 0}, blocks.data()), "Assert");
}

TEST(AssertionsDeathTest, OfTheLibraryAreOn) {
  RequireBuild(kLooksForFaults);
  if (!kLooksForFaults) return;
  std::vector<int> values(1);
  values.reserve(2);  // so that nothing but the library's own check can see the access
  volatile size_t past = 1;
  EXPECT_DEATH(values[past] = 1, "Assertion");
}

TEST(AssertionsDeathTest, OfCAreOn) {
  RequireBuild(kHasAssertions);
  if (!kHasAssertions) return;
  [[maybe_unused]] volatile bool holds = false;
  EXPECT_DEATH(assert(holds), "holds");
}

}  // namespace
}  // namespace eta::test
