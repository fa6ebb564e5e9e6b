// SPDX-License-Identifier: Apache-2.0
// The random projections of SimHash: making, loading and applying them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/aligned.h"
#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/limits.h"

namespace eta {

// Where hyperplanes come from.
enum class HyperplaneKind {
  kGaussian,    // independent N(0, 1): the ETA paper's
  kSigns,       // independent +-1: exact sums on small integers
  kOrthogonal,  // Gaussian columns orthonormalised in groups of dim: better recall per bit
  kHadamard,    // random signs and Walsh-Hadamard transforms: orthogonal as well, and fast
  kItq,         // trained on the items (core/retrieval/itq.h), no kind of a Hyperplanes
  kLoaded,      // given from outside, such as a trained model's own
};

ETA_CORE_API const char* HyperplaneKindName(HyperplaneKind kind);  // "gaussian", "signs", ...
// The kind of that name. Throws std::invalid_argument for another name, and for "loaded".
ETA_CORE_API HyperplaneKind ParseHyperplaneKind(std::string_view name);

// The dim x bits projection matrix R of SimHash: bit j of a code is 1 iff (x R)_j > 0.
class ETA_CORE_API Hyperplanes {
 public:
  // Same arguments, same matrix, on every platform; for all but kOrthogonal the first columns of a
  // wider matrix are the narrower matrix. Throws std::invalid_argument unless dim lies in
  // [1, kMaxDim], bits in [1, kMaxBits] and kind is neither kItq nor kLoaded.
  static Hyperplanes Make(HyperplaneKind kind, size_t dim, size_t bits, uint64_t seed);
  // Throws std::invalid_argument for a bad shape or a value that is not finite.
  static Hyperplanes FromMatrix(Matrix<float> matrix);

  HyperplaneKind kind() const { return kind_; }           // as made
  size_t dim() const { return matrix_.rows; }             // of the embeddings
  size_t bits() const { return matrix_.cols; }            // of a code: the number of hyperplanes
  size_t code_bytes() const { return (bits() + 7) / 8; }  // ceil(bits / 8)
  // Of what encodes: the matrix in float32, for kHadamard its signs, a bit each.
  size_t bytes() const {
    return sign_bits_.empty() ? dim() * bits() * sizeof(float) : sign_bits_.size();
  }
  // For kHadamard the integers that the transforms amount to. Encode does not multiply by them: a
  // projection within rounding of 0 may get another sign than by the dense product (none of
  // 1,024,000 did in a measurement at dim 128). core/reference/hadamard.h gives the exact codes.
  const Matrix<float>& matrix() const { return matrix_; }
  // The packed signs of kHadamard, simd::HadamardSignCount(dim, bits) of them, as in
  // core/reference/hadamard.h; empty for other kinds.
  std::span<const uint8_t> hadamard_sign_bits() const { return sign_bits_; }

  // Codes of rows x dim embeddings, one after another, least significant bit first, tail bits 0.
  // Throws std::invalid_argument unless codes.size() == rows * code_bytes(). The same bits on every
  // target.
  void Encode(std::span<const float> embeddings, std::span<uint8_t> codes) const;

  // The projections themselves, by the dense product with matrix(), fused multiply-adds in the
  // order of rows: that of row r on hyperplane j at projections[r * projection_stride() + j]. The
  // first `bits` floats of a row are valid, the rest unspecified. Throws std::invalid_argument
  // unless projections.size() == rows * projection_stride(). The same bits on every target.
  void Project(std::span<const float> embeddings, std::span<float> projections) const;
  // Floats from one row of projections to the next: bits() rounded up to whole blocks of 64.
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
