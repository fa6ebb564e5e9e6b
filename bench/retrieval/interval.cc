// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/interval.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace eta::bench {
namespace {

// P(X >= least) where X of `n` draws hit, each with chance `p` in (0, 1).
double AtLeast(size_t least, size_t n, double p) {
  double sum = 0;
  for (size_t i = least; i <= n; ++i) {
    const auto hits = static_cast<double>(i);
    const auto draws = static_cast<double>(n);
    const double log_ways =
        std::lgamma(draws + 1) - std::lgamma(hits + 1) - std::lgamma(draws - hits + 1);
    sum += std::exp(log_ways + hits * std::log(p) + (draws - hits) * std::log1p(-p));
  }
  return sum;
}

}  // namespace

std::optional<Interval> MedianInterval(std::span<const double> values) {
  const size_t n = values.size();
  if (n < kFewestForInterval) return std::nullopt;
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const auto quantile = [&](double share) {
    size_t k = 1;
    while (k < n &&
           AtLeast((n + 1) / 2, n, static_cast<double>(k) / static_cast<double>(n)) < share)
      ++k;
    return sorted[k - 1];
  };
  return Interval{quantile(0.025), quantile(0.975)};
}

}  // namespace eta::bench
