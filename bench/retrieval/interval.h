// SPDX-License-Identifier: Apache-2.0
// How sure a median is.
#pragma once

#include <optional>
#include <span>

namespace eta::bench {

// Both ends belong to it.
struct Interval {
  double low;
  double high;
};

inline constexpr size_t kFewestForInterval = 5;

// The 95 % percentile bootstrap interval of the median (nearest rank) of `values`. It needs no
// random numbers: the median of n draws with replacement is at most the k-th smallest value with
// the chance that at least ceil(n / 2) of n draws are among the k smallest (Efron and Tibshirani,
// An Introduction to the Bootstrap, exercise on the median). Nothing for fewer than
// kFewestForInterval values.
std::optional<Interval> MedianInterval(std::span<const double> values);

}  // namespace eta::bench
