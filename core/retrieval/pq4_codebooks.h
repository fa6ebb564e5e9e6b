// SPDX-License-Identifier: Apache-2.0
// Codebooks of the product quantiser with 16 centroids a subspace: training, loading, encoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/base/aligned.h"
#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "simd/pq4_encode.h"

namespace eta {

// What is done to an embedding before it is cut into subspaces.
enum class Pq4Rotation {
  kBest,  // kPca where that has the smaller error of inner products on the sample, else kNone
  kNone,  // nothing
  kPca,   // principal components, dealt out so that all subspaces have about the same product of
          // variances (Ge, He, Ke and Sun, "Optimized product quantization", 2013, section 3.2)
};

// How codebooks are made.
struct ETA_CORE_API Pq4Options {
  uint64_t seed = 1;
  Pq4Rotation rotation = Pq4Rotation::kBest;
  size_t sample = 20000;  // items that codebooks are made from, at least 1
};

// 16 centroids for each of bits / 4 subspaces (Jegou, Douze and Schmid 2011), and perhaps a
// rotation that comes first. Dimension dim * s / subspaces, rounded down, is the first of subspace
// s: where dim is no multiple of their number, some subspaces have one dimension more than others.
class ETA_CORE_API Pq4Codebooks {
 public:
  static constexpr size_t kMaxRotationDim = 256;  // dimensions; more are not rotated

  // Codebooks for the items: k-means on a sample of them, spread over the whole table, in which
  // items with values that are not finite do not count. The same on every platform and SIMD target.
  // With more than kMaxRotationDim dimensions, kBest is kNone. Throws
  // std::invalid_argument unless bits is a multiple of 8 in [8, kMaxBits], dim in [bits / 4,
  // kMaxDim], and, for kPca, dim <= kMaxRotationDim; also when the item table is malformed.
  static Pq4Codebooks Train(const ItemTable& items, size_t bits, const Pq4Options& options = {});

  // Codebooks made elsewhere, in the matrices of a bundle (ValidatePq4Matrices says which are
  // sound). Throws std::invalid_argument where they are not.
  static Pq4Codebooks FromMatrices(size_t dim, Matrix<float> centroids,
                                   std::optional<Matrix<float>> rotation);

  // Dimensions of an embedding.
  size_t dim() const { return dim_; }
  // Subspaces, each with 16 centroids; an even number.
  size_t subspaces() const { return centroids_.rows / simd::kPq4Centroids; }
  // Bits of a code, 4 for each subspace.
  size_t bits() const { return subspaces() * 4; }
  // Bytes of a code.
  size_t code_bytes() const { return subspaces() / 2; }
  // Bytes of the centroids and of the rotation, in float32.
  size_t bytes() const {
    return (centroids_.values.size() + (rotation_ ? dim_ * dim_ : 0)) * sizeof(float);
  }
  const Matrix<float>& centroids() const { return centroids_; }  // as FromMatrices takes them
  // dim x dim; none where embeddings are not rotated.
  std::optional<Matrix<float>> rotation() const;

  // Codes of rows x dim embeddings (simd::Pq4Encode), one after another. Throws
  // std::invalid_argument unless codes.size() == rows * code_bytes(). The same bits on every
  // target.
  void Encode(std::span<const float> embeddings, std::span<uint8_t> codes) const;

  // Tables of rows x dim queries (simd::Pq4Tables), one after another. Throws std::invalid_argument
  // unless tables.size() == rows * table_bytes(). The same bits on every target.
  void MakeTables(std::span<const float> queries, std::span<uint8_t> tables) const;
  size_t table_bytes() const { return subspaces() * simd::kPq4Centroids; }  // of one query

 private:
  Pq4Codebooks(size_t dim, Matrix<float> centroids, std::optional<Hyperplanes> rotation);

  simd::PackedPq4Codebooks packed() const { return {packed_.data(), dim_, subspaces()}; }
  template <class Visit>
  void ForRotated(std::span<const float> rows, Visit visit) const;

  size_t dim_;
  Matrix<float> centroids_;
  AlignedVector<float> packed_;
  std::optional<Hyperplanes> rotation_;  // its projections are the rotated embeddings
};

}  // namespace eta
