// SPDX-License-Identifier: Apache-2.0
// Random numbers that mean the same on every platform and standard library.
#pragma once

#include <cstdint>

#include "core/base/export.h"

namespace eta {

// PCG32 (XSH-RR, O'Neill 2014): 64-bit state, 32-bit output, one of 2^63 streams.
class ETA_CORE_API Random {
 public:
  // Streams of one seed are independent of one another; of `stream` the low 63 bits count.
  explicit Random(uint64_t seed, uint64_t stream = 0);

  uint32_t Next32();               // 32 random bits
  uint64_t Next64();               // 64, by two calls of Next32
  uint32_t Below(uint32_t bound);  // uniform in [0, bound), unbiased; bound >= 1
  double Uniform();                // uniform in [0, 1), 53 bits
  double Normal();                 // standard normal, built from +, *, sqrt and own log only

 private:
  uint64_t state_;
  uint64_t increment_;
};

}  // namespace eta
