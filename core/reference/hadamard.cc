// SPDX-License-Identifier: Apache-2.0
#include "core/reference/hadamard.h"

#include <algorithm>
#include <bit>

namespace eta::reference {
namespace {

constexpr size_t kRounds = 3;

void SumAndDifferenceOfPairs(std::span<float> values, size_t h) {
  for (size_t i = 0; i < values.size(); ++i) {
    if ((i & h) != 0) continue;
    const float a = values[i];
    const float b = values[i + h];
    values[i] = a + b;
    values[i + h] = a - b;
  }
}

}  // namespace

size_t HadamardSize(size_t dim) { return std::max(size_t{64}, std::bit_ceil(dim)); }

void WalshHadamard(std::span<float> values, bool downwards) {
  if (downwards) {
    for (size_t h = values.size() / 2; h >= 1; h /= 2) SumAndDifferenceOfPairs(values, h);
  } else {
    for (size_t h = 1; h < values.size(); h *= 2) SumAndDifferenceOfPairs(values, h);
  }
}

std::vector<float> HadamardProjections(std::span<const float> x, std::span<const uint8_t> sign_bits,
                                       size_t group) {
  std::vector<float> y(x.begin(), x.end());
  y.resize(HadamardSize(x.size()), 0.0f);
  for (size_t round = 0; round < kRounds; ++round) {
    const size_t first = (group * kRounds + round) * y.size();
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t sign = first + i;
      const bool minus = (sign_bits[sign / 8] >> (sign % 8) & 1) != 0;
      if (minus) y[i] = -y[i];
    }
    WalshHadamard(y, round % 2 == 1);
  }
  return y;
}

std::vector<uint8_t> HadamardRows(std::span<const float> rows, size_t dim,
                                  std::span<const uint8_t> sign_bits, size_t bits) {
  const size_t size = HadamardSize(dim);
  const size_t code_bytes = (bits + 7) / 8;
  std::vector<uint8_t> codes(rows.size() / dim * code_bytes, 0);
  for (size_t row = 0; row < rows.size() / dim; ++row) {
    uint8_t* code = codes.data() + row * code_bytes;
    for (size_t group = 0; group * size < bits; ++group) {
      const std::vector<float> y =
          HadamardProjections(rows.subspan(row * dim, dim), sign_bits, group);
      for (size_t j = group * size; j < std::min(bits, (group + 1) * size); ++j) {
        if (y[j % size] > 0.0f) code[j / 8] = static_cast<uint8_t>(code[j / 8] | 1u << j % 8);
      }
    }
  }
  return codes;
}

}  // namespace eta::reference
