// SPDX-License-Identifier: Apache-2.0
// simd/hadamard.h against core/reference/hadamard.h, bit for bit, on every target.
#include "simd/hadamard.h"

#include <array>
#include <limits>

#include "core/reference/hadamard.h"
#include "core/reference/simhash.h"
#include "core/retrieval/hyperplanes.h"
#include "tests/support/encode_cases.h"

namespace eta::test {
namespace {

// About the edges of the rows that share a pass (1, 2 or 4), and of transforms in registers and in
// passes: 64 to 4,096 floats are 4 to 1,024 vectors.
constexpr size_t kRows[] = {0, 1, 2, 3, 4, 5, 15, 16, 17, 33};
constexpr size_t kDims[] = {1,   2,   3,   16,  17,  63,  64,   65,   100,  127, 128,
                            129, 255, 256, 257, 512, 600, 1024, 2048, 3000, 4096};
constexpr size_t kBits[] = {1, 7, 8, 9, 63, 64, 65, 100, 127, 128, 129, 255, 256, 300, 1000, 4096};

using Case = EncodeCase;
using Values = RowValues;

struct Inputs {
  std::vector<float> x;            // rows x dim
  std::vector<uint8_t> sign_bits;  // of all groups and rounds
};

Inputs MakeInputs(const Case& c) {
  Rng rng(c.seed);
  Inputs in;
  in.sign_bits = RandomBytes(rng, simd::HadamardSignCount(c.dim, c.bits) / 8);
  in.x = MakeRows(rng, c);
  return in;
}

// HadamardEncode by signs that are packed at the case's offset.
class Encoder {
 public:
  Encoder(const Case& c, const std::vector<uint8_t>& sign_bits)
      : bits_(c.bits), signs_(sign_bits.size() * 8, c.offset) {
    simd::PackHadamardSigns(sign_bits.data(), signs_.size(), signs_.data());
  }
  void operator()(const simd::RowsView<float>& x, uint8_t* codes, size_t code_stride) const {
    simd::HadamardEncode(x, {signs_.data(), bits_}, codes, code_stride);
  }

 private:
  size_t bits_;
  Buffer<uint32_t> signs_;
};

std::vector<uint8_t> Encode(const Case& c, const Inputs& in) {
  return DenseCodes(c, in.x, Encoder(c, in.sign_bits));
}

void ExpectAsReference(const Case& c, const Inputs& in) {
  SCOPED_TRACE(c);
  const auto expected = reference::HadamardRows(in.x, c.dim, in.sign_bits, c.bits);
  EXPECT_TRUE(SameValues<uint8_t>(Encode(c, in), expected));
}

// Every pair of dim and bits; the row counts take turns. Large products only with few rows.
std::vector<Case> Sweep(Values values) {
  std::vector<Case> cases;
  for (size_t d = 0; d < std::size(kDims); ++d) {
    for (size_t b = 0; b < std::size(kBits); ++b) {
      size_t rows = kRows[(d + 3 * b) % std::size(kRows)];
      if (kDims[d] * kBits[b] > 100000) rows %= 4;
      cases.push_back({rows, kDims[d], kBits[b], values, (d + b) % 4, 100 * d + b});
    }
  }
  return cases;
}

class HadamardTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(HadamardTest);

TEST_P(HadamardTest, ExactSumsOfIntegers) {
  for (const Case& c : Sweep(Values::kIntegers)) ExpectAsReference(c, MakeInputs(c));
}

TEST_P(HadamardTest, RoundedSums) {
  for (const Case& c : Sweep(Values::kBells)) ExpectAsReference(c, MakeInputs(c));
}

TEST_P(HadamardTest, NanInfinityDenormalAndSignedZero) {
  for (const Case& c : Sweep(Values::kHard)) ExpectAsReference(c, MakeInputs(c));
}

TEST_P(HadamardTest, EveryRowCountAtEveryTransformSize) {
  for (const size_t dim :
       {size_t{50}, size_t{64}, size_t{128}, size_t{200}, size_t{256}, size_t{512}, size_t{1024}}) {
    for (size_t rows = 0; rows <= 17; ++rows) {
      const Case c{rows, dim, 2 * simd::HadamardSize(dim) + 1, Values::kBells, rows % 3, rows};
      ExpectAsReference(c, MakeInputs(c));
    }
  }
}

// A bit that only the order of the sums decides must occur in the data, or the tests above say
// nothing about it: the twin with every round upwards gives other codes.
TEST(HadamardReference, TheOrderOfSumsShowsInTheCodes) {
  const Case c{33, 128, 4096, Values::kHard, 0, 9};
  const Inputs in = MakeInputs(c);
  size_t differences = 0;
  for (size_t r = 0; r < c.rows; ++r) {
    for (size_t group = 0; group < 32; ++group) {
      const auto y =
          reference::HadamardProjections({in.x.data() + r * 128, 128}, in.sign_bits, group);
      std::vector<float> other(in.x.begin() + r * 128, in.x.begin() + (r + 1) * 128);
      for (size_t round = 0; round < 3; ++round) {
        for (size_t i = 0; i < 128; ++i) {
          const size_t sign = (group * 3 + round) * 128 + i;
          if ((in.sign_bits[sign / 8] >> (sign % 8) & 1) != 0) other[i] = -other[i];
        }
        reference::WalshHadamard(other, false);
      }
      for (size_t j = 0; j < 128; ++j) differences += (y[j] > 0) != (other[j] > 0);
    }
  }
  EXPECT_GT(differences, 10u);
}

// The transform by its definition: entry (i, j) of the matrix is (-1)^popcount(i & j).
TEST(HadamardReference, TransformFollowsItsDefinition) {
  Rng rng(1);
  for (size_t size = 1; size <= 256; size *= 2) {
    const auto x = MakeFloats(size, [&] { return SmallInteger(rng, 9); });
    for (const bool downwards : {false, true}) {
      auto y = x;
      reference::WalshHadamard(y, downwards);
      for (size_t i = 0; i < size; ++i) {
        float sum = 0;
        for (size_t j = 0; j < size; ++j) sum += std::popcount(i & j) % 2 == 0 ? x[j] : -x[j];
        ASSERT_EQ(y[i], sum) << "size=" << size << " i=" << i;
      }
    }
  }
}

// What Hyperplanes says its matrix is: on integers, where both are exact, the dense product gives
// the same codes as the transforms.
TEST_P(HadamardTest, CodesAreThoseOfTheDenseMatrixOnIntegers) {
  for (const size_t dim : {size_t{1}, size_t{17}, size_t{64}, size_t{100}, size_t{128}}) {
    for (const size_t bits : {size_t{9}, size_t{64}, size_t{200}, size_t{300}}) {
      const Case c{17, dim, bits, Values::kIntegers, 0, dim + bits};
      SCOPED_TRACE(c);
      const Inputs in = MakeInputs(c);
      const auto planes = Hyperplanes::Make(HyperplaneKind::kHadamard, dim, bits, c.seed);
      std::vector<uint8_t> codes(c.rows * planes.code_bytes());
      planes.Encode(in.x, codes);
      EXPECT_TRUE(SameValues<uint8_t>(
          codes, reference::SimHashRows(in.x, dim, planes.matrix().values, bits)));
      EXPECT_TRUE(SameValues<uint8_t>(
          codes, reference::HadamardRows(in.x, dim, planes.hadamard_sign_bits(), bits)));
    }
  }
}

// On full significands the two may differ where a projection is about 0, and nowhere else.
TEST_P(HadamardTest, DenseMatrixDiffersRarely) {
  const Case c{1000, 128, 256, Values::kBells, 0, 12};
  SCOPED_TRACE(c);
  const Inputs in = MakeInputs(c);
  const auto planes = Hyperplanes::Make(HyperplaneKind::kHadamard, c.dim, c.bits, 1);
  std::vector<uint8_t> codes(c.rows * planes.code_bytes());
  planes.Encode(in.x, codes);
  const auto dense = reference::SimHashRows(in.x, c.dim, planes.matrix().values, c.bits);
  int differences = 0;
  for (size_t i = 0; i < codes.size(); ++i) {
    differences += std::popcount(static_cast<unsigned>(codes[i] ^ dense[i]));
  }
  EXPECT_LE(differences, 5) << "of 256,000 bits";
}

TEST_P(HadamardTest, RowsWithNanOrInfinityHaveCodeZero) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const size_t dim : {size_t{1}, size_t{64}, size_t{100}, size_t{128}, size_t{300}}) {
    for (const float bad : {kInf, -kInf, kNan, -kNan}) {
      const Case c{7, dim, 300, Values::kBells, 1, dim};
      SCOPED_TRACE(c);
      Inputs in = MakeInputs(c);
      const auto clean = Encode(c, in);
      in.x[3 * dim + dim / 2] = bad;
      const auto codes = Encode(c, in);
      for (size_t i = 0; i < codes.size(); ++i) {
        const bool bad_row = i / 38 == 3;
        ASSERT_EQ(codes[i], bad_row ? 0 : clean[i]) << "value " << bad << ", byte " << i;
      }
    }
  }
}

// Powers of two scale every sum exactly: no length below the stated one overflows.
TEST_P(HadamardTest, LongAndShortRowsHaveTheCodesOfTheirDirection) {
  for (const size_t dim : {size_t{60}, size_t{128}, size_t{1000}, size_t{4096}}) {
    Case c{3, dim, 300, Values::kBells, 0, dim};
    SCOPED_TRACE(c);
    Inputs in = MakeInputs(c);
    const auto codes = Encode(c, in);
    for (const int exponent : {-60, 100}) {  // length 2^100 * 64 at most: below 2^127 / 2^18
      Inputs scaled = in;
      for (float& value : scaled.x) value = std::ldexp(value, exponent);
      EXPECT_TRUE(SameValues<uint8_t>(Encode(c, scaled), codes)) << "2^" << exponent;
    }
  }
}

TEST_P(HadamardTest, ZeroRowsHaveCodeZero) {
  for (const float zero : {0.0f, -0.0f}) {
    const Case c{5, 100, 300, Values::kIntegers, 0, 3};
    Inputs in = MakeInputs(c);
    std::ranges::fill(in.x, zero);
    for (const uint8_t byte : Encode(c, in)) ASSERT_EQ(byte, 0);
  }
}

TEST_P(HadamardTest, BitsPastTheLastAreZero) {
  for (const size_t bits : kBits) {
    for (const size_t dim : {size_t{3}, size_t{128}, size_t{256}, size_t{512}}) {
      const Case c{9, dim, bits, Values::kBells, 0, bits};
      SCOPED_TRACE(c);
      const std::vector<uint8_t> codes = Encode(c, MakeInputs(c));
      const size_t code_bytes = (bits + 7) / 8;
      for (size_t r = 0; r < c.rows; ++r) {
        const auto last = static_cast<unsigned>(codes[(r + 1) * code_bytes - 1]);
        EXPECT_EQ(last & ~(0xFFu >> (code_bytes * 8 - bits)), 0u) << "row " << r;
      }
    }
  }
}

TEST_P(HadamardTest, StridesLeaveTheGapsAlone) {
  for (const size_t dim : {size_t{17}, size_t{64}, size_t{128}, size_t{256}, size_t{512}}) {
    for (const size_t bits : {size_t{1}, size_t{9}, size_t{64}, size_t{200}, size_t{600}}) {
      for (const size_t gap : {size_t{1}, size_t{5}, size_t{64}}) {
        const Case c{7, dim, bits, Values::kBells, 3, bits + gap};
        const Inputs in = MakeInputs(c);
        const auto expected = reference::HadamardRows(in.x, dim, in.sign_bits, bits);
        ExpectGapsLeftAlone(c, gap, in.x, expected, Encoder(c, in.sign_bits));
      }
    }
  }
}

TEST_P(HadamardTest, RowsInAnyBatchSplit) {
  for (const size_t dim : {size_t{64}, size_t{128}, size_t{256}, size_t{500}}) {
    const Case c{13, dim, 300, Values::kBells, 0, 8};
    const Inputs in = MakeInputs(c);
    ExpectSameInAnyBatchSplit(c, in.x, Encoder(c, in.sign_bits));
  }
}

TEST(HadamardAcrossTargets, CodesAreIdentical) {
  for (const size_t dim : {size_t{64}, size_t{100}, size_t{256}, size_t{4096}}) {
    for (const Values values : kAllRowValues) {
      const Case c{33, dim, 600, values, 0, 42};
      const Inputs in = MakeInputs(c);
      ExpectSameOnEveryTarget(c, in.x, Encoder(c, in.sign_bits));
    }
  }
}

TEST(HadamardSizes, FollowTheirFormulas) {
  for (const size_t dim : kDims) {
    EXPECT_EQ(simd::HadamardSize(dim), reference::HadamardSize(dim)) << dim;
    for (const size_t bits : kBits) {
      size_t groups = 1;
      while (groups * reference::HadamardSize(dim) < bits) ++groups;
      EXPECT_EQ(simd::HadamardSignCount(dim, bits), groups * 3 * reference::HadamardSize(dim));
    }
  }
}

TEST(HadamardSigns, PackedWordsAreTheBits) {
  Rng rng(6);
  const auto sign_bits = RandomBytes(rng, 24);
  Buffer<uint32_t> signs(192, 1, 8);
  simd::PackHadamardSigns(sign_bits.data(), 192, signs.data());
  for (size_t i = 0; i < 192; ++i) {
    const bool minus = (sign_bits[i / 8] & (1 << i % 8)) != 0;
    EXPECT_EQ(signs[i], minus ? 0x80000000u : 0u) << i;
  }
}

}  // namespace
}  // namespace eta::test
