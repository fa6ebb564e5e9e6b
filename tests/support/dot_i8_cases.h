// SPDX-License-Identifier: Apache-2.0
// Rows, queries and sizes on which the int8 kernels of simd/dot_i8.h are tested.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ostream>
#include <vector>

#include "core/reference/dot_i8.h"
#include "simd/dot_i8.h"
#include "simd/target.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

// What the int8 values and scales are, and so what the scores look like.
enum I8Pattern {
  kRandom,       // any values, scales of all sizes
  kFewValues,    // -1, 0, 1 and scale 1: many ties
  kExtremes,     // -127 or 127 throughout: the largest sums there are
  kAllPositive,  // 127 everywhere, so that every pair and every sum is as large as can be
  kAllNegative,  // rows of 127, queries of -127
  kZeroScales,   // some rows of scale 0, and negative sums with it: zeros of both signs
  kHardScales,   // NaN, infinities, denormals
  kI8Patterns
};

struct I8Case {
  size_t n, dim;
  I8Pattern pattern;
  size_t offset;  // elements by which every array is misaligned
  uint64_t seed;

  friend std::ostream& operator<<(std::ostream& out, const I8Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " dim=" << c.dim << " pattern=" << c.pattern << " offset=" << c.offset
               << " seed=" << c.seed;
  }
};

inline int8_t MakeI8Value(Rng& rng, I8Pattern pattern, bool query) {
  switch (pattern) {
    case kFewValues:
      return static_cast<int8_t>(static_cast<int>(Below(rng, 3)) - 1);
    case kExtremes:
      return Below(rng, 2) ? 127 : -127;
    case kAllPositive:
      return 127;
    case kAllNegative:
      return query ? -127 : 127;
    default:
      return static_cast<int8_t>(static_cast<int>(Below(rng, 255)) - 127);
  }
}

inline float MakeI8Scale(Rng& rng, I8Pattern pattern) {
  switch (pattern) {
    case kRandom:
      return std::abs(BellFloat(rng));
    case kZeroScales:
      return Below(rng, 3) ? std::abs(BellFloat(rng)) : 0.0f;
    case kHardScales:
      return Below(rng, 4) ? std::abs(BellFloat(rng)) : AnyFloat(rng);
    default:
      return 1.0f;
  }
}

inline reference::I8Matrix MakeI8Matrix(const I8Case& c, size_t rows, bool query) {
  Rng rng(2 * c.seed + query);
  reference::I8Matrix matrix;
  for (size_t i = 0; i < rows; ++i) {
    matrix.scales.push_back(MakeI8Scale(rng, c.pattern));
    for (size_t d = 0; d < c.dim; ++d) {
      matrix.values.push_back(MakeI8Value(rng, c.pattern, query));
    }
  }
  return matrix;
}

// Rows in blocks, made without the kernels, with anything in the rows past the last.
struct I8TestBlocks {
  I8TestBlocks(const I8Case& c, const reference::I8Matrix& rows)
      : c(c),
        bytes(simd::I8BlocksBytes(c.n, c.dim), c.offset),
        scales(simd::PaddedRows(c.n), c.offset) {
    Rng rng(c.seed + 99);
    const std::vector<uint8_t> packed = reference::PackI8Blocks(rows.values, c.dim);
    std::ranges::copy(packed, bytes.data());
    constexpr float kInf = std::numeric_limits<float>::infinity();
    const float garbage[] = {std::numeric_limits<float>::quiet_NaN(), kInf, -kInf, 1e30f};
    for (size_t i = 0; i < simd::PaddedRows(c.n); ++i) {
      scales[i] = i < c.n ? rows.scales[i] : garbage[i % 4];
      for (size_t d = 0; i >= c.n && d < c.dim; ++d) {
        bytes[reference::I8BlockIndex(i, d, c.dim)] = static_cast<uint8_t>(rng());
      }
    }
  }
  simd::I8BlocksView view() { return {bytes.data(), scales.data(), c.n, c.dim}; }

  I8Case c;
  Buffer<uint8_t> bytes;
  Buffer<float> scales;
};

// Queries some values apart, with garbage between them and nothing behind the last.
struct I8TestQueries {
  I8TestQueries(const I8Case& c, const reference::I8Matrix& queries, size_t count)
      : stride(c.dim + c.seed % 3),
        values(WithStride<int8_t>({queries.values.data(), count * c.dim}, c.dim, stride, -128),
               c.offset),
        scales(std::span<const float>(queries.scales.data(), count), c.offset) {}
  simd::I8Queries view() { return {values.data(), scales.data(), scales.size(), stride}; }

  size_t stride;
  Buffer<int8_t> values;
  Buffer<float> scales;
};

// Every pair of count and dim; patterns and offsets take turns.
inline std::vector<I8Case> I8Sweep() {
  constexpr size_t kCounts[] = {0, 1, 2, 63, 64, 65, 128, 130, 1000};
  constexpr size_t kDims[] = {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 128, 256, 700};
  std::vector<I8Case> cases;
  for (size_t a = 0; a < std::size(kCounts); ++a) {
    for (size_t b = 0; b < std::size(kDims); ++b) {
      if (kCounts[a] * kDims[b] > 70000) continue;
      cases.push_back({kCounts[a], kDims[b], static_cast<I8Pattern>((a + b) % kI8Patterns),
                       (a + 2 * b) % 5, 100 * a + b});
    }
  }
  return cases;
}

}  // namespace eta::test
