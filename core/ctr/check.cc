// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/check.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "core/ctr/metrics.h"

namespace eta {

bool CtrCheck::agrees() const {
  const CtrTolerance tolerance = ToleranceOf(precision, logits.size());
  if (!(largest_difference <= tolerance.logit)) return false;  // so written that NaN fails
  if (auc.has_value() != exported_auc.has_value()) return false;
  return !auc || std::abs(*auc - *exported_auc) <= tolerance.auc;
}

CtrCheck CheckCtrModel(const CtrExport& model, const CtrModel& served) {
  const auto& samples = model.samples;
  const auto window = [&](size_t i) {
    return std::tuple(samples[i].user, samples[i].history_begin, samples[i].history_end);
  };
  std::vector<size_t> order(samples.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, window);
  CtrCheck check;
  check.precision = served.precision();
  check.logits.resize(samples.size());
  CtrUser user = served.NewUser();
  CtrScratch scratch = served.NewScratch();
  std::vector<int32_t> candidates;
  std::vector<float> logits;
  for (size_t first = 0; first < order.size(); first += candidates.size()) {
    const CtrSample& sample = samples[order[first]];
    candidates.clear();
    for (size_t i = first; i < order.size() && window(order[i]) == window(order[first]); ++i) {
      candidates.push_back(samples[order[i]].item);
    }
    logits.resize(candidates.size());
    served.Prepare(static_cast<size_t>(sample.user), model.Window(sample), scratch, user);
    served.Score(user, candidates, scratch, logits);
    for (size_t i = 0; i < logits.size(); ++i) check.logits[order[first + i]] = logits[i];
  }
  std::vector<int32_t> labels, users;
  for (size_t i = 0; i < samples.size(); ++i) {
    const double difference = std::abs(static_cast<double>(check.logits[i]) - model.logits[i]);
    // NaN counts as the largest difference, and stays.
    if (std::isnan(difference) || difference > check.largest_difference) {
      check.largest_difference = difference;
    }
    labels.push_back(samples[i].label);
    users.push_back(samples[i].user);
  }
  if (std::isnan(check.largest_difference)) return check;
  check.auc = Auc(check.logits, labels);
  check.gauc = GroupAuc(check.logits, labels, users);
  check.log_loss = LogLoss(check.logits, labels);
  check.exported_auc = Auc(model.logits, labels);
  return check;
}

}  // namespace eta
