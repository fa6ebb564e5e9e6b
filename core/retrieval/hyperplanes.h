// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/aligned.h"
#include "core/base/matrix.h"
#include "core/data/limits.h"

namespace eta {

enum class HyperplaneKind {
  kGaussian,    // independent N(0, 1): the ETA paper's
  kSigns,       // independent +-1: exact sums on small integers
  kOrthogonal,  // Gaussian columns orthonormalised in groups of dim: better recall per bit
  kHadamard,    // random signs and Walsh-Hadamard transforms: orthogonal as well, and fast
  kLoaded,      // given from outside, such as a trained model's own
};

const char* HyperplaneKindName(HyperplaneKind kind);  // "gaussian", "signs", ...
// Throws std::invalid_argument for a name that is none of them, or "loaded".
HyperplaneKind ParseHyperplaneKind(std::string_view name);

// The dim x bits projection matrix R of SimHash.
class Hyperplanes {
 public:
  // Same arguments, same matrix, on every platform; for all but kOrthogonal the first columns of a
  // wider matrix are the narrower matrix. Throws std::invalid_argument unless dim lies in
  // [1, kMaxDim], bits in [1, kMaxBits] and kind is not kLoaded.
  static Hyperplanes Make(HyperplaneKind kind, size_t dim, size_t bits, uint64_t seed);
  // Throws std::invalid_argument for a bad shape or a value that is not finite.
  static Hyperplanes FromMatrix(Matrix<float> matrix);

  HyperplaneKind kind() const { return kind_; }
  size_t dim() const { return matrix_.rows; }
  size_t bits() const { return matrix_.cols; }
  size_t code_bytes() const { return (bits() + 7) / 8; }
  // For kHadamard the integers that the transforms amount to. Encode does not multiply by them: a
  // projection within rounding of 0 may get another sign than by the dense product (none of
  // 1,024,000 did in a measurement at dim 128). core/reference/hadamard.h gives the exact codes.
  const Matrix<float>& matrix() const { return matrix_; }
  // The packed signs of kHadamard, simd::HadamardSignCount(dim, bits) of them, as in
  // core/reference/hadamard.h; empty for other kinds.
  std::span<const uint8_t> hadamard_sign_bits() const { return sign_bits_; }

  // Codes of rows x dim embeddings, densely packed: codes.size() == rows * code_bytes().
  // Throws std::invalid_argument when a size does not fit.
  void Encode(std::span<const float> embeddings, std::span<uint8_t> codes) const;

  // The projections themselves, by the dense product with matrix(), fused multiply-adds in the
  // order of rows: that of row r on hyperplane j at projections[r * projection_stride() + j]. What
  // a row holds past its first `bits` means nothing. Throws std::invalid_argument when a size does
  // not fit: projections.size() == rows * projection_stride().
  void Project(std::span<const float> embeddings, std::span<float> projections) const;
  size_t projection_stride() const { return (bits() + 63) / 64 * 64; }

 private:
  Hyperplanes(HyperplaneKind kind, Matrix<float> matrix);
  Hyperplanes(size_t dim, size_t bits, AlignedVector<uint8_t> sign_bits);  // kHadamard

  HyperplaneKind kind_;
  Matrix<float> matrix_;
  AlignedVector<float> packed_;  // matrix_ in panels of 64 columns
  AlignedVector<uint8_t> sign_bits_;
  AlignedVector<uint32_t> signs_;
};

}  // namespace eta
