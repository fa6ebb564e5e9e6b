// SPDX-License-Identifier: Apache-2.0
// What the tests of the two encoders share: rows that are hard to encode, and the promises that
// hold for any encoder. An `encode` here is a function of (const simd::RowsView<float>&, uint8_t*
// codes, size_t code_stride).
#pragma once

#include <limits>
#include <ostream>
#include <span>
#include <vector>

#include "simd/simhash.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

enum class RowValues { kIntegers, kBells, kHard };
inline constexpr RowValues kAllRowValues[] = {RowValues::kIntegers, RowValues::kBells,
                                              RowValues::kHard};

struct EncodeCase {
  size_t rows, dim, bits;
  RowValues values;
  size_t offset;  // elements by which every array is misaligned
  uint64_t seed;

  size_t code_bytes() const { return simd::CodeBytes(bits); }

  friend std::ostream& operator<<(std::ostream& out, const EncodeCase& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " rows=" << c.rows
               << " dim=" << c.dim << " bits=" << c.bits << " values=" << static_cast<int>(c.values)
               << " offset=" << c.offset << " seed=" << c.seed;
  }
};

// rows x dim floats.
inline std::vector<float> MakeRows(Rng& rng, const EncodeCase& c) {
  switch (c.values) {
    case RowValues::kIntegers:
      return MakeFloats(c.rows * c.dim, [&] { return SmallInteger(rng, 2); });
    case RowValues::kBells:
      return MakeFloats(c.rows * c.dim, [&] { return BellFloat(rng); });
    case RowValues::kHard:
      return HardRows(rng, c.rows, c.dim);
  }
  return {};
}

// Codes from arrays of exact size, dense and at the case's offset.
template <class Encode>
std::vector<uint8_t> DenseCodes(const EncodeCase& c, std::span<const float> rows,
                                const Encode& encode) {
  Buffer<float> x(rows, c.offset);
  Buffer<uint8_t> codes(rows.size() / c.dim * c.code_bytes(), c.offset);
  encode(simd::DenseRows(x.data(), rows.size() / c.dim, c.dim), codes.data(), c.code_bytes());
  return {codes.data(), codes.data() + codes.size()};
}

// Rows and codes with a gap of `gap` elements, NaN between the rows: codes are as `expected`, dense
// ones, and the gaps between them are not written.
template <class Encode>
void ExpectGapsLeftAlone(const EncodeCase& c, size_t gap, std::span<const float> rows,
                         std::span<const uint8_t> expected, const Encode& encode) {
  SCOPED_TRACE(c);
  SCOPED_TRACE(gap);
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const size_t code_bytes = c.code_bytes(), stride = code_bytes + gap;
  Buffer<float> x(WithStride<float>(rows, c.dim, c.dim + gap, kNan), c.offset);
  Buffer<uint8_t> codes((c.rows - 1) * stride + code_bytes, c.offset, 64);
  encode(simd::RowsView<float>{x.data(), c.rows, c.dim, c.dim + gap}, codes.data(), stride);
  for (size_t r = 0; r < c.rows; ++r) {
    EXPECT_TRUE(SameValues<uint8_t>({codes.data() + r * stride, code_bytes},
                                    expected.subspan(r * code_bytes, code_bytes)))
        << "row " << r;
    if (r + 1 < c.rows) {
      EXPECT_TRUE(codes.Untouched(r * stride + code_bytes, (r + 1) * stride)) << "row " << r;
    }
  }
}

// A code depends on its own row alone, not on its place in a batch.
template <class Encode>
void ExpectSameInAnyBatchSplit(const EncodeCase& c, std::span<const float> rows,
                               const Encode& encode) {
  SCOPED_TRACE(c);
  const std::vector<uint8_t> whole = DenseCodes(c, rows, encode);
  for (size_t split = 0; split <= c.rows; ++split) {
    std::vector<uint8_t> joined = DenseCodes(c, rows.first(split * c.dim), encode);
    const std::vector<uint8_t> tail = DenseCodes(c, rows.subspan(split * c.dim), encode);
    joined.insert(joined.end(), tail.begin(), tail.end());
    EXPECT_TRUE(SameValues<uint8_t>(joined, whole)) << "split at " << split;
  }
}

// The contract "same codes everywhere", target against target rather than through the oracle.
template <class Encode>
void ExpectSameOnEveryTarget(const EncodeCase& c, std::span<const float> rows,
                             const Encode& encode) {
  std::vector<uint8_t> first;
  for (const int64_t target : SupportedTargetList()) {
    ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(target)));
    SCOPED_TRACE(c);
    const std::vector<uint8_t> codes = DenseCodes(c, rows, encode);
    if (first.empty()) first = codes;
    EXPECT_TRUE(SameValues<uint8_t>(codes, first));
  }
  ASSERT_TRUE(simd::ForceTargetForTest(nullptr));
  EXPECT_GT(std::ranges::count_if(first, [](uint8_t b) { return b != 0; }), 100);
}

}  // namespace eta::test
