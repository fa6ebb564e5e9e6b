// SPDX-License-Identifier: Apache-2.0
// The kernels alone, from C++17: of three codes 0, 1, 3 the last is two bits from 0.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "eta/simd/code_blocks.h"
#include "eta/simd/hamming.h"
#include "eta/simd/target.h"

int main() {
  const uint8_t codes[] = {0, 1, 3};
  std::vector<uint8_t> blocks(eta::simd::CodeBlocksBytes(3, 1));
  eta::simd::PackCodeBlocks(eta::simd::DenseRows(codes, 3, 1), blocks.data());
  std::vector<uint8_t> distances(eta::simd::PaddedRows(3));
  eta::simd::HammingDistances({blocks.data(), 3, 1}, codes, distances.data());
  std::printf("distances %d %d %d on %s\n", distances[0], distances[1], distances[2],
              eta::simd::TargetName(eta::simd::ActiveTarget()));
  return distances[0] == 0 && distances[1] == 1 && distances[2] == 2 ? 0 : 1;
}
