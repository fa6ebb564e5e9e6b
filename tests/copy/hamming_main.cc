// SPDX-License-Identifier: Apache-2.0
// HammingTopK from copied files, against a sort of all distances.
#include <algorithm>
#include <bitset>
#include <cstdint>
#include <vector>

#include "simd/code_blocks.h"
#include "simd/hamming.h"
#include "tests/copy/common.h"

namespace {

constexpr size_t kRows = 1000, kQueries = 5, kK = 64;

unsigned Distance(const uint8_t* a, const uint8_t* b, size_t bytes) {
  size_t bits = 0;
  for (size_t i = 0; i < bytes; ++i) bits += std::bitset<8>(a[i] ^ b[i]).count();
  return static_cast<unsigned>(bits);
}

bool Check(size_t code_bytes, copy_test::Digest& digest) {
  copy_test::Numbers numbers;
  std::vector<uint8_t> codes(kRows * code_bytes), queries(kQueries * code_bytes);
  for (uint8_t& byte : codes) byte = static_cast<uint8_t>(numbers.Next());
  for (uint8_t& byte : queries) byte = static_cast<uint8_t>(numbers.Next());
  std::vector<uint8_t> blocks(eta::simd::CodeBlocksBytes(kRows, code_bytes));
  eta::simd::PackCodeBlocks({codes.data(), kRows, code_bytes, code_bytes}, blocks.data());

  std::vector<uint8_t> scratch(eta::simd::HammingTopKScratchBytes(kRows, code_bytes, kK));
  std::vector<int32_t> positions(kQueries * kK);
  std::vector<uint16_t> distances(kQueries * kK);
  const eta::simd::TopKOptions options{kK, eta::simd::TieOrder::kNewestFirst,
                                       eta::simd::ResultOrder::kSorted};
  const size_t found = eta::simd::HammingTopK({blocks.data(), kRows, code_bytes},
                                              {queries.data(), kQueries, code_bytes}, options,
                                              scratch.data(), {positions.data(), distances.data()});
  if (found != kK) return false;
  digest.Add(positions);
  digest.Add(distances);

  for (size_t q = 0; q < kQueries; ++q) {
    std::vector<std::pair<unsigned, int32_t>> all;  // distance, minus position: newest first
    for (size_t i = 0; i < kRows; ++i) {
      all.emplace_back(Distance(&codes[i * code_bytes], &queries[q * code_bytes], code_bytes),
                       -static_cast<int32_t>(i));
    }
    std::sort(all.begin(), all.end());
    for (size_t j = 0; j < kK; ++j) {
      if (all[j].first != distances[q * kK + j] || -all[j].second != positions[q * kK + j]) {
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
    return Check(8, digest) && Check(13, digest) && Check(32, digest);
  });
  digest.Print("HammingTopK");
  return code;
}
