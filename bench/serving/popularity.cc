// SPDX-License-Identifier: Apache-2.0
#include "bench/serving/popularity.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/base/check.h"
#include "core/base/portable_math.h"

namespace eta::bench {
namespace {

constexpr uint64_t kRankStream = 6;

}  // namespace

Popularity::Popularity(size_t users, double exponent, uint64_t seed) : users_(users) {
  Require(users > 0, "there are no users");
  std::iota(users_.begin(), users_.end(), 0u);
  Random random(seed, kRankStream);
  for (size_t i = users; i > 1; --i) {
    std::swap(users_[i - 1], users_[random.Below(static_cast<uint32_t>(i))]);
  }
  double sum = 0;
  for (size_t rank = 1; rank <= users; ++rank) {
    running_.push_back(sum += PortablePow(static_cast<double>(rank), -exponent));
  }
}

size_t Popularity::Draw(Random& random) const {
  const double target = random.Uniform() * running_.back();
  const auto hit = std::upper_bound(running_.begin(), running_.end(), target);
  const auto rank = std::min(static_cast<size_t>(hit - running_.begin()), users_.size() - 1);
  return users_[rank];
}

}  // namespace eta::bench
