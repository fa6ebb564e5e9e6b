// SPDX-License-Identifier: Apache-2.0
// main() of the test programs: as Google Test's own, but ETA_SIMD_TARGET chooses what runs where a
// test does not force a target itself. ThreadSanitizer sees accesses of up to 16 bytes only, so
// that SSE4 shows it what AVX3 hides.
#include <gtest/gtest.h>

#include <cstdio>
#include <stdexcept>

#include "core/base/simd_env.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  try {
    eta::ApplyTargetFromEnvironment();
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return RUN_ALL_TESTS();
}
