// SPDX-License-Identifier: Apache-2.0
// What every fuzzer does first. libFuzzer has the main function.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/fuzz/input.h"

// Set where the seeds are run as a test.
const bool eta::fuzz::kRunEveryTarget = std::getenv("ETA_FUZZ_EVERY_TARGET") != nullptr;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  // A failed check ends the program with its text, and libFuzzer keeps the input.
  ::testing::GTEST_FLAG(throw_on_failure) = true;
  return 0;
}
