// SPDX-License-Identifier: Apache-2.0
// simd/internal/panel-inl.h against std::fma, bit for bit, on every target.
#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <limits>
#include <vector>

#include "simd/internal/common.h"
#include "tests/support/target_test_util.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/simd/fma_test.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

using Tag = hn::CappedTag<float, 16>;

// n is a multiple of 16.
void ExactResults(const float* a, const float* b, const float* c, size_t n, float* results) {
  const Tag d;
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    hn::StoreU(FusedMulAdd(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i), hn::LoadU(d, c + i)), d,
               results + i);
  }
}

void QuickResults(const float* a, const float* b, const float* c, size_t n, float* results) {
  const Tag d;
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    hn::StoreU(QuickFma(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i), hn::LoadU(d, c + i)), d,
               results + i);
  }
}

// How many of the results QuickFma doubts, each alone in all lanes of a vector.
size_t CountOfDoubts(const float* a, const float* b, const float* c, size_t n) {
#if ETA_SIMD_IS_EMULATED || HWY_NATIVE_FMA
  (void)a, (void)b, (void)c, (void)n;
  return 0;
#else
  const Tag d;
  const hn::RebindToSigned<Tag> di;
  size_t count = 0;
  for (size_t i = 0; i < n; ++i) {
    hn::Mask<decltype(di)> doubts;
    RoundedTwice(d, hn::Set(d, a[i]), hn::Set(d, b[i]), hn::Set(d, c[i]), doubts);
    count += hn::AllFalse(di, doubts) ? 0 : 1;
  }
  return count;
#endif
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(ExactResults);
HWY_EXPORT(QuickResults);
HWY_EXPORT(CountOfDoubts);

void ExactFmas(const float* a, const float* b, const float* c, size_t n, float* results) {
  HWY_DYNAMIC_DISPATCH(ExactResults)(a, b, c, n, results);
}

void QuickFmas(const float* a, const float* b, const float* c, size_t n, float* results) {
  HWY_DYNAMIC_DISPATCH(QuickResults)(a, b, c, n, results);
}

size_t FmaDoubts(const float* a, const float* b, const float* c, size_t n) {
  return HWY_DYNAMIC_DISPATCH(CountOfDoubts)(a, b, c, n);
}

}  // namespace eta::simd

namespace eta::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Factors {
  std::vector<float> a, b, c;

  void Add(float x, float y, float z) {
    a.push_back(x);
    b.push_back(y);
    c.push_back(z);
  }
  // With each sign of a and of c.
  void AddSigns(float x, float y, float z) {
    for (const float s : {1.0f, -1.0f}) {
      for (const float t : {1.0f, -1.0f}) Add(s * x, y, t * z);
    }
  }
};

// Random cases of a test: 2^17, or ETA_FMA_CASES.
size_t RandomCases() {
  const char* wanted = std::getenv("ETA_FMA_CASES");
  return wanted == nullptr ? size_t{1} << 17 : std::strtoull(wanted, nullptr, 10);
}

float RandomFinite(Rng& rng, int lowest, int highest) {
  const float fraction = 1 + std::ldexp(static_cast<float>(rng() >> 41), -23);
  const int exponent = lowest + static_cast<int>(Below(rng, static_cast<size_t>(highest - lowest)));
  return std::ldexp(rng() % 2 == 0 ? fraction : -fraction, exponent);
}

class FmaTest : public TargetTest {
 protected:
  // Every result of FusedMulAdd and QuickFma. Returns how many of these were in doubt.
  static size_t DoubtsOf(Factors f) {
    const size_t cases = f.a.size();
    while (f.a.size() % 16 != 0) f.Add(1, 1, 1);
    const size_t n = f.a.size();
    std::vector<float> exact(n), quick(n);
    simd::ExactFmas(f.a.data(), f.b.data(), f.c.data(), n, exact.data());
    simd::QuickFmas(f.a.data(), f.b.data(), f.c.data(), n, quick.data());
    for (size_t i = 0; i < n; ++i) {
      const float expected = std::fma(f.a[i], f.b[i], f.c[i]);
      if (Same(exact[i], expected) && Same(quick[i], expected)) continue;
      ADD_FAILURE() << std::hexfloat << "fma(" << f.a[i] << ", " << f.b[i] << ", " << f.c[i]
                    << ") is " << expected << ", not " << exact[i] << " or, quickly, " << quick[i];
      break;
    }
    return simd::FmaDoubts(f.a.data(), f.b.data(), f.c.data(), cases);
  }
};
ETA_FOR_EVERY_TARGET(FmaTest);

TEST_P(FmaTest, EdgesOfTheFloats) {
  const float values[] = {0,           1,
                          2,           3,
                          0.5f,        1 + FLT_EPSILON,
                          FLT_MAX,     FLT_MIN,
                          kInfinity,   kNan,
                          0x1p-149f,   0x1.fffffcp-127f,
                          0x1p64f,     0x1p-75f,
                          0x1p-74f,    0x1p63f,
                          0x1p103f,    0x1.fffffep63f,
                          0x1.8p-149f, 1e10f,
                          1e-10f,      0x1p-126f + 0x1p-149f};
  Factors f;
  for (const float a : values) {
    for (const float b : values) {
      for (const float c : values) f.AddSigns(a, b, c);
    }
  }
  DoubtsOf(f);
}

// The product is half a unit in the last place of c, or a 2^42nd of that more or less, which double
// has no room for: 2^42 + 1 = 1632737 * 2693665 and 2^42 - 1 = 2097151 * 2097153.
TEST_P(FmaTest, HalfwayAndHardlyBesideIt) {
  Rng rng(1);
  Factors f;
  for (int exponent = -149; exponent <= 127; ++exponent) {
    for (int turn = 0; turn < 16; ++turn) {
      float c = std::ldexp(1 + std::ldexp(static_cast<float>(rng() >> 41), -23), exponent);
      if (turn == 0) c = std::ldexp(1.0f, exponent);
      const int unit = std::max(exponent - 23, -149);
      for (const int below : {1, 2}) {
        const auto scaled = [&](float x, int more) {
          return std::ldexp(x, (unit - below + more) / 2);
        };
        const int odd = (unit - below) % 2;
        f.AddSigns(scaled(1, -odd), std::ldexp(scaled(1, -odd), odd), c);
        f.AddSigns(scaled(1632737, -42 - odd), std::ldexp(scaled(2693665, -42 - odd), odd), c);
        f.AddSigns(scaled(2097151, -42 - odd), std::ldexp(scaled(2097153, -42 - odd), odd), c);
      }
    }
  }
  DoubtsOf(f);
}

TEST_P(FmaTest, AnyBits) {
  Rng rng(2);
  Factors f;
  for (size_t i = 0; i < RandomCases(); ++i) {
    const uint64_t bits = rng();
    f.Add(std::bit_cast<float>(static_cast<uint32_t>(bits)),
          std::bit_cast<float>(static_cast<uint32_t>(bits >> 32)),
          std::bit_cast<float>(static_cast<uint32_t>(rng())));
  }
  DoubtsOf(f);
}

// Exponents so near to each other that all three matter, from subnormal sums to infinite ones.
TEST_P(FmaTest, SumsOfLikeSize) {
  Rng rng(3);
  Factors f;
  for (size_t i = 0; i < RandomCases(); ++i) {
    const float a = RandomFinite(rng, -75, 64), b = RandomFinite(rng, -75, 64);
    const int exponent = std::ilogb(a) + std::ilogb(b);
    f.Add(a, b, RandomFinite(rng, exponent - 40, exponent + 60));
  }
  DoubtsOf(f);
}

// Numbers of few bits, as of bfloat16 and integers: every other sum is halfway.
TEST_P(FmaTest, FewBits) {
  Rng rng(4);
  Factors f;
  for (size_t i = 0; i < RandomCases() / 8; ++i) {
    f.Add(SmallInteger(rng, 255), SmallInteger(rng, 255),
          std::ldexp(SmallInteger(rng, 255), static_cast<int>(Below(rng, 24))) +
              SmallInteger(rng, 1));
  }
  DoubtsOf(f);
}

// Else the quick way would be none.
TEST_P(FmaTest, OrdinaryNumbersAndZerosAreNotInDoubt) {
  Rng rng(5);
  Factors f;
  for (size_t i = 0; i < size_t{1} << 14; ++i) {
    f.Add(BellFloat(rng), i % 4 == 0 ? 0 : BellFloat(rng), i % 8 == 0 ? 0 : BellFloat(rng));
  }
  EXPECT_EQ(DoubtsOf(f), 0);
}

}  // namespace
}  // namespace eta::test
#endif  // HWY_ONCE
