// SPDX-License-Identifier: Apache-2.0
// DotScores from copied files, against sums of fused multiply-adds. Of the kernels that are copied
// here this is the one whose bits a compiler could change by fusing on its own.
#include <cmath>
#include <cstdint>
#include <vector>

#include "simd/dot.h"
#include "tests/copy/common.h"

namespace {

constexpr size_t kRows = 200, kQueries = 7, kDim = 65;

bool Check(copy_test::Digest& digest) {
  copy_test::Numbers numbers;
  std::vector<float> rows(kRows * kDim), queries(kQueries * kDim);
  for (float& x : rows) x = numbers.NextFloat();
  for (float& x : queries) x = numbers.NextFloat();
  std::vector<float> blocks(eta::simd::FloatBlocksSize(kRows, kDim));
  eta::simd::PackFloatBlocks({rows.data(), kRows, kDim, kDim}, blocks.data());
  constexpr size_t kStride = eta::simd::PaddedRows(kRows);
  std::vector<float> scores(kQueries * kStride);
  eta::simd::DotScores({blocks.data(), kRows, kDim}, {queries.data(), kQueries, kDim},
                       scores.data(), kStride);
  std::vector<float> valid;
  for (size_t q = 0; q < kQueries; ++q) {
    for (size_t i = 0; i < kRows; ++i) {
      float sum = 0.0f;
      for (size_t d = 0; d < kDim; ++d) {
        sum = std::fma(queries[q * kDim + d], rows[i * kDim + d], sum);
      }
      valid.push_back(scores[q * kStride + i]);
      if (sum != valid.back()) return false;
    }
  }
  digest.Add(valid);
  return true;
}

}  // namespace

int main() {
  copy_test::Digest digest;
  const int code = copy_test::OnEveryTarget([&digest] {
    digest = {};
    return Check(digest);
  });
  digest.Print("DotScores");
  return code;
}
