// SPDX-License-Identifier: Apache-2.0
// DotI8TopK from copied files, against a sort of all scores.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "simd/dot_i8.h"
#include "tests/copy/common.h"

namespace {

constexpr size_t kRows = 1000, kQueries = 5, kK = 64;

struct Rows {
  std::vector<int8_t> values;
  std::vector<float> scales;
};

Rows RandomRows(copy_test::Numbers& numbers, size_t n, size_t dim) {
  std::vector<float> floats(n * dim);
  for (float& x : floats) x = numbers.NextFloat();
  Rows rows{std::vector<int8_t>(n * dim), std::vector<float>(n)};
  eta::simd::QuantizeI8({floats.data(), n, dim, dim}, rows.values.data(), dim, rows.scales.data());
  return rows;
}

bool Check(size_t dim, copy_test::Digest& digest) {
  copy_test::Numbers numbers;
  const Rows rows = RandomRows(numbers, kRows, dim);
  const Rows queries = RandomRows(numbers, kQueries, dim);
  std::vector<uint8_t> blocks(eta::simd::I8BlocksBytes(kRows, dim));
  std::vector<float> scales(eta::simd::PaddedRows(kRows));
  eta::simd::PackI8Blocks({rows.values.data(), rows.scales.data(), kRows, dim, dim}, blocks.data(),
                          scales.data());

  std::vector<uint8_t> scratch(eta::simd::DotI8TopKScratchBytes(kRows, kK));
  std::vector<int32_t> positions(kQueries * kK);
  std::vector<float> scores(kQueries * kK);
  const eta::simd::TopKOptions options{kK, eta::simd::TieOrder::kNewestFirst,
                                       eta::simd::ResultOrder::kSorted};
  const size_t found =
      eta::simd::DotI8TopK({blocks.data(), scales.data(), kRows, dim},
                           {queries.values.data(), queries.scales.data(), kQueries, dim}, options,
                           scratch.data(), {positions.data(), scores.data()});
  if (found != kK) return false;
  digest.Add(positions);
  digest.Add(scores);

  for (size_t q = 0; q < kQueries; ++q) {
    std::vector<std::pair<float, int32_t>> all;  // minus score, minus position: newest first
    for (size_t i = 0; i < kRows; ++i) {
      int32_t sum = 0;
      for (size_t d = 0; d < dim; ++d) {
        sum += rows.values[i * dim + d] * queries.values[q * dim + d];
      }
      const float score = static_cast<float>(sum) * rows.scales[i] * queries.scales[q];
      all.emplace_back(-score, -static_cast<int32_t>(i));
    }
    std::sort(all.begin(), all.end());
    for (size_t j = 0; j < kK; ++j) {
      if (-all[j].first != scores[q * kK + j] || -all[j].second != positions[q * kK + j]) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

int main() {
  copy_test::Digest digest;
  const int code = copy_test::OnEveryTarget([&digest] {
    digest = {};
    return Check(64, digest) && Check(33, digest);
  });
  digest.Print("DotI8TopK");
  return code;
}
