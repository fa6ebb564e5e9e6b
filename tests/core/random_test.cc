// SPDX-License-Identifier: Apache-2.0
#include "core/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/portable_math.h"

namespace eta {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The first numbers of the demonstration program of O'Neill's PCG library, seed 42, stream 54.
TEST(RandomTest, MatchesPublishedSequence) {
  Random random(42, 54);
  for (const uint32_t expected :
       {0xa15c02b7u, 0x7b47f409u, 0xba1d3330u, 0x83d2f293u, 0xbfa4784bu, 0xcbed606eu}) {
    EXPECT_EQ(random.Next32(), expected);
  }
}

TEST(RandomTest, Next64HasTheEarlierNumberAbove) {
  EXPECT_EQ(Random(42, 54).Next64(), 0xa15c02b77b47f409u);
}

TEST(RandomTest, SeedsAndStreamsDiffer) {
  const uint64_t first = Random(1).Next64();
  EXPECT_EQ(Random(1, 0).Next64(), first);
  EXPECT_NE(Random(2).Next64(), first);
  EXPECT_NE(Random(1, 1).Next64(), first);
}

TEST(RandomTest, BelowStaysBelowAndIsUniform) {
  Random random(3);
  EXPECT_EQ(random.Below(1), 0u);
  constexpr int kDraws = 70000;
  std::vector<int> counts(7);
  for (int i = 0; i < kDraws; ++i) ++counts.at(random.Below(7));
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 7, 400);  // 4.3 sigma
}

// Taking the remainder by 3 * 2^30 would hit the lower third of the range half of the time.
TEST(RandomTest, BelowIsUnbiasedForLargeBounds) {
  Random random(4);
  int lower = 0;
  for (int i = 0; i < 30000; ++i) lower += random.Below(3u << 30) < (1u << 30);
  EXPECT_NEAR(lower, 10000, 400);
}

TEST(RandomTest, UniformFillsTheUnitInterval) {
  Random random(5);
  double sum = 0;
  double least = 1;
  double most = 0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double value = random.Uniform();
    least = std::min(least, value);
    most = std::max(most, value);
    sum += value;
  }
  EXPECT_GE(least, 0);
  EXPECT_LT(least, 1e-3);
  EXPECT_LT(most, 1);
  EXPECT_GT(most, 1 - 1e-3);
  EXPECT_NEAR(sum / kDraws, 0.5, 4e-3);
}

// Checked against a separate program with 60-digit logarithms: equal but for the last bit of one.
TEST(RandomTest, NormalIsFrozen) {
  Random random(1, 2);
  for (const double expected :
       {-0x1.67ed02689e365p-2, -0x1.a674d4dbf7d9cp-3, -0x1.201beca7c27a7p+1, -0x1.c861b8c925579p+0,
        -0x1.088c395867926p-2, 0x1.32b7e0d317f26p-2, 0x1.8575d856e21eap+0, -0x1.07533304d883ep-2})
    EXPECT_EQ(random.Normal(), expected);
}

TEST(RandomTest, NormalHasTheMomentsAndTailsOfTheNormal) {
  Random random(6);
  constexpr int kDraws = 400000;
  double sums[5] = {};
  int beyond_two = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = random.Normal();
    for (int power = 1; power <= 4; ++power) sums[power] += std::pow(value, power);
    beyond_two += std::abs(value) > 2;
  }
  EXPECT_NEAR(sums[1] / kDraws, 0, 0.008);
  EXPECT_NEAR(sums[2] / kDraws, 1, 0.012);
  EXPECT_NEAR(sums[3] / kDraws, 0, 0.03);
  EXPECT_NEAR(sums[4] / kDraws, 3, 0.08);
  EXPECT_NEAR(beyond_two / static_cast<double>(kDraws), 0.0455, 0.0015);
}

TEST(PortableMathTest, LogAgreesWithTheLibrary) {
  Random random(7);
  for (int i = 0; i < 200000; ++i) {
    const double x = std::ldexp(1 + random.Uniform(), static_cast<int>(random.Below(2000)) - 1000);
    ASSERT_NEAR(PortableLog(x), std::log(x), 1e-15 * std::abs(std::log(x))) << x;
    const double near_one = 1 + 1e-3 * (random.Uniform() - 0.5);
    ASSERT_NEAR(PortableLog(near_one), std::log(near_one), 1e-15 * std::abs(std::log(near_one)));
  }
  EXPECT_EQ(PortableLog(1), 0);
  EXPECT_NEAR(PortableLog(5e-324), std::log(5e-324), 1e-12);
  EXPECT_EQ(PortableLog(0), -kInfinity);
  EXPECT_EQ(PortableLog(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(PortableLog(-1)));
  EXPECT_TRUE(std::isnan(PortableLog(std::nan(""))));
}

TEST(PortableMathTest, ExpAgreesWithTheLibrary) {
  Random random(8);
  for (int i = 0; i < 200000; ++i) {
    const double x = 1400 * (random.Uniform() - 0.5);
    ASSERT_NEAR(PortableExp(x) / std::exp(x), 1, 1e-15) << x;
    const double small = random.Uniform() - 0.5;
    ASSERT_NEAR(PortableExp(small) / std::exp(small), 1, 1e-15) << small;
  }
  EXPECT_EQ(PortableExp(0), 1);
  EXPECT_NEAR(PortableExp(709.78) / std::exp(709.78), 1, 1e-15);
  EXPECT_NEAR(PortableExp(-708.39) / std::exp(-708.39), 1, 1e-15);
  EXPECT_EQ(PortableExp(710), kInfinity);
  EXPECT_EQ(PortableExp(-kInfinity), 0);
  EXPECT_TRUE(std::isnan(PortableExp(std::nan(""))));
}

TEST(PortableMathTest, PowAgreesWithTheLibrary) {
  Random random(9);
  for (int i = 0; i < 100000; ++i) {
    const double x = 1e5 * (random.Uniform() + 1e-9);
    const double y = 4 * (random.Uniform() - 0.5);
    ASSERT_NEAR(PortablePow(x, y) / std::pow(x, y), 1, 2e-14) << x << ' ' << y;
  }
}

}  // namespace
}  // namespace eta
