// SPDX-License-Identifier: Apache-2.0
#include "core/reference/rerank.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace eta::reference {

float DotInSixteenSums(std::span<const float> a, std::span<const float> b) {
  float sums[16] = {0};
  const size_t steps = (a.size() + 15) / 16;
  for (size_t d = 0; d < 16 * steps; ++d) {
    const bool inside = d < a.size();
    sums[d % 16] = std::fma(inside ? a[d] : 0.0f, inside ? b[d] : 0.0f, sums[d % 16]);
  }
  for (size_t half = 8; half >= 1; half /= 2) {
    for (size_t j = 0; j < half; ++j) sums[j] += sums[j + half];
  }
  return sums[0];
}

std::vector<float> DotRows(std::span<const float> rows, std::span<const int32_t> ids,
                           std::span<const float> query) {
  std::vector<float> scores;
  for (const int32_t id : ids) {
    const size_t begin = static_cast<size_t>(id) * query.size();
    scores.push_back(DotInSixteenSums(query, rows.subspan(begin, query.size())));
  }
  return scores;
}

std::vector<float> DotI8Rows(const I8Matrix& table, std::span<const int32_t> ids,
                             const I8Matrix& queries, size_t q, size_t dim) {
  const std::span<const int8_t> query(queries.values.data() + q * dim, dim);
  std::vector<float> scores;
  for (const int32_t id : ids) {
    const auto row = static_cast<size_t>(id);
    const auto sum = static_cast<float>(DotI8({table.values.data() + row * dim, dim}, query));
    const float scaled = sum * table.scales[row];
    scores.push_back(scaled * queries.scales[q]);
  }
  return scores;
}

std::vector<int32_t> RerankTopK(std::span<const int32_t> positions, std::span<const float> scores,
                                size_t k, simd::TieOrder ties) {
  std::vector<std::pair<float, int32_t>> entries;  // what it ranks by, position
  for (size_t i = 0; i < positions.size(); ++i) {
    const float rank = std::isnan(scores[i]) ? -std::numeric_limits<float>::infinity() : scores[i];
    entries.emplace_back(rank, positions[i]);
  }
  std::ranges::sort(entries, [ties](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first > b.first;
    return ties == simd::TieOrder::kNewestFirst ? a.second > b.second : a.second < b.second;
  });
  entries.resize(std::min(k, entries.size()));
  std::vector<int32_t> best;
  for (const auto& entry : entries) best.push_back(entry.second);
  return best;
}

}  // namespace eta::reference
