// SPDX-License-Identifier: Apache-2.0
// What the tests of the three attention kernels share.
#pragma once

#include <limits>
#include <span>
#include <vector>

#include "core/reference/attention.h"
#include "simd/views.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Error allowed for attention over values of about 1, with queries of about `scale`.
inline double AttentionTolerance(float scale) {
  return 2e-6 * (1 + static_cast<double>(scale) * 8);
}

// About the edges of tiles, blocks of rows and vectors.
inline constexpr size_t kAttentionCounts[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,
                                              15, 16, 17, 33, 63, 64, 65, 130};

using FloatSpans = std::vector<std::span<const float>>;

// sum_j a_j values[j] with a = softmax_j(query . keys[j]), in double; `width` zeros for no rows.
inline reference::Vector ExpectedAttention(std::span<const float> query, const FloatSpans& keys,
                                           const FloatSpans& values, size_t width) {
  reference::Vector scores;
  for (const auto key : keys) {
    double score = 0;
    for (size_t i = 0; i < query.size(); ++i) {
      score += static_cast<double>(query[i]) * static_cast<double>(key[i]);
    }
    scores.push_back(score);
  }
  const reference::Vector weights = reference::Softmax(scores);
  reference::Vector sum(width);
  for (size_t j = 0; j < values.size(); ++j) {
    for (size_t i = 0; i < width; ++i) sum[i] += weights[j] * static_cast<double>(values[j][i]);
  }
  return sum;
}

// Ids of chosen rows in an array of exact size. Ids past a count are no ids: reading one fails.
struct ChosenIds {
  ChosenIds(Rng& rng, const std::vector<size_t>& sizes, size_t items)
      : most(*std::ranges::max_element(sizes)),
        counts(sizes.begin(), sizes.end()),
        ids(sizes.size() * most) {
    for (size_t b = 0; b < sizes.size(); ++b) {
      for (size_t j = 0; j < most; ++j) {
        ids[b * most + j] = j < sizes[b] ? static_cast<int32_t>(Below(rng, items)) : INT32_MAX;
      }
    }
  }
  simd::ChosenRows Of(const simd::RowsView<float>& table) {
    return {table, ids.data(), counts.data(), most};
  }
  // Columns [first, first + width) of query b's rows of a dense table of rows of `dim` floats.
  FloatSpans Rows(std::span<const float> table, size_t dim, size_t b, size_t first, size_t width) {
    FloatSpans rows;
    for (size_t j = 0; j < static_cast<size_t>(counts[b]); ++j) {
      rows.push_back(table.subspan(static_cast<size_t>(ids[b * most + j]) * dim + first, width));
    }
    return rows;
  }

  size_t most;
  std::vector<int32_t> counts;
  Buffer<int32_t> ids;
};

}  // namespace eta::test
