// SPDX-License-Identifier: Apache-2.0
// Rows, queries and sizes on which the float32 kernels of simd/dot.h are tested.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <ostream>
#include <span>
#include <vector>

#include "core/reference/code_blocks.h"
#include "simd/target.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// What rows and queries hold, and so what the scores look like.
enum DotPattern {
  kIntegers,    // small integers: exact sums, many ties
  kBells,       // rounded sums, hardly a tie
  kHard,        // NaN, infinities, denormals, huge values
  kAllEqual,    // one row, repeated
  kIncreasing,  // the newest has the largest score
  kDecreasing,  // the oldest has
  kOutlier,     // one score far above the rest, which differ in their last bits
  kDotPatterns
};

inline constexpr float kDotPaddings[] = {0.0f, kNan, kInf, -kInf,
                                         1e30f};  // what fills the last block

struct DotCase {
  size_t n, dim;
  DotPattern pattern;
  size_t padding;  // index into kDotPaddings
  size_t offset;   // elements by which every array is misaligned
  uint64_t seed;

  friend std::ostream& operator<<(std::ostream& out, const DotCase& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " dim=" << c.dim << " pattern=" << c.pattern
               << " padding=" << kDotPaddings[c.padding] << " offset=" << c.offset
               << " seed=" << c.seed;
  }
};

struct DotData {
  std::vector<float> rows;     // n x dim
  std::vector<float> queries;  // num_queries x dim
};

// Factors by which the first row is scaled to make the others, for the patterns that do so.
inline float FactorOfRow(const DotCase& c, size_t i) {
  switch (c.pattern) {
    case kIncreasing:
      return static_cast<float>(i + 1);
    case kDecreasing:
      return static_cast<float>(c.n - i);
    case kOutlier:
      return i == c.n / 3 ? 1e9f : 1.0f + static_cast<float>(i % 17) * 0x1p-23f;
    default:
      return 1.0f;
  }
}

inline DotData MakeDotData(const DotCase& c, size_t num_queries) {
  Rng rng(c.seed);
  DotData data;
  switch (c.pattern) {
    case kIntegers:
      data.rows = MakeFloats(c.n * c.dim, [&] { return SmallInteger(rng, 3); });
      data.queries = MakeFloats(num_queries * c.dim, [&] { return SmallInteger(rng, 3); });
      return data;
    case kBells:
      data.rows = MakeFloats(c.n * c.dim, [&] { return BellFloat(rng); });
      data.queries = MakeFloats(num_queries * c.dim, [&] { return BellFloat(rng); });
      return data;
    case kHard:
      data.rows = HardRows(rng, c.n, c.dim);
      data.queries = HardRows(rng, num_queries, c.dim);
      return data;
    default:
      break;
  }
  const auto first = MakeFloats(c.dim, [&] { return BellFloat(rng); });
  for (size_t i = 0; i < c.n; ++i) {
    for (const float value : first) data.rows.push_back(value * FactorOfRow(c, i));
  }
  for (size_t q = 0; q < num_queries; ++q) {  // of both signs, so that the order turns round
    for (const float value : first) data.queries.push_back(q % 2 == 0 ? value : -value);
  }
  return data;
}

// The blocks of the rows, made without the kernels, with something in the unused rows.
inline Buffer<float> MakeFloatBlocks(const DotCase& c, const DotData& data) {
  std::vector<float> blocks = reference::PackFloatBlocks(data.rows, c.dim);
  for (size_t i = c.n; i < reference::RoundUpToBlocks(c.n); ++i) {
    for (size_t d = 0; d < c.dim; ++d) {
      blocks[reference::BlockIndex(i, d, c.dim)] = kDotPaddings[c.padding];
    }
  }
  return Buffer<float>(std::span<const float>(blocks), c.offset);
}

// Every pair of count and dim; patterns, paddings and offsets take turns. The largest products are
// left out to keep the test short.
inline std::vector<DotCase> DotSweep() {
  constexpr size_t kCounts[] = {0, 1, 2, 15, 63, 64, 65, 127, 128, 129, 1000, 1024, 4097, 20000};
  constexpr size_t kDims[] = {1, 2, 3, 4, 5, 15, 16, 17, 64, 100, 128, 300};
  std::vector<DotCase> cases;
  for (size_t a = 0; a < std::size(kCounts); ++a) {
    for (size_t b = 0; b < std::size(kDims); ++b) {
      if (kCounts[a] * kDims[b] > 60000) continue;
      const auto pattern = static_cast<DotPattern>((a + b) % kDotPatterns);
      const size_t padding = (a + 2 * b) % std::size(kDotPaddings);
      cases.push_back({kCounts[a], kDims[b], pattern, padding, (a + b) % 4, 100 * a + b});
    }
  }
  return cases;
}

}  // namespace eta::test
