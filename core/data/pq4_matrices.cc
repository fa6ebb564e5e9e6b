// SPDX-License-Identifier: Apache-2.0
#include "core/data/pq4_matrices.h"

#include <cmath>
#include <vector>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/data/internal/matrix_checks.h"
#include "core/data/limits.h"
#include "simd/pq4_encode.h"

namespace eta {
namespace {

void ValidateCodebooks(size_t dim, const Matrix<float>& codebooks) {
  constexpr size_t kRows = 2 * simd::kPq4Centroids;  // two subspaces share a byte of a code
  Require(codebooks.rows > 0 && codebooks.rows % kRows == 0, "pq_codebooks has ", codebooks.rows,
          " rows (expected a multiple of ", kRows, ": 16 for each of an even number of subspaces)");
  const size_t subspaces = codebooks.rows / simd::kPq4Centroids;
  ValidatePq4Shape(dim, subspaces * 4);
  const size_t width = (dim + subspaces - 1) / subspaces;
  Require(codebooks.cols == width, "pq_codebooks has ", codebooks.cols, " columns (expected ",
          width, ", for ", dim, " dimensions in ", subspaces, " subspaces)");
  RequireFinite("pq_codebooks", codebooks);
  for (size_t r = 0; r < codebooks.rows; ++r) {
    const size_t s = r / simd::kPq4Centroids;
    const size_t dims =
        simd::Pq4FirstDim(dim, subspaces, s + 1) - simd::Pq4FirstDim(dim, subspaces, s);
    for (size_t d = dims; d < width; ++d) {
      Require(codebooks.row(r)[d] == 0, "pq_codebooks[", r, ", ", d, "] is ", codebooks.row(r)[d],
              " (expected 0, because subspace ", s, " has ", dims, " dimensions)");
    }
  }
}

// Whether R keeps lengths and angles, by a test that takes dim^2 steps: R R^T v = v for random v,
// which another matrix passes with probability 0. kTolerance is far above the rounding of a float
// matrix and far below what changes an order of inner products.
void ValidateRotation(size_t dim, const Matrix<float>& rotation) {
  Require(rotation.rows == dim && rotation.cols == dim, "pq_rotation is ", rotation.rows, " x ",
          rotation.cols, " (expected ", dim, " x ", dim, ")");
  RequireFinite("pq_rotation", rotation);
  constexpr double kTolerance = 1e-3;
  Random random(1);
  std::vector<double> v(dim), turned(dim, 0.0), back(dim, 0.0);
  double length = 0, error = 0;
  for (double& value : v) value = random.Normal();
  for (size_t i = 0; i < dim; ++i) {
    for (size_t j = 0; j < dim; ++j) turned[j] += v[i] * static_cast<double>(rotation.row(i)[j]);
  }
  for (size_t i = 0; i < dim; ++i) {
    for (size_t j = 0; j < dim; ++j) back[i] += static_cast<double>(rotation.row(i)[j]) * turned[j];
    length += v[i] * v[i];
    error += (back[i] - v[i]) * (back[i] - v[i]);
  }
  Require(error <= kTolerance * kTolerance * length,
          "pq_rotation is no orthogonal matrix (R R^T v differs from v by ",
          std::sqrt(error / length), " of its length)");
}

}  // namespace

void ValidatePq4Shape(size_t dim, size_t bits) {
  Require(bits >= 8 && bits <= kMaxBits && bits % 8 == 0, "pq4: bits = ", bits,
          " is not a multiple of 8 in [8, ", kMaxBits, "]");
  Require(dim >= 1 && dim <= kMaxDim, "pq4: dim = ", dim, " is not in [1, ", kMaxDim, "]");
  Require(bits / 4 <= dim, "pq4: ", bits, " bits are ", bits / 4, " subspaces of ", dim,
          " dimensions; there must be at least one for each");
}

void ValidatePq4Matrices(size_t dim, const Matrix<float>& codebooks,
                         const Matrix<float>* rotation) {
  ValidateCodebooks(dim, codebooks);
  if (rotation != nullptr) ValidateRotation(dim, *rotation);
}

}  // namespace eta
