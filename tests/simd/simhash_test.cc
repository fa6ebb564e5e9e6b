// SPDX-License-Identifier: Apache-2.0
// simd/simhash.h against core/reference/simhash.h, bit for bit, on every target.
#include "simd/simhash.h"

#include <limits>
#include <ostream>

#include "core/reference/simhash.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

// About the edges of bytes, vectors, panels of 64 and tiles of a few rows.
constexpr size_t kRows[] = {0, 1, 2, 5, 6, 7, 12, 13, 63, 64, 65};
constexpr size_t kDims[] = {1, 2, 3, 15, 16, 17, 64, 100, 128};
constexpr size_t kBits[] = {1,  7,   8,   9,   15,  16,  17,  31,  32,  33,   63,  64,
                            65, 100, 127, 128, 129, 255, 256, 257, 512, 1024, 4096};

enum class Values { kIntegers, kBells, kHard };

struct Case {
  size_t rows, dim, bits;
  Values values;
  size_t offset;  // elements by which every array is misaligned
  uint64_t seed;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " rows=" << c.rows
               << " dim=" << c.dim << " bits=" << c.bits << " values=" << static_cast<int>(c.values)
               << " offset=" << c.offset << " seed=" << c.seed;
  }
};

struct Inputs {
  std::vector<float> x;       // rows x dim
  std::vector<float> planes;  // dim x bits
};

Inputs MakeInputs(const Case& c) {
  Rng rng(c.seed);
  Inputs in;
  if (c.values == Values::kIntegers) {
    in.x = MakeFloats(c.rows * c.dim, [&] { return SmallInteger(rng, 2); });
    in.planes = MakeFloats(c.dim * c.bits, [&] { return SmallInteger(rng, 1); });
    return in;
  }
  in.planes = MakeFloats(c.dim * c.bits, [&] { return BellFloat(rng); });
  if (c.values == Values::kHard) {
    in.x = HardRows(rng, c.rows, c.dim);
  } else {
    in.x = MakeFloats(c.rows * c.dim, [&] { return BellFloat(rng); });
  }
  return in;
}

Buffer<float> Packed(const Case& c, const std::vector<float>& planes) {
  Buffer<float> packed(simd::PackedHyperplanesSize(c.dim, c.bits), c.offset);
  simd::PackHyperplanes(simd::DenseRows(planes.data(), c.dim, c.bits), packed.data());
  return packed;
}

// Codes from arrays of exact size, dense and at the case's offset.
std::vector<uint8_t> Encode(const Case& c, const Inputs& in) {
  const size_t code_bytes = simd::CodeBytes(c.bits);
  Buffer<float> packed = Packed(c, in.planes);
  Buffer<float> x(std::span<const float>(in.x), c.offset);
  Buffer<uint8_t> codes(c.rows * code_bytes, c.offset);
  simd::SimHashEncode(simd::DenseRows(x.data(), c.rows, c.dim), {packed.data(), c.dim, c.bits},
                      codes.data(), code_bytes);
  return {codes.data(), codes.data() + codes.size()};
}

void ExpectAsReference(const Case& c, const Inputs& in) {
  SCOPED_TRACE(c);
  const auto expected = reference::SimHashRows(in.x, c.dim, in.planes, c.bits);
  EXPECT_TRUE(SameValues<uint8_t>(Encode(c, in), expected));
}

// Every pair of rows and bits; the dims take turns so that they meet every row count and every
// width as well. 4,096 bits only with few rows: the oracle's time grows with the product.
std::vector<Case> Sweep(Values values) {
  std::vector<Case> cases;
  for (size_t r = 0; r < std::size(kRows); ++r) {
    for (size_t b = 0; b < std::size(kBits); ++b) {
      const size_t dim = kDims[(r + b) % std::size(kDims)];
      if (kRows[r] * kBits[b] > 30000) continue;
      cases.push_back({kRows[r], dim, kBits[b], values, (r + b) % 4, 100 * r + b});
    }
  }
  return cases;
}

class SimHashTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(SimHashTest);

TEST_P(SimHashTest, ExactSumsOfIntegers) {
  for (const Case& c : Sweep(Values::kIntegers)) ExpectAsReference(c, MakeInputs(c));
}

TEST_P(SimHashTest, RoundedSums) {
  for (const Case& c : Sweep(Values::kBells)) ExpectAsReference(c, MakeInputs(c));
}

TEST_P(SimHashTest, NanInfinityDenormalAndSignedZero) {
  for (const Case& c : Sweep(Values::kHard)) ExpectAsReference(c, MakeInputs(c));
}

TEST_P(SimHashTest, LargestDim) {
  for (const Values values : {Values::kIntegers, Values::kBells}) {
    const Case c{7, 4096, 70, values, 1, 5};
    ExpectAsReference(c, MakeInputs(c));
  }
}

// What each sum gives: the bit rule itself, without the oracle.
TEST_P(SimHashTest, OnlySumsAboveZeroSetABit) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  const std::vector<std::pair<float, bool>> cases = {
      {0.0f, false},  {-0.0f, false}, {kNan, false},   {-kNan, false}, {kInf, true},
      {-kInf, false}, {kTiny, true},  {-kTiny, false}, {1.0f, true},   {-1.0f, false}};
  for (const size_t bits : {size_t{1}, size_t{13}, size_t{64}, size_t{71}}) {
    for (const auto& [value, set] : cases) {
      const Case c{1, 1, bits, Values::kHard, 0, 0};
      SCOPED_TRACE(c);
      std::vector<uint8_t> expected(simd::CodeBytes(bits), set ? 0xFF : 0);
      if (set && bits % 8 != 0) expected.back() = static_cast<uint8_t>((1u << bits % 8) - 1);
      const Inputs in{{value}, std::vector<float>(bits, 1.0f)};
      EXPECT_TRUE(SameValues<uint8_t>(Encode(c, in), expected)) << "value " << value;
    }
  }
}

TEST_P(SimHashTest, SumsThatCancelToZero) {
  const Case c{64, 16, 256, Values::kIntegers, 0, 77};
  SCOPED_TRACE(c);
  const Inputs in = MakeInputs(c);
  size_t zeros = 0;
  for (size_t r = 0; r < c.rows; ++r) {
    const std::span<const float> row(in.x.data() + r * c.dim, c.dim);
    for (size_t j = 0; j < c.bits; ++j) {
      zeros += reference::Projection(row, in.planes, c.bits, j) == 0.0f;
    }
  }
  ASSERT_GT(zeros, 500u) << "the data no longer hit exact zeros";
  ExpectAsReference(c, in);
}

// Sums a + b * c - d whose sign is lost by rounding twice: in float (multiply, then add) or in
// double and then in float. The first leaves 0 where those leave 2^-23; the second the other way.
TEST_P(SimHashTest, OneRoundingPerStep) {
  const float ulp = std::ldexp(1.0f, -23);
  struct {
    float a, b, c, d;
    bool positive;
  } const cases[] = {
      // b * c = 2^-24 (1 - 2^-30): just below the tie between 1 + ulp (odd) and 1 + 2 ulp.
      {1 + ulp, std::ldexp(32769.0f, -27), std::ldexp(32767.0f, -27), 1 + ulp, false},
      // b * c = 2^-24 (1 + 2^-30): just above the tie between 1 (even) and 1 + ulp.
      {1, std::ldexp(33025.0f, -27), std::ldexp(32513.0f, -27), 1, true},
  };
  for (const auto& v : cases) {
    const Case c{3, 3, 66, Values::kBells, 0, 0};
    SCOPED_TRACE(c);
    Inputs in;
    for (size_t r = 0; r < c.rows; ++r) in.x.insert(in.x.end(), {v.a, v.b, -v.d});
    in.planes.assign(c.dim * c.bits, 1.0f);
    std::fill_n(in.planes.begin() + c.bits, c.bits, v.c);
    const float sum = reference::Projection({in.x.data(), 3}, in.planes, c.bits, 0);
    ASSERT_EQ(sum, v.positive ? ulp : 0.0f);
    ExpectAsReference(c, in);
  }
}

TEST_P(SimHashTest, BitsPastTheLastAreZero) {
  for (const size_t bits : kBits) {
    const Case c{13, 3, bits, Values::kIntegers, 0, 0};
    SCOPED_TRACE(c);
    const Inputs in{std::vector<float>(c.rows * c.dim, 1.0f),
                    std::vector<float>(c.dim * bits, 1.0f)};  // every bit is set
    const std::vector<uint8_t> codes = Encode(c, in);
    const size_t code_bytes = simd::CodeBytes(bits);
    for (size_t r = 0; r < c.rows; ++r) {
      const auto last = static_cast<unsigned>(codes[(r + 1) * code_bytes - 1]);
      EXPECT_EQ(last, 0xFFu >> (code_bytes * 8 - bits)) << "row " << r;
    }
  }
}

TEST_P(SimHashTest, StridesLeaveTheGapsAlone) {
  for (const size_t bits : {size_t{1}, size_t{9}, size_t{64}, size_t{65}, size_t{200}}) {
    for (const size_t gap : {size_t{1}, size_t{5}, size_t{64}}) {
      const Case c{13, 17, bits, Values::kBells, 3, bits + gap};
      SCOPED_TRACE(c);
      SCOPED_TRACE(gap);
      const Inputs in = MakeInputs(c);
      const size_t code_bytes = simd::CodeBytes(bits);
      const float nan = std::numeric_limits<float>::quiet_NaN();
      const auto strided = WithStride<float>(in.x, c.dim, c.dim + gap, nan);
      Buffer<float> x(std::span<const float>(strided), c.offset);
      Buffer<float> packed = Packed(c, in.planes);
      const size_t stride = code_bytes + gap;
      Buffer<uint8_t> codes((c.rows - 1) * stride + code_bytes, c.offset, 64);
      simd::SimHashEncode({x.data(), c.rows, c.dim, c.dim + gap}, {packed.data(), c.dim, bits},
                          codes.data(), stride);
      const auto expected = reference::SimHashRows(in.x, c.dim, in.planes, bits);
      for (size_t r = 0; r < c.rows; ++r) {
        EXPECT_TRUE(SameValues<uint8_t>({codes.data() + r * stride, code_bytes},
                                        {expected.data() + r * code_bytes, code_bytes}))
            << "row " << r;
        if (r + 1 < c.rows) {
          EXPECT_TRUE(codes.Untouched(r * stride + code_bytes, (r + 1) * stride)) << "row " << r;
        }
      }
    }
  }
}

TEST_P(SimHashTest, PackHyperplanesFollowsItsFormula) {
  for (const size_t bits : kBits) {
    for (const size_t gap : {size_t{0}, size_t{3}}) {
      const Case c{0, bits % 7 + 1, bits, Values::kBells, bits % 3, bits};
      SCOPED_TRACE(c);
      const Inputs in = MakeInputs(c);
      const auto strided = WithStride<float>(in.planes, bits, bits + gap, 9.0f);
      Buffer<float> planes(std::span<const float>(strided), c.offset);
      const size_t panels = (bits + 63) / 64;
      ASSERT_EQ(simd::PackedHyperplanesSize(c.dim, bits), panels * 64 * c.dim);
      std::vector<float> expected(panels * 64 * c.dim, 0.0f);
      for (size_t d = 0; d < c.dim; ++d) {
        for (size_t b = 0; b < bits; ++b) {
          expected[((b / 64) * c.dim + d) * 64 + b % 64] = in.planes[d * bits + b];
        }
      }
      Buffer<float> packed(expected.size(), c.offset, 16);
      simd::PackHyperplanes({planes.data(), c.dim, bits, bits + gap}, packed.data());
      EXPECT_TRUE(SameValues<float>(packed.span(), expected));
    }
  }
}

// The contract "same codes everywhere", target against target rather than through the oracle.
TEST(SimHashAcrossTargets, CodesAreIdentical) {
  for (const Values values : {Values::kIntegers, Values::kBells, Values::kHard}) {
    const Case c{65, 100, 257, values, 0, 42};
    const Inputs in = MakeInputs(c);
    std::vector<uint8_t> first;
    for (const int64_t target : SupportedTargetList()) {
      ASSERT_TRUE(simd::ForceTarget(simd::TargetName(target)));
      SCOPED_TRACE(c);
      const std::vector<uint8_t> codes = Encode(c, in);
      if (first.empty()) first = codes;
      EXPECT_TRUE(SameValues<uint8_t>(codes, first));
    }
    ASSERT_TRUE(simd::ForceTarget(nullptr));
    EXPECT_GT(std::ranges::count_if(first, [](uint8_t b) { return b != 0; }), 100);
  }
}

// A code depends on its own row alone, not on its place in a tile.
TEST_P(SimHashTest, RowsInAnyBatchSplit) {
  const Case c{13, 64, 100, Values::kBells, 0, 8};
  SCOPED_TRACE(c);
  const Inputs in = MakeInputs(c);
  const std::vector<uint8_t> whole = Encode(c, in);
  for (size_t split = 0; split <= c.rows; ++split) {
    const auto cut = in.x.begin() + split * c.dim;
    Case head = c, rest = c;
    head.rows = split;
    rest.rows = c.rows - split;
    std::vector<uint8_t> joined = Encode(head, {{in.x.begin(), cut}, in.planes});
    const std::vector<uint8_t> tail = Encode(rest, {{cut, in.x.end()}, in.planes});
    joined.insert(joined.end(), tail.begin(), tail.end());
    EXPECT_TRUE(SameValues<uint8_t>(joined, whole)) << "split at " << split;
  }
}

}  // namespace
}  // namespace eta::test
