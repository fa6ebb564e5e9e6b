// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/base/check.h"

namespace eta {
namespace {

void Check(std::span<const float> logits, std::span<const int32_t> labels) {
  Require(logits.size() == labels.size(), "click metrics: ", logits.size(), " logits and ",
          labels.size(), " labels");
  for (size_t i = 0; i < logits.size(); ++i) {
    Require(labels[i] == 0 || labels[i] == 1, "click metrics: label ", i, " is ", labels[i]);
    Require(!std::isnan(logits[i]), "click metrics: logit ", i, " is NaN");
  }
}

// AUC of the samples in `order`, which this sorts by logit.
std::optional<double> AucOf(std::span<const float> logits, std::span<const int32_t> labels,
                            std::span<size_t> order) {
  std::ranges::sort(order, {}, [&](size_t i) { return logits[i]; });
  double below = 0, won = 0, clicks = 0;  // non-clicks below the present run of equal logits
  for (size_t i = 0; i < order.size();) {
    double equal_clicks = 0, equal_others = 0;
    const float logit = logits[order[i]];
    for (; i < order.size() && logits[order[i]] == logit; ++i) {
      (labels[order[i]] == 1 ? equal_clicks : equal_others) += 1;
    }
    won += equal_clicks * (below + 0.5 * equal_others);
    clicks += equal_clicks;
    below += equal_others;
  }
  if (clicks == 0 || below == 0) return {};
  return won / (clicks * below);
}

}  // namespace

std::optional<double> Auc(std::span<const float> logits, std::span<const int32_t> labels) {
  Check(logits, labels);
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  return AucOf(logits, labels, order);
}

std::optional<double> GroupAuc(std::span<const float> logits, std::span<const int32_t> labels,
                               std::span<const int32_t> users) {
  Check(logits, labels);
  Require(users.size() == logits.size(), "click metrics: ", logits.size(), " logits and ",
          users.size(), " users");
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](size_t i) { return users[i]; });
  double total = 0, weight = 0;
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && users[order[end]] == users[order[first]]) ++end;
    const auto samples = static_cast<double>(end - first);
    if (const auto auc = AucOf(logits, labels, std::span(order).subspan(first, end - first))) {
      total += *auc * samples;
      weight += samples;
    }
    first = end;
  }
  if (weight == 0) return {};
  return total / weight;
}

std::optional<double> LogLoss(std::span<const float> logits, std::span<const int32_t> labels) {
  Check(logits, labels);
  if (logits.empty()) return {};
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double z = labels[i] == 1 ? -static_cast<double>(logits[i]) : logits[i];
    total += std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z)));
  }
  return total / static_cast<double>(logits.size());
}

}  // namespace eta
