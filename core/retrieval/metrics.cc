// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "core/base/check.h"

namespace eta {
namespace {

constexpr float kWorst = -std::numeric_limits<float>::infinity();

void RequirePosition(int32_t position, size_t n, const char* list) {
  Require(position >= 0 && static_cast<size_t>(position) < n, list, " holds position ", position,
          "; the history has ", n, " behaviours");
}

// One flag per position of the history. Throws when a position is out of range or given twice.
std::vector<uint8_t> Flags(std::span<const int32_t> positions, size_t n, const char* list) {
  std::vector<uint8_t> flags(n, 0);
  for (const int32_t position : positions) {
    RequirePosition(position, n, list);
    Require(flags[static_cast<size_t>(position)] == 0, list, " holds position ", position,
            " twice");
    flags[static_cast<size_t>(position)] = 1;
  }
  return flags;
}

float WithoutNan(float score) { return std::isnan(score) ? kWorst : score; }

// The lowest score that still counts as a member of the top-K whose last score is `kth`.
// An infinite score has no slack: infinity less infinity would be NaN.
double TieThreshold(float kth) {
  const auto score = static_cast<double>(kth);
  return std::isinf(score) ? score : score - kTieEpsilon * std::abs(score);
}

// What scores are multiplied with before the softmax. A temperature of 1 changes no bit.
double SoftmaxScale(size_t dim, double temperature) {
  Require(dim >= 1, "dim must be at least 1");
  Require(temperature > 0 && std::isfinite(temperature), "temperature = ", temperature,
          " must be a positive number");
  return 1 / (temperature * std::sqrt(static_cast<double>(dim)));
}

// Writes the numerators of softmax(scale * scores) and returns their sum.
double SoftmaxWeights(std::span<const float> scores, double scale, std::vector<double>& weights) {
  weights.assign(scores.size(), 0);
  float best = kWorst;
  for (const float score : scores) best = std::max(best, WithoutNan(score));
  if (best == kWorst) return 0;
  double total = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const float score = WithoutNan(scores[i]);
    // Equal scores are handled apart because infinity less infinity is NaN.
    weights[i] = score == best ? 1 : std::exp(scale * (static_cast<double>(score) - best));
    total += weights[i];
  }
  return total;
}

// Share of `total` that lies on the returned positions, which it sorts: methods return a set in an
// order that depends on the SIMD target, and another order would round the sum differently.
std::optional<double> Share(std::span<int32_t> returned, std::span<const double> weights,
                            double total) {
  if (total == 0) return std::nullopt;
  std::ranges::sort(returned);
  double sum = 0;
  for (const int32_t position : returned) sum += weights[static_cast<size_t>(position)];
  return std::min(sum / total, 1.0);  // the two sums round differently
}

double TieAwareShare(std::span<const int32_t> returned, std::span<const float> scores, float kth,
                     size_t top) {
  const double threshold = TieThreshold(kth);
  const auto hits = static_cast<size_t>(std::ranges::count_if(returned, [&](int32_t position) {
    return WithoutNan(scores[static_cast<size_t>(position)]) >= threshold;
  }));
  return static_cast<double>(std::min(hits, top)) / static_cast<double>(top);
}

}  // namespace

double Percentile(std::span<const double> sorted, double percent) {
  Require(!sorted.empty(), "a percentile of no samples does not exist");
  Require(percent >= 0 && percent <= 100, "percent = ", percent, " must lie in [0, 100]");
  for (size_t i = 0; i < sorted.size(); ++i) {
    Require(!std::isnan(sorted[i]), "sample ", i, " is NaN");
    Require(i == 0 || sorted[i - 1] <= sorted[i], "samples are not ascending at ", i);
  }
  // 99.9 % of 1,000 samples must be rank 999, although 99.9 has no exact binary form.
  const double rank = std::ceil(percent * static_cast<double>(sorted.size()) / 100 - 1e-9);
  return sorted[rank < 1 ? 0 : static_cast<size_t>(rank) - 1];
}

double Mean(std::span<const double> values) {
  Require(!values.empty(), "a mean of no values does not exist");
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<double> RecallById(std::span<const int32_t> returned, std::span<const int32_t> exact,
                                 size_t n) {
  const std::vector<uint8_t> is_returned = Flags(returned, n, "returned");
  Flags(exact, n, "exact");
  if (n == 0) return std::nullopt;
  Require(!exact.empty(), "exact is empty although the history has ", n, " behaviours");
  const auto hits = std::ranges::count_if(
      exact, [&](int32_t position) { return is_returned[static_cast<size_t>(position)] != 0; });
  return static_cast<double>(hits) / static_cast<double>(exact.size());
}

std::optional<double> RecallTieAware(std::span<const int32_t> returned,
                                     std::span<const float> scores, size_t k) {
  Require(k >= 1, "k must be at least 1");
  Flags(returned, scores.size(), "returned");
  if (scores.empty()) return std::nullopt;
  std::vector<float> ranked(scores.size());
  std::ranges::transform(scores, ranked.begin(), WithoutNan);
  const size_t top = std::min(k, ranked.size());
  const auto kth = ranked.begin() + static_cast<std::ptrdiff_t>(top - 1);
  std::ranges::nth_element(ranked, kth, std::greater<>());
  return TieAwareShare(returned, scores, *kth, top);
}

std::optional<double> AttentionMass(std::span<const int32_t> returned,
                                    std::span<const float> scores, size_t dim, double temperature) {
  const double scale = SoftmaxScale(dim, temperature);
  Flags(returned, scores.size(), "returned");
  std::vector<double> weights;
  const double total = SoftmaxWeights(scores, scale, weights);
  std::vector<int32_t> positions(returned.begin(), returned.end());
  return Share(positions, weights, total);
}

Judge::Judge(size_t k, size_t dim, double temperature)
    : k_(k), scale_(SoftmaxScale(dim, temperature)) {
  Require(k >= 1, "k must be at least 1");
}

void Judge::SetScores(std::span<const float> scores) {
  const size_t n = scores.size();
  scores_.resize(n);
  std::ranges::transform(scores, scores_.begin(), WithoutNan);
  total_weight_ = SoftmaxWeights(scores_, scale_, weights_);

  order_.resize(n);
  std::iota(order_.begin(), order_.end(), 0);
  const size_t top = std::min(k_, n);
  // Afterwards order_[top - 1] is the K-th best, and better ones come before it.
  if (top < n) {
    std::ranges::nth_element(order_, order_.begin() + static_cast<std::ptrdiff_t>(top - 1),
                             [this](int32_t a, int32_t b) {
                               const float left = scores_[static_cast<size_t>(a)];
                               const float right = scores_[static_cast<size_t>(b)];
                               return left != right ? left > right : a > b;
                             });
  }
  top_.assign(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(top));
  is_top_.assign(n, 0);
  kth_ = std::numeric_limits<float>::infinity();
  for (const int32_t position : top_) {
    is_top_[static_cast<size_t>(position)] = 1;
    kth_ = std::min(kth_, scores_[static_cast<size_t>(position)]);
  }
  is_seen_.assign(n, 0);
}

// Uses the flags of is_seen_, which are all 0 again when it returns: a new vector of n flags for
// every call would cost more than everything else here.
void Judge::RequireDistinct(std::span<const int32_t> returned) {
  size_t marked = 0;
  bool is_twice = false;
  for (; marked < returned.size() && !is_twice; ++marked) {
    const int32_t position = returned[marked];
    if (position < 0 || static_cast<size_t>(position) >= scores_.size()) break;
    uint8_t& seen = is_seen_[static_cast<size_t>(position)];
    is_twice = seen != 0;
    seen = 1;
  }
  for (const int32_t position : returned.first(marked)) {
    is_seen_[static_cast<size_t>(position)] = 0;
  }
  Require(!is_twice, "returned holds a position twice");
  if (marked < returned.size()) RequirePosition(returned[marked], scores_.size(), "returned");
}

std::optional<Quality> Judge::Rate(std::span<const int32_t> returned) {
  RequireDistinct(returned);
  if (scores_.empty()) return std::nullopt;
  returned_.assign(returned.begin(), returned.end());
  const auto hits = std::ranges::count_if(
      returned, [&](int32_t position) { return is_top_[static_cast<size_t>(position)] != 0; });
  return Quality{static_cast<double>(hits) / static_cast<double>(top_.size()),
                 TieAwareShare(returned, scores_, kth_, top_.size()),
                 Share(returned_, weights_, total_weight_)};
}

}  // namespace eta
