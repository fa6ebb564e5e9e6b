// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/pq4_codebooks.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/data/limits.h"
#include "core/retrieval/internal/pq4_training.h"

namespace eta {
namespace {

// Rows that are rotated at a time: at dim 64 they take 16 KiB of L1.
constexpr size_t kRotatedRows = 64;

void RequireShape(size_t dim, size_t bits) {
  Require(bits >= 8 && bits <= kMaxBits && bits % 8 == 0, "pq4: bits = ", bits,
          " is not a multiple of 8 in [8, ", kMaxBits, "]");
  Require(dim >= 1 && dim <= kMaxDim, "pq4: dim = ", dim, " is not in [1, ", kMaxDim, "]");
  Require(bits / 4 <= dim, "pq4: ", bits, " bits are ", bits / 4, " subspaces of ", dim,
          " dimensions; there must be at least one for each");
}

void RequireCentroids(size_t dim, const Matrix<float>& centroids) {
  const size_t subspaces = centroids.rows / simd::kPq4Centroids;
  Require(centroids.rows % simd::kPq4Centroids == 0 && subspaces > 0, "pq4: ", centroids.rows,
          " centroids are not 16 for each subspace");
  RequireShape(dim, subspaces * 4);
  const size_t width = (dim + subspaces - 1) / subspaces;
  Require(centroids.cols == width, "pq4: centroids have ", centroids.cols, " columns (expected ",
          width, ", for ", dim, " dimensions in ", subspaces, " subspaces)");
  Require(centroids.values.size() == centroids.rows * centroids.cols,
          "pq4: ", centroids.values.size(), " values for ", centroids.rows, " x ", centroids.cols);
  for (size_t r = 0; r < centroids.rows; ++r) {
    const size_t s = r / simd::kPq4Centroids;
    const size_t dims =
        simd::Pq4FirstDim(dim, subspaces, s + 1) - simd::Pq4FirstDim(dim, subspaces, s);
    for (size_t d = 0; d < width; ++d) {
      const float value = centroids.row(r)[d];
      Require(std::isfinite(value) && (d < dims || value == 0), "pq4: centroid ",
              r % simd::kPq4Centroids, " of subspace ", s, " has ", value, " in column ", d,
              " (expected ", d < dims ? "a finite number" : "0, which the subspace leaves over",
              ")");
    }
  }
}

// Whether R keeps lengths and angles, by a test that takes dim^2 steps: R R^T v = v for random v,
// which another matrix passes with probability 0. kTolerance is far above the rounding of a float
// matrix and far below what changes an order of inner products.
void RequireRotation(size_t dim, const Matrix<float>& rotation) {
  Require(rotation.rows == dim && rotation.cols == dim, "pq4: the rotation is ", rotation.rows,
          " x ", rotation.cols, " (expected ", dim, " x ", dim, ")");
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
          "pq4: the rotation is no orthogonal matrix (R R^T v differs from v by ",
          std::sqrt(error / length), " of its length)");
}

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
  RequireShape(items.dim(), bits);
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
  RequireCentroids(dim, centroids);
  std::optional<Hyperplanes> planes;
  if (rotation) {
    planes = Hyperplanes::FromMatrix(std::move(*rotation));
    RequireRotation(dim, planes->matrix());
  }
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
