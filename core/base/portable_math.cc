// SPDX-License-Identifier: Apache-2.0
#include "core/base/portable_math.h"

#include <bit>
#include <cfloat>
#include <cstdint>
#include <limits>

namespace eta {
namespace {

// Wider intermediates (x87) would round differently; so would a fused multiply-add, which the build
// switches off with -ffp-contract=off.
static_assert(FLT_EVAL_METHOD == 0, "doubles must be evaluated as doubles");

// ln 2 in two parts: the upper has 37 bits, so that its product with any exponent is exact.
constexpr double kLn2High = 0x1.62e42fefap-1;
constexpr double kLn2Low = 0x1.cf79abc9e3b39803f2fp-40;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

constexpr int kMantissaBits = 52;
constexpr int kExponentBias = 1023;

// 2^exponent for exponents of normal numbers.
double PowerOfTwo(int exponent) {
  return std::bit_cast<double>(static_cast<uint64_t>(exponent + kExponentBias) << kMantissaBits);
}

}  // namespace

// x = m 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1), whose odd
// power series ends below 1e-18 after s^23 because |s| < 0.172.
double PortableLog(double x) {
  if (!(x >= 0)) return kNan;
  if (x == 0) return -kInfinity;
  if (x == kInfinity) return x;
  int exponent = 0;
  if (x < DBL_MIN) {
    x *= 0x1p54;
    exponent = -54;
  }
  const auto bits = std::bit_cast<uint64_t>(x);
  exponent += static_cast<int>(bits >> kMantissaBits) - kExponentBias;
  constexpr uint64_t kMantissaMask = (uint64_t{1} << kMantissaBits) - 1;
  double m = std::bit_cast<double>((bits & kMantissaMask) | std::bit_cast<uint64_t>(1.0));
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1) / (m + 1);
  const double s2 = s * s;
  double sum = 0;
  for (int power = 23; power >= 3; power -= 2) sum = (sum + 1.0 / power) * s2;
  const double log_m = 2 * s + 2 * s * sum;
  return exponent * kLn2High + (log_m + exponent * kLn2Low);
}

// x = k ln 2 + r with |r| <= ln(2) / 2; the Taylor series of exp r ends below 1e-18 after r^14.
double PortableExp(double x) {
  if (x != x) return kNan;
  if (x > 709.7827) return kInfinity;
  if (x < -708.3964) return 0;
  const double scaled = x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5);
  const int k = static_cast<int>(scaled);
  const double r = (x - k * kLn2High) - k * kLn2Low;
  double sum = 1;
  for (int n = 14; n >= 1; --n) sum = 1 + sum * r / n;
  const int half = k / 2;  // two steps, because 2^1024 alone would overflow
  return sum * PowerOfTwo(half) * PowerOfTwo(k - half);
}

double PortablePow(double x, double y) { return PortableExp(y * PortableLog(x)); }

}  // namespace eta
