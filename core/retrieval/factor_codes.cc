// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/factor_codes.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/check.h"
#include "simd/factors.h"

namespace eta {
namespace {

// How many of 255 units the median factor has: it is known to 1.6 %, and lengths are told apart up
// to 8 medians.
constexpr float kUnitsOfMedian = 255.0f / 8;

// Rows encoded at a time, whose projections, of 64 bits, take 16 KiB of the L1 cache.
constexpr size_t kRowsPerTask = 64;

// The factors of rows of embeddings.
void ComputeFactors(const Hyperplanes& planes, FactorKind kind, std::span<const float> embeddings,
                    float* factors) {
  const size_t dim = planes.dim(), stride = planes.projection_stride();
  const size_t rows = embeddings.size() / dim;
  AlignedVector<float> projections;
  if (kind == FactorKind::kAsym) {
    projections.resize(rows * stride);
    planes.Project(embeddings, projections);
  }
  for (size_t r = 0; r < rows; ++r) {
    const float* row = embeddings.data() + r * dim;
    factors[r] = kind == FactorKind::kAsym
                     ? simd::AsymFactor(row, dim, projections.data() + r * stride, planes.bits())
                     : simd::NormFactor(row, dim);
  }
}

// Writes the codes of rows of embeddings; the bytes of their factors are left alone.
void EncodeCodes(const Hyperplanes& planes, std::span<const float> embeddings, uint8_t* codes) {
  const size_t rows = embeddings.size() / planes.dim(), code_bytes = planes.code_bytes();
  AlignedVector<uint8_t> dense(rows * code_bytes);
  planes.Encode(embeddings, dense);
  for (size_t r = 0; r < rows; ++r) {
    std::copy_n(dense.data() + r * code_bytes, code_bytes,
                codes + r * simd::FactorCodeBytes(planes.bits()));
  }
}

float UnitOf(const std::vector<float>& factors) {
  std::vector<float> positive;
  for (const float factor : factors) {
    if (factor > 0 && std::isfinite(factor)) positive.push_back(factor);
  }
  if (positive.empty()) return 1;
  const auto middle = positive.begin() + static_cast<ptrdiff_t>(positive.size() / 2);
  std::nth_element(positive.begin(), middle, positive.end());
  const float unit = *middle / kUnitsOfMedian;
  return unit > 0 ? unit : 1;
}

}  // namespace

FactorCodes MakeFactorCodes(const ItemTable& items, const Hyperplanes& hyperplanes, FactorKind kind,
                            int threads) {
  ValidateItemTable(items);
  Require(items.dim() == hyperplanes.dim(), "codes with factors: items have dim = ", items.dim(),
          ", hyperplanes ", hyperplanes.dim());
  Require(threads >= 1, "codes with factors: threads = ", threads, " is not positive");
  FactorCodes codes{Matrix<uint8_t>(items.size(), simd::FactorCodeBytes(hyperplanes.bits())),
                    hyperplanes.bits(), 1};
  std::vector<float> factors(items.size());
  const auto tasks = static_cast<int64_t>((items.size() + kRowsPerTask - 1) / kRowsPerTask);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t task = 0; task < tasks; ++task) {
    const size_t first = static_cast<size_t>(task) * kRowsPerTask;
    const size_t rows = std::min(kRowsPerTask, items.size() - first);
    const std::span embeddings(items.embeddings.row(first), rows * items.dim());
    EncodeCodes(hyperplanes, embeddings, codes.rows.row(first));
    ComputeFactors(hyperplanes, kind, embeddings, factors.data() + first);
  }
  codes.unit = UnitOf(factors);
  for (size_t i = 0; i < items.size(); ++i) {
    codes.rows.row(i)[codes.rows.cols - 1] = simd::QuantizeFactor(factors[i], codes.unit);
  }
  return codes;
}

void EncodeWithFactors(const Hyperplanes& hyperplanes, FactorKind kind, float unit,
                       std::span<const float> embeddings, std::span<uint8_t> codes) {
  const size_t dim = hyperplanes.dim(), row_bytes = simd::FactorCodeBytes(hyperplanes.bits());
  Require(unit > 0, "codes with factors: the unit ", unit, " is not positive");
  Require(embeddings.size() % dim == 0, "codes with factors: ", embeddings.size(),
          " values are not rows of dim = ", dim);
  const size_t rows = embeddings.size() / dim;
  Require(codes.size() == rows * row_bytes, "codes with factors: room for ", codes.size(),
          " bytes, ", rows, " rows need ", rows * row_bytes);
  std::vector<float> factors(rows);
  EncodeCodes(hyperplanes, embeddings, codes.data());
  ComputeFactors(hyperplanes, kind, embeddings, factors.data());
  for (size_t r = 0; r < rows; ++r) {
    codes[(r + 1) * row_bytes - 1] = simd::QuantizeFactor(factors[r], unit);
  }
}

}  // namespace eta
