// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/itq.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/random.h"
#include "simd/dot.h"
#include "simd/factors.h"

namespace eta {
namespace {

constexpr size_t kSampleItems = 10000;
constexpr float kLongest = 4;   // in median lengths
constexpr int kRotations = 30;  // recall is within 0.005 from 10 on
constexpr int kSubspaceSteps = 30;
constexpr int kPolarSteps = 60;  // singular values grow by 1.5 a step: 1e-10 would get to 1
constexpr float kPolarTolerance = 1e-6f;

Matrix<float> Transposed(const Matrix<float>& a) {
  Matrix<float> t(a.cols, a.rows);
  for (size_t r = 0; r < a.rows; ++r) {
    for (size_t c = 0; c < a.cols; ++c) t.row(c)[r] = a.row(r)[c];
  }
  return t;
}

// a times the transpose of b: inner products of rows, summed in one order on every target.
Matrix<float> TimesTransposed(const Matrix<float>& a, const Matrix<float>& b) {
  AlignedVector<float> blocks(simd::FloatBlocksSize(b.rows, b.cols));
  simd::PackFloatBlocks(b.view(), blocks.data());
  const size_t stride = simd::PaddedRows(b.rows);
  AlignedVector<float> products(a.rows * stride);
  simd::DotScores({blocks.data(), b.rows, b.cols}, {a.values.data(), a.rows, a.cols},
                  products.data(), stride);
  Matrix<float> out(a.rows, b.rows);
  for (size_t r = 0; r < a.rows; ++r) std::copy_n(&products[r * stride], b.rows, out.row(r));
  return out;
}

// The matrix with orthonormal columns nearest to x, which has as many rows or more: the polar
// factor, by the iteration of Newton and Schulz, x <- x (3 - x'x) / 2. 0 stays 0.
Matrix<float> Polar(Matrix<float> x) {
  double square = 0;
  for (const float value : x.values) square += static_cast<double>(value) * value;
  if (square == 0) return x;
  const auto scale = static_cast<float>(1 / std::sqrt(square));
  for (float& value : x.values) value *= scale;
  for (int step = 0; step < kPolarSteps; ++step) {
    const Matrix<float> t = Transposed(x);
    const Matrix<float> product = TimesTransposed(x, TimesTransposed(t, t));
    float change = 0;
    for (size_t i = 0; i < x.values.size(); ++i) {
      const float next = 1.5f * x.values[i] - 0.5f * product.values[i];
      change = std::max(change, std::abs(next - x.values[i]));
      x.values[i] = next;
    }
    if (change < kPolarTolerance) break;
  }
  return x;
}

// The sample, of which no row is much longer than the others: one of enormous length would be all
// that counts.
Matrix<float> TakeSample(const ItemTable& items, uint64_t seed) {
  const size_t dim = items.dim();
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), 0);
  Random random(seed);
  std::vector<size_t> chosen;
  std::vector<float> lengths;
  for (size_t left = order.size(); left > 0 && chosen.size() < kSampleItems; --left) {
    std::swap(order[random.Below(static_cast<uint32_t>(left))], order[left - 1]);
    const float length = simd::NormFactor(items.embeddings.row(order[left - 1]), dim);
    if (!(length > 0) || !std::isfinite(length)) continue;
    chosen.push_back(order[left - 1]);
    lengths.push_back(length);
  }
  Matrix<float> sample(chosen.size(), dim);
  if (chosen.empty()) return sample;
  std::vector<float> sorted = lengths;
  const auto middle = sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  for (size_t i = 0; i < chosen.size(); ++i) {
    // In median lengths, so that no sum overflows.
    const double scale =
        std::min<double>(1.0 / *middle, static_cast<double>(kLongest) / lengths[i]);
    const float* row = items.embeddings.row(chosen[i]);
    for (size_t d = 0; d < dim; ++d) sample.row(i)[d] = static_cast<float>(row[d] * scale);
  }
  return sample;
}

// dim x bits: directions in which the sample, given by its columns, varies most.
Matrix<float> PrincipalDirections(const Matrix<float>& columns, size_t bits, uint64_t seed) {
  const size_t dim = columns.rows;
  const Matrix<float> moments = TimesTransposed(columns, columns);
  Matrix<float> basis = Hyperplanes::Make(HyperplaneKind::kOrthogonal, dim, bits, seed).matrix();
  for (int step = 0; step < kSubspaceSteps; ++step) {
    basis = Polar(TimesTransposed(moments, Transposed(basis)));
  }
  return basis;
}

// bits x rows: +1 where a row of the sample has a 1 in its code, else -1.
Matrix<float> SignsOf(const Matrix<float>& sample, const Matrix<float>& planes) {
  const Hyperplanes hyperplanes = Hyperplanes::FromMatrix(planes);
  const size_t code_bytes = hyperplanes.code_bytes();
  AlignedVector<uint8_t> codes(sample.rows * code_bytes);
  hyperplanes.Encode(sample.values, codes);
  Matrix<float> signs(planes.cols, sample.rows);
  for (size_t j = 0; j < planes.cols; ++j) {
    for (size_t i = 0; i < sample.rows; ++i) {
      signs.row(j)[i] = (codes[i * code_bytes + j / 8] >> (j % 8) & 1) != 0 ? 1.0f : -1.0f;
    }
  }
  return signs;
}

// The dim x bits hyperplanes of a group, bits <= dim.
Matrix<float> TrainGroup(const Matrix<float>& sample, const Matrix<float>& columns, size_t bits,
                         uint64_t seed) {
  const bool is_whole = bits == sample.cols;
  Matrix<float> basis, to_basis;  // dim x bits and its transpose
  if (!is_whole) {
    basis = PrincipalDirections(columns, bits, seed);
    to_basis = Transposed(basis);
  }
  Matrix<float> rotation =
      Hyperplanes::Make(HyperplaneKind::kOrthogonal, bits, bits, seed).matrix();
  const auto planes = [&] {
    return is_whole ? rotation : TimesTransposed(basis, Transposed(rotation));
  };
  for (int i = 0; i < kRotations; ++i) {
    const Matrix<float> sums = TimesTransposed(SignsOf(sample, planes()), columns);  // bits x dim
    rotation = Polar(is_whole ? Transposed(sums) : TimesTransposed(to_basis, sums));
  }
  return planes();
}

}  // namespace

Hyperplanes TrainItq(const ItemTable& items, size_t bits, uint64_t seed) {
  ValidateItemTable(items);
  Require(bits >= 1 && bits <= kMaxBits, "itq: bits = ", bits, " is not in [1, ", kMaxBits, "]");
  const Matrix<float> sample = TakeSample(items, seed);
  if (sample.rows == 0) {
    return Hyperplanes::Make(HyperplaneKind::kOrthogonal, items.dim(), bits, seed);
  }
  const Matrix<float> columns = Transposed(sample);
  Matrix<float> planes(items.dim(), bits);
  for (size_t first = 0; first < bits; first += items.dim()) {
    const size_t count = std::min(items.dim(), bits - first);
    const Matrix<float> group = TrainGroup(sample, columns, count, seed + first);
    for (size_t d = 0; d < items.dim(); ++d)
      std::copy_n(group.row(d), count, planes.row(d) + first);
  }
  return Hyperplanes::FromMatrix(std::move(planes));
}

}  // namespace eta
