// SPDX-License-Identifier: Apache-2.0
#include "core/base/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>

#include "core/base/check.h"

namespace eta {
namespace {

// Convergence is quadratic: 6 to 9 sweeps reach the precision of double.
constexpr int kMaxSweeps = 40;
constexpr double kPrecision = 0x1p-52;

// Rows p and q of a matrix turned by the angle whose cosine and sine are given.
void TurnRows(Matrix<double>& matrix, size_t p, size_t q, double cosine, double sine) {
  double* a = matrix.row(p);
  double* b = matrix.row(q);
  for (size_t i = 0; i < matrix.cols; ++i) {
    const double x = a[i], y = b[i];
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
}

void TurnColumns(Matrix<double>& matrix, size_t p, size_t q, double cosine, double sine) {
  for (size_t i = 0; i < matrix.rows; ++i) {
    double* row = matrix.row(i);
    const double x = row[p], y = row[q];
    row[p] = cosine * x - sine * y;
    row[q] = sine * x + cosine * y;
  }
}

// Turns rows and columns p and q so that element (p, q) becomes 0; says whether it was not yet.
bool Annihilate(Matrix<double>& a, size_t p, size_t q, Matrix<double>& vectors) {
  const double off = a.row(p)[q], pp = a.row(p)[p], qq = a.row(q)[q];
  if (!(std::abs(off) > kPrecision * std::sqrt(std::abs(pp) * std::abs(qq)))) {
    a.row(p)[q] = a.row(q)[p] = 0;
    return false;
  }
  const double theta = (qq - pp) / (2 * off);
  const double root = std::abs(theta) + std::sqrt(theta * theta + 1);
  const double tangent = (theta < 0 ? -1 : 1) / root;
  const double cosine = 1 / std::sqrt(tangent * tangent + 1), sine = tangent * cosine;
  TurnColumns(a, p, q, cosine, sine);
  TurnRows(a, p, q, cosine, sine);
  TurnRows(vectors, p, q, cosine, sine);
  return true;
}

}  // namespace

Eigen SymmetricEigen(Matrix<double> matrix) {
  Require(matrix.rows == matrix.cols, "eigenvectors of a matrix of ", matrix.rows, " x ",
          matrix.cols);
  const size_t n = matrix.rows;
  Matrix<double> vectors(n, n);  // as rows
  for (size_t i = 0; i < n; ++i) {
    vectors.row(i)[i] = 1;
    for (size_t j = 0; j < i; ++j) matrix.row(i)[j] = matrix.row(j)[i];
  }
  bool turned = true;
  for (int sweep = 0; turned && sweep < kMaxSweeps; ++sweep) {
    turned = false;
    for (size_t p = 0; p < n; ++p) {
      for (size_t q = p + 1; q < n; ++q) turned |= Annihilate(matrix, p, q, vectors);
    }
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return matrix.row(i)[i]; });
  Eigen eigen{std::vector<double>(n), Matrix<double>(n, n)};
  for (size_t j = 0; j < n; ++j) {
    eigen.values[j] = matrix.row(order[j])[order[j]];
    for (size_t i = 0; i < n; ++i) eigen.vectors.row(i)[j] = vectors.row(order[j])[i];
  }
  return eigen;
}

}  // namespace eta
