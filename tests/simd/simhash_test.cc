// SPDX-License-Identifier: Apache-2.0
// simd/simhash.h against core/reference/simhash.h, bit for bit, on every target.
#include "simd/simhash.h"

#include <limits>

#include "core/reference/simhash.h"
#include "tests/support/encode_cases.h"

namespace eta::test {
namespace {

// About the edges of bytes, vectors, panels of 64 and tiles of a few rows.
constexpr size_t kRows[] = {0, 1, 2, 5, 6, 7, 12, 13, 63, 64, 65};
constexpr size_t kDims[] = {1, 2, 3, 15, 16, 17, 64, 100, 128};
constexpr size_t kBits[] = {1,  7,   8,   9,   15,  16,  17,  31,  32,  33,   63,  64,
                            65, 100, 127, 128, 129, 255, 256, 257, 512, 1024, 4096};

using Case = EncodeCase;
using Values = RowValues;

struct Inputs {
  std::vector<float> x;       // rows x dim
  std::vector<float> planes;  // dim x bits
};

Inputs MakeInputs(const Case& c) {
  Rng rng(c.seed);
  Inputs in;
  in.planes = MakeFloats(c.dim * c.bits, [&] {
    return c.values == Values::kIntegers ? SmallInteger(rng, 1) : BellFloat(rng);
  });
  in.x = MakeRows(rng, c);
  return in;
}

// SimHashEncode by hyperplanes that are packed at the case's offset.
class Encoder {
 public:
  Encoder(const Case& c, const std::vector<float>& planes)
      : dim_(c.dim), bits_(c.bits), packed_(simd::PackedHyperplanesSize(dim_, bits_), c.offset) {
    simd::PackHyperplanes(simd::DenseRows(planes.data(), dim_, bits_), packed_.data());
  }
  void operator()(const simd::RowsView<float>& x, uint8_t* codes, size_t code_stride) const {
    simd::SimHashEncode(x, {packed_.data(), dim_, bits_}, codes, code_stride);
  }

 private:
  size_t dim_, bits_;
  Buffer<float> packed_;
};

std::vector<uint8_t> Encode(const Case& c, const Inputs& in) {
  return DenseCodes(c, in.x, Encoder(c, in.planes));
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
      const Inputs in = MakeInputs(c);
      const auto expected = reference::SimHashRows(in.x, c.dim, in.planes, bits);
      ExpectGapsLeftAlone(c, gap, in.x, expected, Encoder(c, in.planes));
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

TEST(SimHashAcrossTargets, CodesAreIdentical) {
  for (const Values values : kAllRowValues) {
    const Case c{65, 100, 257, values, 0, 42};
    const Inputs in = MakeInputs(c);
    ExpectSameOnEveryTarget(c, in.x, Encoder(c, in.planes));
  }
}

TEST_P(SimHashTest, RowsInAnyBatchSplit) {
  const Case c{13, 64, 100, Values::kBells, 0, 8};
  const Inputs in = MakeInputs(c);
  ExpectSameInAnyBatchSplit(c, in.x, Encoder(c, in.planes));
}

}  // namespace
}  // namespace eta::test
