// SPDX-License-Identifier: Apache-2.0
// Eigenvectors with the same bits on every platform; a LAPACK's differ in the last place.
#pragma once

#include <vector>

#include "core/base/export.h"
#include "core/base/matrix.h"

namespace eta {

// What SymmetricEigen returns, n values and an n x n matrix.
struct ETA_CORE_API Eigen {
  std::vector<double> values;  // largest first
  Matrix<double> vectors;      // column j belongs to value j; orthonormal
};

// The eigenvalues and eigenvectors of a symmetric matrix, by Jacobi's rotations (cyclic by rows:
// Golub and Van Loan, "Matrix computations", section 8.5), with + - * / and sqrt alone, in one
// fixed order. Of equal eigenvalues that of the earlier row comes first. Takes about 60 n^3
// operations. The matrix is square, finite and symmetric; what lies below the diagonal is not read.
ETA_CORE_API Eigen SymmetricEigen(Matrix<double> matrix);

}  // namespace eta
