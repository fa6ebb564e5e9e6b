// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/aligned.h"
#include "core/matrix.h"

namespace eta {

inline constexpr size_t kMaxBits = 4096;
inline constexpr size_t kMaxDim = 4096;

enum class HyperplaneKind {
  kGaussian,    // independent N(0, 1): the ETA paper's
  kSigns,       // independent +-1: exact sums on small integers
  kOrthogonal,  // Gaussian columns orthonormalised in groups of dim: better recall per bit
  kLoaded,      // given from outside, such as a trained model's own
};

const char* HyperplaneKindName(HyperplaneKind kind);  // "gaussian", "signs", ...
// Throws std::invalid_argument for a name that is none of them, or "loaded".
HyperplaneKind ParseHyperplaneKind(std::string_view name);

// The dim x bits projection matrix R of SimHash.
class Hyperplanes {
 public:
  // Same arguments, same matrix, on every platform; for kGaussian and kSigns the first columns of a
  // wider matrix are the narrower matrix. Throws std::invalid_argument unless dim lies in
  // [1, kMaxDim], bits in [1, kMaxBits] and kind is not kLoaded.
  static Hyperplanes Make(HyperplaneKind kind, size_t dim, size_t bits, uint64_t seed);
  // Throws std::invalid_argument for a bad shape or a value that is not finite.
  static Hyperplanes FromMatrix(Matrix<float> matrix);

  HyperplaneKind kind() const { return kind_; }
  size_t dim() const { return matrix_.rows; }
  size_t bits() const { return matrix_.cols; }
  size_t code_bytes() const { return (bits() + 7) / 8; }
  const Matrix<float>& matrix() const { return matrix_; }

  // Codes of rows x dim embeddings, densely packed: codes.size() == rows * code_bytes().
  // Throws std::invalid_argument when a size does not fit.
  void Encode(std::span<const float> embeddings, std::span<uint8_t> codes) const;

 private:
  Hyperplanes(HyperplaneKind kind, Matrix<float> matrix);

  HyperplaneKind kind_;
  Matrix<float> matrix_;
  AlignedVector<float> packed_;
};

}  // namespace eta
