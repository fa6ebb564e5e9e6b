// SPDX-License-Identifier: Apache-2.0
// core/serving/latency_histogram.h.
#include "core/serving/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <thread>
#include <vector>

#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

TEST(LatencyHistogramTest, QuantilesAreWithinABucket) {
  Rng rng(1);
  for (const int bits : {3, 6, 12, 20, 30, 40}) {
    LatencyHistogram histogram;
    std::vector<uint64_t> values;
    uint64_t sum = 0;
    for (int i = 0; i < 1000; ++i) {
      values.push_back(1 + rng() % (uint64_t{1} << bits));
      sum += values.back();
      histogram.Record(static_cast<int64_t>(values.back()));
    }
    std::ranges::sort(values);
    EXPECT_EQ(histogram.count(), 1000u);
    EXPECT_EQ(histogram.sum_ns(), sum);
    for (const double q : {0.0, 0.001, 0.5, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<size_t>(std::max(1.0, std::ceil(q * 1000)));
      const auto exact = static_cast<double>(values[rank - 1]);
      const auto found = static_cast<double>(histogram.QuantileNs(q));
      EXPECT_GE(found, exact) << bits << " " << q;
      EXPECT_LE(found, exact * (1 + 1.0 / 32) + 1e-9) << bits << " " << q;
    }
  }
}

TEST(LatencyHistogramTest, EndsAndErrors) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.QuantileNs(0.5), 0u);
  EXPECT_NE(Error([&] { histogram.QuantileNs(1.1); }), "");
  EXPECT_NE(Error([&] { histogram.QuantileNs(-0.1); }), "");
  EXPECT_NE(Error([&] { histogram.QuantileNs(std::numeric_limits<double>::quiet_NaN()); }), "");
  histogram.Record(0);
  histogram.Record(std::numeric_limits<int64_t>::min());
  EXPECT_EQ(histogram.QuantileNs(1), 1u);
  histogram.Record(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(histogram.QuantileNs(1), uint64_t{1} << 40);
  EXPECT_EQ(histogram.count(), 3u);
}

// Powers of two are upper ends of buckets, for 32 buckets in each of them from 32 on.
TEST(LatencyHistogramTest, ValuesAtTheEdgesOfBuckets) {
  for (uint64_t value = 1; value <= uint64_t{1} << 39; value *= 2) {
    for (const uint64_t v : {value, value + 1, 2 * value - 1}) {
      LatencyHistogram histogram;
      histogram.Record(static_cast<int64_t>(v));
      EXPECT_GE(histogram.QuantileNs(1), v);
      EXPECT_LE(histogram.QuantileNs(1), v + v / 32);
    }
    LatencyHistogram histogram;
    histogram.Record(static_cast<int64_t>(value));
    EXPECT_EQ(histogram.QuantileNs(1), value);
  }
}

TEST(LatencyHistogramTest, PrometheusTextIsCumulative) {
  LatencyHistogram histogram;
  for (const int64_t ns : {500, 1024, 1025, 2048, 1 << 20, (1 << 20) + 1}) histogram.Record(ns);
  histogram.Record(int64_t{1} << 36);
  const std::string text = histogram.PrometheusText("t", "kind=\"a\"");
  for (const char* line :
       {"t_bucket{kind=\"a\",le=\"1.024e-06\"} 2\n", "t_bucket{kind=\"a\",le=\"2.048e-06\"} 4\n",
        "t_bucket{kind=\"a\",le=\"0.001048576\"} 5\n",
        "t_bucket{kind=\"a\",le=\"0.002097152\"} 6\n", "t_bucket{kind=\"a\",le=\"17.1798692\"} 6\n",
        "t_bucket{kind=\"a\",le=\"+Inf\"} 7\n", "t_sum{kind=\"a\"} 68.721578486\n",
        "t_count{kind=\"a\"} 7\n"}) {
    EXPECT_TRUE(Has(text, line)) << line << text;
  }
  EXPECT_TRUE(Has(histogram.PrometheusText("t", ""), "t_bucket{le=\"+Inf\"} 7\nt_sum "));
}

TEST(LatencyHistogramTest, NothingIsLostAmongThreads) {
  LatencyHistogram histogram;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) histogram.Record(i % 100);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(histogram.count(), 40000u);
}

}  // namespace
}  // namespace eta::test
