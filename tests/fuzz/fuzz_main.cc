// SPDX-License-Identifier: Apache-2.0
// What every fuzzer does first. libFuzzer has the main function.
#include <gtest/gtest.h>

#include "tests/fuzz/input.h"

const bool eta::fuzz::kRunEveryTarget = false;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  // A failed check ends the program with its text, and libFuzzer keeps the input.
  ::testing::GTEST_FLAG(throw_on_failure) = true;
  return 0;
}
