// SPDX-License-Identifier: Apache-2.0
#include "core/reference/factors.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/reference/asym.h"
#include "core/reference/hamming.h"

namespace eta::reference {
namespace {

double SquaredLength(std::span<const float> row) {
  double sum = 0;
  for (const float x : row) sum += double{x} * double{x};
  return sum;
}

struct CodesAndFactors {
  std::vector<uint8_t> codes;  // one after another
  std::vector<uint8_t> factors;
};

CodesAndFactors Split(std::span<const uint8_t> rows, size_t bits) {
  const size_t code_bytes = (bits + 7) / 8;
  CodesAndFactors split;
  for (size_t i = 0; i < rows.size(); i += code_bytes + 1) {
    const auto code = rows.subspan(i, code_bytes);
    split.codes.insert(split.codes.end(), code.begin(), code.end());
    split.factors.push_back(rows[i + code_bytes]);
  }
  return split;
}

// x / 2^bits, rounded down.
int64_t FloorShift(int64_t x, int bits) {
  const int64_t step = int64_t{1} << bits;
  return x >= 0 ? x / step : -((-x + step - 1) / step);
}

}  // namespace

float NormFactor(std::span<const float> row) {
  return static_cast<float>(std::sqrt(SquaredLength(row)));
}

float AsymFactor(std::span<const float> row, std::span<const float> projections) {
  double sum = 0;
  for (const float p : projections) sum += std::abs(double{p});
  if (!(sum > 0)) return 0;
  return static_cast<float>(SquaredLength(row) / sum);
}

uint8_t QuantizeFactor(float factor, float unit) {
  const double units = double{factor} / double{unit};
  if (std::isnan(units) || units <= 0) return 0;
  return static_cast<uint8_t>(std::min(std::floor(units + 0.5), 255.0));
}

std::vector<uint32_t> FactorDistances(std::span<const uint32_t> penalties,
                                      std::span<const uint8_t> factors, size_t largest,
                                      bool bytes) {
  // Penalties are doubled while they fit a byte, or else cut to one.
  int64_t most = static_cast<int64_t>(largest), doublings = 1, share = 0;
  if (most <= 254) {
    while (most > 0 && most * 2 <= 254) {
      most *= 2;
      doublings *= 2;
    }
  } else if (bytes) {
    most = 256;
  } else {
    share = 254 * 65536 / most;
    most = 254;
  }
  const int64_t longest = factors.empty() ? 0 : *std::ranges::max_element(factors);
  const int64_t largest_product = (longest * ((most + 1) / 2) + 1) / 2;
  const int64_t gain =
      std::min<int64_t>((127 * 65536 - 1) / std::max<int64_t>(largest_product, 1), 32767);
  std::vector<uint32_t> distances;
  for (size_t i = 0; i < penalties.size(); ++i) {
    const int64_t penalty = bytes ? std::min<int64_t>(penalties[i], 255) : penalties[i];
    const int64_t byte = share != 0 ? penalty * share / 65536 : penalty * doublings;
    const int64_t half_product = FloorShift(factors[i] * (byte - most / 2), 1);
    distances.push_back(static_cast<uint32_t>(128 + FloorShift(half_product * gain, 16)));
  }
  return distances;
}

std::vector<uint32_t> NormDistances(std::span<const uint8_t> rows, size_t bits,
                                    std::span<const uint8_t> query) {
  const CodesAndFactors split = Split(rows, bits);
  return FactorDistances(HammingDistances(split.codes, query), split.factors, bits, bits <= 256);
}

std::vector<uint32_t> AsymFactorDistances(std::span<const uint8_t> rows, size_t bits,
                                          std::span<const int8_t> weights) {
  const CodesAndFactors split = Split(rows, bits);
  size_t largest = 0;
  for (const int8_t weight : weights) largest += static_cast<size_t>(std::abs(weight));
  return FactorDistances(AsymPenalties(split.codes, weights), split.factors, largest, bits <= 128);
}

}  // namespace eta::reference
