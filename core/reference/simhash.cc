// SPDX-License-Identifier: Apache-2.0
#include "core/reference/simhash.h"

#include <cmath>

namespace eta::reference {

size_t CodeBytes(size_t bits) { return (bits + 7) / 8; }

float Projection(std::span<const float> x, std::span<const float> planes, size_t bits, size_t j) {
  float sum = 0.0f;
  for (size_t d = 0; d < x.size(); ++d) sum = std::fma(x[d], planes[d * bits + j], sum);
  return sum;
}

std::vector<uint8_t> SimHash(std::span<const float> x, std::span<const float> planes, size_t bits) {
  std::vector<uint8_t> code(CodeBytes(bits), 0);
  for (size_t j = 0; j < bits; ++j) {
    if (Projection(x, planes, bits, j) > 0.0f) {
      code[j / 8] = static_cast<uint8_t>(code[j / 8] | (1u << (j % 8)));
    }
  }
  return code;
}

std::vector<uint8_t> SimHashRows(std::span<const float> rows, size_t dim,
                                 std::span<const float> planes, size_t bits) {
  std::vector<uint8_t> codes;
  for (size_t begin = 0; begin < rows.size(); begin += dim) {
    const std::vector<uint8_t> code = SimHash(rows.subspan(begin, dim), planes, bits);
    codes.insert(codes.end(), code.begin(), code.end());
  }
  return codes;
}

}  // namespace eta::reference
