// SPDX-License-Identifier: Apache-2.0
// Codes, queries and sizes on which the kernels of simd/hamming.h are tested.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <vector>

#include "core/reference/code_blocks.h"
#include "simd/target.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

// How the distances to the query run over the positions.
enum HammingPattern {
  kRandom,
  kSelf,         // all 0
  kAllEqual,     // all in the middle
  kComplement,   // all as large as can be
  kIncreasing,   // the newest is farthest
  kDecreasing,   // the newest is nearest
  kTwoLevels,    // two neighbouring distances, at random: a border full of ties
  kAllDistinct,  // as far as there are enough bits
  kPlanted,      // all farthest save a few at the edges of vectors and blocks
  kHammingPatterns
};

// What fills the last block.
enum HammingPadding { kZeros, kA5, kNoise, kNearest, kHammingPaddings };

struct HammingCase {
  size_t n, bits;
  HammingPattern pattern;
  HammingPadding padding;
  size_t offset;  // elements by which blocks, query and scratch are misaligned
  uint64_t seed;

  size_t code_bytes() const { return (bits + 7) / 8; }
  friend std::ostream& operator<<(std::ostream& out, const HammingCase& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " bits=" << c.bits << " pattern=" << c.pattern << " padding=" << c.padding
               << " offset=" << c.offset << " seed=" << c.seed;
  }
};

using Code = std::vector<uint8_t>;

inline Code RandomCode(Rng& rng, size_t bits) {
  Code code = RandomBytes(rng, (bits + 7) / 8);
  if (bits % 8 != 0) code.back() = static_cast<uint8_t>(code.back() & ((1u << bits % 8) - 1));
  return code;
}

// The distance that the pattern gives to position i.
inline size_t PlannedDistance(const HammingCase& c, size_t i, Rng& rng) {
  constexpr size_t kEdges[] = {0, 1, 15, 16, 31, 32, 33, 62, 63, 64, 65, 127, 128, 191, 192};
  const size_t last = std::max<size_t>(c.n, 2) - 1;
  switch (c.pattern) {
    case kSelf:
      return 0;
    case kAllEqual:
      return c.bits / 2;
    case kIncreasing:
      return i * c.bits / last;
    case kDecreasing:
      return (c.n - 1 - i) * c.bits / last;
    case kTwoLevels:
      return c.bits / 2 + Below(rng, 2);
    case kAllDistinct:
      return (i * 7919) % (c.bits + 1);  // a prime above every width: a permutation of distances
    case kPlanted: {
      const bool edge = std::ranges::count(kEdges, i) != 0 || i + 2 >= c.n;
      return edge ? std::min(c.bits, 1 + i % 5) : c.bits;
    }
    default:
      return c.bits;
  }
}

struct HammingData {
  std::vector<uint8_t> codes;  // n x code_bytes
  Code query;
};

inline HammingData MakeHammingData(const HammingCase& c) {
  Rng rng(c.seed);
  HammingData data;
  data.query = RandomCode(rng, c.bits);
  for (size_t i = 0; i < c.n; ++i) {
    Code code = data.query;
    if (c.pattern == kRandom) {
      code = RandomCode(rng, c.bits);
    } else {
      // A run of differing bits that starts anywhere and wraps round.
      const size_t first = Below(rng, c.bits);
      const size_t distance = std::min(c.bits, PlannedDistance(c, i, rng));
      for (size_t t = 0; t < distance; ++t) {
        const size_t j = (first + t) % c.bits;
        code[j / 8] = static_cast<uint8_t>(code[j / 8] ^ (1u << j % 8));
      }
    }
    data.codes.insert(data.codes.end(), code.begin(), code.end());
  }
  return data;
}

// The blocks of the codes, made without the kernels, with something in the unused rows.
inline Buffer<uint8_t> MakeHammingBlocks(const HammingCase& c, const HammingData& data) {
  std::vector<uint8_t> blocks = reference::PackCodeBlocks(data.codes, c.code_bytes());
  Rng rng(c.seed + 1);
  for (size_t i = c.n; i < reference::RoundUpToBlocks(c.n); ++i) {
    for (size_t p = 0; p < c.code_bytes(); ++p) {
      uint8_t& byte = blocks[reference::BlockIndex(i, p, c.code_bytes())];
      byte = c.padding == kZeros     ? uint8_t{0}
             : c.padding == kA5      ? uint8_t{0xA5}
             : c.padding == kNearest ? data.query[p]
                                     : static_cast<uint8_t>(rng());
    }
  }
  return Buffer<uint8_t>(std::span<const uint8_t>(blocks), c.offset);
}

// Every pair of count and width; patterns, paddings and offsets take turns. Widths for which the
// codes would not fit the test's time are left to the smaller counts.
inline std::vector<HammingCase> HammingSweep() {
  constexpr size_t kCounts[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 1000, 1024, 4097, 20000};
  constexpr size_t kBits[] = {1,   7,   8,   9,   15,  16,  17,  31,  32,  33,  63,   64,  65,
                              100, 127, 128, 129, 248, 249, 255, 256, 257, 512, 1024, 4096};
  std::vector<HammingCase> cases;
  for (size_t a = 0; a < std::size(kCounts); ++a) {
    for (size_t b = 0; b < std::size(kBits); ++b) {
      const auto pattern = static_cast<HammingPattern>((a + b) % kHammingPatterns);
      const auto padding = static_cast<HammingPadding>((a + 3 * b) % kHammingPaddings);
      if (kCounts[a] * kBits[b] > 2100000) continue;
      cases.push_back({kCounts[a], kBits[b], pattern, padding, (a + b) % 4 * 3, 100 * a + b});
    }
  }
  return cases;
}

}  // namespace eta::test
