// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/hyperplanes.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/random.h"
#include "simd/dot.h"
#include "simd/hadamard.h"
#include "simd/simhash.h"

namespace eta {
namespace {

void RequireShape(size_t dim, size_t bits) {
  Require(dim >= 1 && dim <= kMaxDim, "hyperplanes: dim = ", dim, " is not in [1, ", kMaxDim, "]");
  Require(bits >= 1 && bits <= kMaxBits, "hyperplanes: bits = ", bits, " is not in [1, ", kMaxBits,
          "]");
}

// One random stream per column, so that a wider matrix begins with the narrower one.
template <class Draw>
Matrix<float> DrawColumns(size_t dim, size_t bits, uint64_t seed, Draw draw) {
  Matrix<float> matrix(dim, bits);
  for (size_t b = 0; b < bits; ++b) {
    Random random(seed, b);
    for (size_t d = 0; d < dim; ++d) matrix.row(d)[b] = draw(random);
  }
  return matrix;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Removes from v its parts along the orthonormal `basis`. Twice is enough for full double
// precision, however near to dependent the vectors are.
void Orthogonalise(std::vector<double>& v, const std::vector<std::vector<double>>& basis) {
  for (int pass = 0; pass < 2; ++pass) {
    for (const auto& e : basis) {
      const double along = Dot(v, e);
      for (size_t i = 0; i < v.size(); ++i) v[i] -= along * e[i];
    }
  }
}

// Gram-Schmidt on the columns in groups of dim: within a group the planes are at right angles, so
// their errors in an angle cancel better than independent ones (super-bit LSH, Ji et al. 2012).
void OrthonormaliseColumns(Matrix<float>& matrix) {
  const size_t dim = matrix.rows;
  std::vector<std::vector<double>> basis;
  for (size_t b = 0; b < matrix.cols; ++b) {
    if (b % dim == 0) basis.clear();
    std::vector<double> v(dim);
    for (size_t d = 0; d < dim; ++d) v[d] = matrix.row(d)[b];
    Orthogonalise(v, basis);
    const double norm = std::sqrt(Dot(v, v));
    for (double& value : v) value /= norm;
    for (size_t d = 0; d < dim; ++d) matrix.row(d)[b] = static_cast<float>(v[d]);
    basis.push_back(std::move(v));
  }
}

// One random stream per group of columns, so that a wider matrix begins with the narrower one.
AlignedVector<uint8_t> DrawHadamardSigns(size_t dim, size_t bits, uint64_t seed) {
  const size_t group_bytes = simd::kHadamardRounds * simd::HadamardSize(dim) / 8;
  AlignedVector<uint8_t> sign_bits(simd::HadamardSignCount(dim, bits) / 8);
  for (size_t group = 0; group * group_bytes < sign_bits.size(); ++group) {
    Random random(seed, group);
    for (size_t i = 0; i < group_bytes; i += 4) {
      const uint32_t word = random.Next32();
      for (size_t k = 0; k < 4; ++k) {
        sign_bits[group * group_bytes + i + k] = static_cast<uint8_t>(word >> (8 * k));
      }
    }
  }
  return sign_bits;
}

// One round of the transforms of simd/hadamard.h on values that stay integers below 2^24 + 1, so
// that the order of the sums does not matter.
void HadamardRound(std::vector<float>& y, const uint32_t* signs) {
  for (size_t i = 0; i < y.size(); ++i) y[i] = signs[i] != 0 ? -y[i] : y[i];
  for (size_t h = 1; h < y.size(); h *= 2) {
    for (size_t first = 0; first < y.size(); first += 2 * h) {
      for (size_t i = first; i < first + h; ++i) {
        const float a = y[i];
        y[i] = a + y[i + h];
        y[i + h] = a - y[i + h];
      }
    }
  }
}

// Row d holds what the groups make of the unit vector d: sums of P^2 terms +-1 for transforms of
// size P <= 4096, exact in float.
Matrix<float> HadamardMatrix(size_t dim, size_t bits, const AlignedVector<uint32_t>& signs) {
  const size_t size = simd::HadamardSize(dim);
  Matrix<float> matrix(dim, bits);
  std::vector<float> y(size);
  for (size_t d = 0; d < dim; ++d) {
    for (size_t first = 0; first < bits; first += size) {
      std::fill(y.begin(), y.end(), 0.0f);
      y[d] = 1;
      for (size_t round = 0; round < simd::kHadamardRounds; ++round) {
        HadamardRound(y, signs.data() + simd::kHadamardRounds * first + round * size);
      }
      std::copy_n(y.begin(), std::min(size, bits - first), matrix.row(d) + first);
    }
  }
  return matrix;
}

AlignedVector<float> Pack(const Matrix<float>& matrix) {
  AlignedVector<float> packed(simd::PackedHyperplanesSize(matrix.rows, matrix.cols));
  simd::PackHyperplanes(simd::DenseRows(matrix.values.data(), matrix.rows, matrix.cols),
                        packed.data());
  return packed;
}

}  // namespace

const char* HyperplaneKindName(HyperplaneKind kind) {
  switch (kind) {
    case HyperplaneKind::kGaussian:
      return "gaussian";
    case HyperplaneKind::kSigns:
      return "signs";
    case HyperplaneKind::kOrthogonal:
      return "orthogonal";
    case HyperplaneKind::kHadamard:
      return "hadamard";
    case HyperplaneKind::kItq:
      return "itq";
    case HyperplaneKind::kLoaded:
      return "loaded";
  }
  return "unknown";
}

HyperplaneKind ParseHyperplaneKind(std::string_view name) {
  for (auto kind : {HyperplaneKind::kGaussian, HyperplaneKind::kSigns, HyperplaneKind::kOrthogonal,
                    HyperplaneKind::kHadamard, HyperplaneKind::kItq}) {
    if (name == HyperplaneKindName(kind)) return kind;
  }
  throw std::invalid_argument(
      Cat("hyperplanes '", name, "' are none of gaussian, signs, orthogonal, hadamard, itq"));
}

Hyperplanes Hyperplanes::Make(HyperplaneKind kind, size_t dim, size_t bits, uint64_t seed) {
  RequireShape(dim, bits);
  Require(kind != HyperplaneKind::kLoaded && kind != HyperplaneKind::kItq, "hyperplanes: kind '",
          HyperplaneKindName(kind), "' cannot be generated from a seed");
  if (kind == HyperplaneKind::kHadamard) {
    return Hyperplanes(dim, bits, DrawHadamardSigns(dim, bits, seed));
  }
  if (kind == HyperplaneKind::kSigns) {
    return Hyperplanes(kind, DrawColumns(dim, bits, seed, [](Random& random) {
                         return (random.Next32() & 1) != 0 ? 1.0f : -1.0f;
                       }));
  }
  Matrix<float> matrix = DrawColumns(
      dim, bits, seed, [](Random& random) { return static_cast<float>(random.Normal()); });
  if (kind == HyperplaneKind::kOrthogonal) OrthonormaliseColumns(matrix);
  return Hyperplanes(kind, std::move(matrix));
}

Hyperplanes Hyperplanes::FromMatrix(Matrix<float> matrix) {
  RequireShape(matrix.rows, matrix.cols);
  Require(matrix.values.size() == matrix.rows * matrix.cols, "hyperplanes: ", matrix.values.size(),
          " values for ", matrix.rows, " x ", matrix.cols);
  for (size_t i = 0; i < matrix.values.size(); ++i) {
    Require(std::isfinite(matrix.values[i]), "hyperplanes: the value at row ", i / matrix.cols,
            ", column ", i % matrix.cols, " is not finite");
  }
  return Hyperplanes(HyperplaneKind::kLoaded, std::move(matrix));
}

Hyperplanes::Hyperplanes(HyperplaneKind kind, Matrix<float> matrix)
    : kind_(kind), matrix_(std::move(matrix)), packed_(Pack(matrix_)) {}

Hyperplanes::Hyperplanes(size_t dim, size_t bits, AlignedVector<uint8_t> sign_bits)
    : kind_(HyperplaneKind::kHadamard),
      sign_bits_(std::move(sign_bits)),
      signs_(sign_bits_.size() * 8) {
  simd::PackHadamardSigns(sign_bits_.data(), signs_.size(), signs_.data());
  matrix_ = HadamardMatrix(dim, bits, signs_);
  packed_ = Pack(matrix_);
}

void Hyperplanes::Encode(std::span<const float> embeddings, std::span<uint8_t> codes) const {
  Require(embeddings.size() % dim() == 0, "encode: ", embeddings.size(),
          " values are not rows of dim = ", dim());
  const size_t rows = embeddings.size() / dim();
  Require(codes.size() == rows * code_bytes(), "encode: room for ", codes.size(), " bytes, ", rows,
          " codes need ", rows * code_bytes());
  const auto x = simd::DenseRows(embeddings.data(), rows, dim());
  if (kind_ == HyperplaneKind::kHadamard) {
    simd::HadamardEncode(x, {signs_.data(), bits()}, codes.data(), code_bytes());
    return;
  }
  simd::SimHashEncode(x, {packed_.data(), dim(), bits()}, codes.data(), code_bytes());
}

// Packed hyperplanes are float blocks (simd/dot.h) in which a hyperplane takes the place of a row.
void Hyperplanes::Project(std::span<const float> embeddings, std::span<float> projections) const {
  Require(embeddings.size() % dim() == 0, "project: ", embeddings.size(),
          " values are not rows of dim = ", dim());
  const size_t rows = embeddings.size() / dim();
  Require(projections.size() == rows * projection_stride(), "project: room for ",
          projections.size(), " values, ", rows, " rows need ", rows * projection_stride());
  simd::DotScores({packed_.data(), bits(), dim()}, {embeddings.data(), rows, dim()},
                  projections.data(), projection_stride());
}

}  // namespace eta
