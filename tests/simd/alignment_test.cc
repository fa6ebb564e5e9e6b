// SPDX-License-Identifier: Apache-2.0
// Any pointer that is aligned as its type will do (simd/views.h), for the same results: bytes and
// scratch at odd addresses, floats at multiples of 4 bytes that are none of 8. Under UBSan a wider
// access that asks for more than that ends the test.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/every_kernel.h"

namespace eta::test {
namespace {

class AlignmentTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(AlignmentTest);

TEST_P(AlignmentTest, OddAddressesGiveTheSameResults) {
  std::vector<size_t> expected;
  EveryKernel aligned(0);
  aligned.ForEach([&](const char*, const std::function<void()>& call) {
    call();
    expected.push_back(aligned.Digest());
  });
  EveryKernel odd(1);
  size_t next = 0;
  odd.ForEach([&](const char* name, const std::function<void()>& call) {
    call();
    EXPECT_EQ(odd.Digest(), expected[next++]) << name;
  });
}

}  // namespace
}  // namespace eta::test
