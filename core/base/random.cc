// SPDX-License-Identifier: Apache-2.0
#include "core/base/random.h"

#include <bit>
#include <cmath>

#include "core/base/portable_math.h"

namespace eta {
namespace {

constexpr uint64_t kMultiplier = 6364136223846793005u;  // of O'Neill's reference generator

}  // namespace

Random::Random(uint64_t seed, uint64_t stream) : state_(0), increment_((stream << 1) | 1) {
  Next32();
  state_ += seed;
  Next32();
}

uint32_t Random::Next32() {
  const uint64_t old = state_;
  state_ = old * kMultiplier + increment_;
  const auto xor_shifted = static_cast<uint32_t>(((old >> 18) ^ old) >> 27);
  return std::rotr(xor_shifted, static_cast<int>(old >> 59));
}

uint64_t Random::Next64() {
  const uint64_t high = Next32();
  return high << 32 | Next32();
}

// Lemire (2019): the upper half of a 64-bit product, rejecting the few low halves that would favour
// some results. One multiplication, and a division only when a rejection is possible.
uint32_t Random::Below(uint32_t bound) {
  uint64_t product = uint64_t{Next32()} * bound;
  if (static_cast<uint32_t>(product) < bound) {
    const uint32_t threshold = (0u - bound) % bound;
    while (static_cast<uint32_t>(product) < threshold) product = uint64_t{Next32()} * bound;
  }
  return static_cast<uint32_t>(product >> 32);
}

double Random::Uniform() { return static_cast<double>(Next64() >> 11) * 0x1p-53; }

// Marsaglia's polar method. The second normal of each pair is thrown away: keeping it would be
// state that the next caller does not see.
double Random::Normal() {
  double u;
  double square;
  do {
    u = 2 * Uniform() - 1;
    const double v = 2 * Uniform() - 1;
    square = u * u + v * v;
  } while (square >= 1 || square == 0);
  return u * std::sqrt(-2 * PortableLog(square) / square);
}

}  // namespace eta
