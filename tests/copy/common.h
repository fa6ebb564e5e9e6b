// SPDX-License-Identifier: Apache-2.0
// What the programs that are compiled with copied kernels share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "simd/target.h"

namespace copy_test {

// The same numbers everywhere: the high half of a linear congruential generator.
class Numbers {
 public:
  uint32_t Next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 32);
  }
  // From -1 to 1.
  float NextFloat() { return static_cast<float>(Next() >> 8) * 0x1p-23f - 1.0f; }

 private:
  uint64_t state_ = 1;
};

// A digest of all results, which must not depend on compiler, flags or target (FNV-1a).
class Digest {
 public:
  template <class T>
  void Add(const std::vector<T>& values) {
    const unsigned char* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (size_t i = 0; i < values.size() * sizeof(T); ++i) {
      hash_ = (hash_ ^ bytes[i]) * 1099511628211u;
    }
  }
  void Print(const char* kernel) const {
    std::printf("%s %016llx\n", kernel, static_cast<unsigned long long>(hash_));
  }

 private:
  uint64_t hash_ = 14695981039346656037u;
};

// Runs check(), which returns false on a mismatch, on every target that the CPU has. Returns the
// exit code of the program.
template <class Check>
int OnEveryTarget(Check check) {
  for (int64_t bit = 1; bit > 0; bit <<= 1) {
    if ((eta::simd::SupportedTargets() & bit) == 0) continue;
    const char* name = eta::simd::TargetName(bit);
    if (!eta::simd::ForceTargetForTest(name) || !check()) {
      std::printf("mismatch on %s\n", name);
      return 1;
    }
  }
  return 0;
}

}  // namespace copy_test
