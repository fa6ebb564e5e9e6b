// SPDX-License-Identifier: Apache-2.0
// Which users come how often.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/random.h"

namespace eta::bench {

// Users by Zipf's law: the one of rank r = 1, 2, ... comes with a share proportional to
// 1 / r^exponent. Which user has which rank is drawn with the seed, because neighbours in a store
// share blocks.
class Popularity {
 public:
  // Throws std::invalid_argument unless there is a user.
  Popularity(size_t users, double exponent, uint64_t seed);

  size_t Draw(Random& random) const;                           // a user
  size_t user(size_t rank) const { return users_[rank - 1]; }  // of rank 1, 2, ...

 private:
  std::vector<uint32_t> users_;  // by rank
  std::vector<double> running_;  // sums of the shares, by rank
};

}  // namespace eta::bench
