// SPDX-License-Identifier: Apache-2.0
// A check that all matrices of a bundle share.
#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>

#include "core/base/check.h"
#include "core/base/matrix.h"

namespace eta {

// Throws std::invalid_argument unless the matrix holds rows x cols values, all of them finite.
inline void RequireFinite(std::string_view name, const Matrix<float>& matrix) {
  Require(matrix.values.size() == matrix.rows * matrix.cols, name, " of ", matrix.rows, " x ",
          matrix.cols, " holds ", matrix.values.size(), " values");
  for (size_t i = 0; i < matrix.values.size(); ++i) {
    Require(std::isfinite(matrix.values[i]), name, "[", i / matrix.cols, ", ", i % matrix.cols,
            "] is ", matrix.values[i], " (expected a finite number)");
  }
}

}  // namespace eta
