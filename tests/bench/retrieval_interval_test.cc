// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/interval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "core/base/random.h"
#include "core/retrieval/metrics.h"

namespace eta::bench {
namespace {

TEST(MedianInterval, NeedsEnoughValues) {
  const std::vector<double> values{1, 2, 3, 4, 5};
  EXPECT_FALSE(MedianInterval(std::span(values).first(4)));
  EXPECT_EQ(MedianInterval(values)->low, 1);
  EXPECT_EQ(MedianInterval(values)->high, 5);
  EXPECT_EQ(MedianInterval(std::vector<double>(9, 7.0))->high, 7);
}

TEST(MedianInterval, IsThatOfResampling) {
  Random random(1);
  for (const size_t n : {7, 9, 20, 31, 101}) {
    std::vector<double> values;
    for (size_t i = 0; i < n; ++i) values.push_back(random.Normal());
    std::vector<double> medians;
    for (int resample = 0; resample < 20000; ++resample) {
      std::vector<double> draw;
      for (size_t i = 0; i < n; ++i) draw.push_back(values[random.Below(static_cast<uint32_t>(n))]);
      std::ranges::sort(draw);
      medians.push_back(Percentile(draw, 50));
    }
    std::ranges::sort(medians);
    const auto interval = MedianInterval(values);
    // Between neighbours of these ranks, since a resampled quantile may miss by one value.
    EXPECT_GE(interval->low, Percentile(medians, 2.0)) << n;
    EXPECT_LE(interval->low, Percentile(medians, 3.0)) << n;
    EXPECT_GE(interval->high, Percentile(medians, 97.0)) << n;
    EXPECT_LE(interval->high, Percentile(medians, 98.0)) << n;
  }
}

TEST(MedianInterval, CoversTheMedian) {
  Random random(2);
  int covered = 0;
  constexpr int kTrials = 4000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values;
    for (int i = 0; i < 9; ++i) values.push_back(random.Normal());
    const auto interval = MedianInterval(values);
    if (interval->low <= 0 && 0 <= interval->high) ++covered;
  }
  // Order statistics 2 and 8 of 9 enclose the median with a chance of 492 / 512.
  EXPECT_NEAR(static_cast<double>(covered) / kTrials, 492.0 / 512, 0.012);
}

}  // namespace
}  // namespace eta::bench
