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

// Judges what all methods returned against the exact inner products (simd::DotScores, one fixed
// order of summation), which are computed once per candidate for all methods.
class QualityMeter {
 public:
  // `items` must outlive the meter.
  QualityMeter(const ItemTable& items, size_t k);

  // Judges one request of each contender's last batch, the one at `index`, and adds that to the
  // measurements. A request without history adds nothing.
  void Add(const UserRequest& request, size_t index, std::vector<Contender>& contenders);

 private:
  const ItemTable& items_;
  Judge judge_;
  AlignedVector<float> blocks_;
  AlignedVector<float> scores_;
  uint64_t requests_ = 0;  // with a history, so far
};

}  // namespace eta::bench
