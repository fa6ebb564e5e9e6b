// SPDX-License-Identifier: Apache-2.0
// Histories of codes, and candidates' weights, out of one input.
#pragma once

#include <cstdlib>
#include <vector>

#include "core/reference/code_blocks.h"
#include "simd/asym.h"
#include "tests/fuzz/input.h"

namespace eta::fuzz {

// The codes in blocks, with anything in the rows past the last one.
inline std::vector<uint8_t> BlocksWithGarbage(Input& in, const std::vector<uint8_t>& codes,
                                              size_t code_bytes) {
  const size_t n = codes.size() / code_bytes;
  std::vector<uint8_t> blocks = reference::PackCodeBlocks(codes, code_bytes);
  const auto garbage = in.Any<uint8_t>((simd::PaddedRows(n) - n) * code_bytes);
  for (size_t i = n; i < simd::PaddedRows(n); ++i) {
    for (size_t p = 0; p < code_bytes; ++p) {
      blocks[reference::BlockIndex(i, p, code_bytes)] = garbage[(i - n) * code_bytes + p];
    }
  }
  return blocks;
}

// Weights that meet the preconditions of AsymPenalties, not all of which projections can give.
inline std::vector<int8_t> AnyWeights(Input& in, size_t code_bytes) {
  std::vector<int8_t> weights = in.Any<int8_t>(code_bytes * 8);
  size_t sum = 0;
  for (int8_t& weight : weights) {
    weight = static_cast<int8_t>(weight % 16);
    const auto magnitude = static_cast<size_t>(std::abs(weight));
    if (code_bytes <= simd::kMaxBytePenaltyCodeBytes && sum + magnitude > 254) weight = 0;
    sum += static_cast<size_t>(std::abs(weight));
  }
  return weights;
}

}  // namespace eta::fuzz
