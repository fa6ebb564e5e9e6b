// SPDX-License-Identifier: Apache-2.0
#include "core/reference/buckets.h"

namespace eta::reference {

std::vector<uint16_t> CountSharedBuckets(std::span<const uint16_t> buckets,
                                         std::span<const uint16_t> query) {
  const size_t rounds = query.size();
  std::vector<uint16_t> counts(buckets.size() / rounds, 0);
  for (size_t i = 0; i < counts.size(); ++i) {
    for (size_t r = 0; r < rounds; ++r) {
      if (buckets[i * rounds + r] == query[r]) ++counts[i];
    }
  }
  return counts;
}

}  // namespace eta::reference
