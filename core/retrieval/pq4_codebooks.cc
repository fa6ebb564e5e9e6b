// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/pq4_codebooks.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/data/pq4_matrices.h"
#include "core/retrieval/internal/pq4_training.h"

namespace eta {
namespace {

// Rows that are rotated at a time: at dim 64 they take 16 KiB of L1.
constexpr size_t kRotatedRows = 64;

}  // namespace

Pq4Codebooks::Pq4Codebooks(size_t dim, Matrix<float> centroids, std::optional<Hyperplanes> rotation)
    : dim_(dim),
      centroids_(std::move(centroids)),
      packed_(simd::PackedPq4CodebooksSize(dim, subspaces())),
      rotation_(std::move(rotation)) {
  simd::PackPq4Codebooks(centroids_.view(), dim_, subspaces(), packed_.data());
}

Pq4Codebooks Pq4Codebooks::Train(const ItemTable& items, size_t bits, const Pq4Options& options) {
  ValidateItemTable(items);
  ValidatePq4Shape(items.dim(), bits);
  Require(options.sample >= 1, "pq4: a sample of no items");
  Require(options.rotation != Pq4Rotation::kPca || items.dim() <= kMaxRotationDim,
          "pq4: ", items.dim(), " dimensions are not rotated, at most ", kMaxRotationDim, " are");
  const Matrix<float> sample = SamplePq4Rows(items, options.sample, options.seed);
  const size_t subspaces = bits / 4;
  const auto train = [&](std::optional<Hyperplanes> rotation) {
    const Matrix<float> rows = rotation ? RotateRows(sample, *rotation) : sample;
    return Pq4Codebooks(items.dim(), Pq4KMeans(rows, subspaces, options.seed), std::move(rotation));
  };
  if (options.rotation == Pq4Rotation::kNone || items.dim() > kMaxRotationDim || sample.rows == 0) {
    return train(std::nullopt);
  }
  const Matrix<double> moment = SecondMoment(sample);
  Pq4Codebooks turned = train(Hyperplanes::FromMatrix(BalancedRotation(sample, moment, subspaces)));
  if (options.rotation == Pq4Rotation::kPca) return turned;
  Pq4Codebooks plain = train(std::nullopt);
  return InnerProductError(sample, moment, turned) < InnerProductError(sample, moment, plain)
             ? std::move(turned)
             : std::move(plain);
}

Pq4Codebooks Pq4Codebooks::FromMatrices(size_t dim, Matrix<float> centroids,
                                        std::optional<Matrix<float>> rotation) {
  ValidatePq4Matrices(dim, centroids, rotation ? &*rotation : nullptr);
  std::optional<Hyperplanes> planes;
  if (rotation) planes = Hyperplanes::FromMatrix(std::move(*rotation));
  return Pq4Codebooks(dim, std::move(centroids), std::move(planes));
}

std::optional<Matrix<float>> Pq4Codebooks::rotation() const {
  if (!rotation_) return std::nullopt;
  return rotation_->matrix();
}

// Calls visit(first row, rows as a kernel takes them) on pieces of the rows, rotated where they
// are.
template <class Visit>
void Pq4Codebooks::ForRotated(std::span<const float> rows, Visit visit) const {
  const size_t count = rows.size() / dim_;
  if (!rotation_) {
    visit(size_t{0}, simd::DenseRows(rows.data(), count, dim_));
    return;
  }
  const size_t stride = rotation_->projection_stride();
  AlignedVector<float> rotated(std::min(count, kRotatedRows) * stride);
  for (size_t first = 0; first < count; first += kRotatedRows) {
    const size_t take = std::min(kRotatedRows, count - first);
    rotation_->Project(rows.subspan(first * dim_, take * dim_), {rotated.data(), take * stride});
    visit(first, simd::RowsView<float>{rotated.data(), take, dim_, stride});
  }
}

void Pq4Codebooks::Encode(std::span<const float> embeddings, std::span<uint8_t> codes) const {
  Require(embeddings.size() % dim_ == 0, "pq4: ", embeddings.size(),
          " values are not rows of dim = ", dim_);
  const size_t rows = embeddings.size() / dim_;
  Require(codes.size() == rows * code_bytes(), "pq4: room for ", codes.size(), " bytes, ", rows,
          " codes need ", rows * code_bytes());
  ForRotated(embeddings, [&](size_t first, const simd::RowsView<float>& x) {
    simd::Pq4Encode(x, packed(), codes.data() + first * code_bytes(), code_bytes());
  });
}

void Pq4Codebooks::MakeTables(std::span<const float> queries, std::span<uint8_t> tables) const {
  Require(queries.size() % dim_ == 0, "pq4: ", queries.size(),
          " values are not rows of dim = ", dim_);
  const size_t rows = queries.size() / dim_;
  Require(tables.size() == rows * table_bytes(), "pq4: room for ", tables.size(), " bytes, ", rows,
          " tables need ", rows * table_bytes());
  ForRotated(queries, [&](size_t first, const simd::RowsView<float>& x) {
    simd::Pq4Tables(x, packed(), tables.data() + first * table_bytes(), table_bytes());
  });
}

}  // namespace eta
