// SPDX-License-Identifier: Apache-2.0
// Latencies of many threads, counted in log-linear buckets as HdrHistogram does.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/export.h"

namespace eta {

// Counts of durations in nanoseconds. Each power of two has 32 buckets, so that a bucket is at most
// 3.2 % wide; what is beyond 2^40 ns (18 minutes) is counted in the last one. Any number of threads
// may call all functions at once. Takes 9 KiB.
class ETA_CORE_API LatencyHistogram {
 public:
  // Counts one duration; less than 1 ns counts as 1 ns.
  void Record(int64_t nanoseconds);

  uint64_t count() const;   // durations
  uint64_t sum_ns() const;  // of all durations
  // The duration that a share `q` of [0, 1] of all does not exceed, as the upper end of its bucket;
  // 0 where there is none.
  uint64_t QuantileNs(double q) const;

  // The text of a Prometheus histogram `name`, in seconds: lines name_bucket for the powers of two
  // from 2^10 ns (1 us) to 2^34 ns (17 s), name_sum and name_count. `labels` stand in each line,
  // such as `kind="score"`, or are empty. HELP and TYPE are the caller's.
  std::string PrometheusText(const std::string& name, const std::string& labels) const;

 private:
  static constexpr size_t kSubBits = 5;
  static constexpr size_t kLastPower = 40;
  static constexpr size_t kBuckets = (kLastPower - kSubBits + 1) << kSubBits;

  static size_t BucketOf(uint64_t nanoseconds);
  static uint64_t UpperEnd(size_t bucket);

  std::array<std::atomic<uint64_t>, kBuckets> counts_{};
  std::atomic<uint64_t> sum_ = 0;
};

}  // namespace eta
