// SPDX-License-Identifier: Apache-2.0
#include "core/serving/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>

#include "core/base/check.h"

namespace eta {

// A bucket holds (lower end, upper end], so that powers of two are ends, as Prometheus's "le" asks.
// v = nanoseconds - 1 below 32 has a bucket of its own; from there on a bucket is the exponent of v
// and its 5 bits after the first.
size_t LatencyHistogram::BucketOf(uint64_t nanoseconds) {
  const uint64_t v = std::min(nanoseconds - 1, (uint64_t{1} << kLastPower) - 1);
  if (v >> kSubBits == 0) return v;
  const size_t shift = static_cast<size_t>(std::bit_width(v)) - 1 - kSubBits;
  return (shift << kSubBits) + (v >> shift);
}

uint64_t LatencyHistogram::UpperEnd(size_t bucket) {
  if (bucket >> kSubBits < 2) return bucket + 1;
  const size_t shift = (bucket >> kSubBits) - 1;
  return ((bucket & ((1u << kSubBits) - 1)) + (1u << kSubBits) + 1) << shift;
}

void LatencyHistogram::Record(int64_t nanoseconds) {
  const uint64_t duration = nanoseconds < 1 ? 1 : static_cast<uint64_t>(nanoseconds);
  counts_[BucketOf(duration)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(duration, std::memory_order_relaxed);
}

uint64_t LatencyHistogram::count() const {
  uint64_t sum = 0;
  for (const auto& count : counts_) sum += count.load(std::memory_order_relaxed);
  return sum;
}

uint64_t LatencyHistogram::sum_ns() const { return sum_.load(std::memory_order_relaxed); }

uint64_t LatencyHistogram::QuantileNs(double q) const {
  Require(q >= 0 && q <= 1, "latency histogram: quantile ", q, " is not in [0, 1]");
  const uint64_t all = count();
  if (all == 0) return 0;
  const auto rank =
      std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(q * static_cast<double>(all))));
  uint64_t seen = 0;
  size_t last = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    const uint64_t count = counts_[i].load(std::memory_order_relaxed);
    seen += count;
    if (count != 0) last = i;
    if (seen >= rank) return UpperEnd(i);
  }
  return UpperEnd(last);
}

std::string LatencyHistogram::PrometheusText(const std::string& name,
                                             const std::string& labels) const {
  constexpr size_t kFirstLine = 10, kLastLine = 34;
  std::string text;
  char line[64];
  const std::string before = labels.empty() ? "" : labels + ",";
  uint64_t seen = 0;
  size_t bucket = 0;
  for (size_t power = kFirstLine; power <= kLastLine; ++power) {
    for (; bucket < kBuckets && UpperEnd(bucket) <= uint64_t{1} << power; ++bucket) {
      seen += counts_[bucket].load(std::memory_order_relaxed);
    }
    std::snprintf(line, sizeof line, "le=\"%.9g\"} %llu\n",
                  static_cast<double>(uint64_t{1} << power) * 1e-9,
                  static_cast<unsigned long long>(seen));
    text += name + "_bucket{" + before + line;
  }
  for (; bucket < kBuckets; ++bucket) seen += counts_[bucket].load(std::memory_order_relaxed);
  const std::string all = std::to_string(seen) + "\n";
  const std::string braces = labels.empty() ? "" : "{" + labels + "}";
  std::snprintf(line, sizeof line, " %.9f\n", static_cast<double>(sum_ns()) * 1e-9);
  text += name + "_bucket{" + before + "le=\"+Inf\"} " + all;
  text += name + "_sum" + braces + line;
  text += name + "_count" + braces + " " + all;
  return text;
}

}  // namespace eta
