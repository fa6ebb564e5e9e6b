// SPDX-License-Identifier: Apache-2.0
// Recall and attention mass of what methods return.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/retrieval/requests.h"
#include "core/base/aligned.h"
#include "core/data/items.h"
#include "core/retrieval/metrics.h"

namespace eta::bench {

class Contender;
class Dump;

// Judges what all methods returned against the exact inner products (simd::DotScores, one fixed
// order of summation), which are computed once per candidate for all methods.
class QualityMeter {
 public:
  // K and temperature are those of the options. `items` and `dump` must outlive the meter. What is
  // judged goes to `dump`, too, unless that is null.
  QualityMeter(const ItemTable& items, const Options& options, Dump* dump);

  // Judges one request of each contender's last batch, the one at `index`, and adds that to the
  // measurements. A request without history has no quality.
  void Add(const UserRequest& request, size_t index, std::vector<Contender>& contenders);

 private:
  void AddEmpty(const UserRequest& request, size_t method, Contender& contender);

  const ItemTable& items_;
  Judge judge_;
  Dump* dump_;
  AlignedVector<float> blocks_;
  AlignedVector<float> scores_;
  uint64_t requests_ = 0;  // with a history, so far
};

}  // namespace eta::bench
