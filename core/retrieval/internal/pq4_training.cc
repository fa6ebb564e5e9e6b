// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/internal/pq4_training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/portable_math.h"
#include "core/base/random.h"
#include "core/base/symmetric_eigen.h"
#include "simd/pq4_encode.h"

namespace eta {
namespace {

constexpr size_t kCentroids = simd::kPq4Centroids;

// Recall@64 with 10 / 15 / 25 rounds, in a simulation at dim 64: .663 / .669 / .670 of 1,024
// generated behaviours at 64 bits, .787 / .797 / .800 at 128, .750 / .760 / .765 on MovieLens at 64
// (2026-11-26).
constexpr int kRounds = 15;

// Rows by whose errors rotations are compared.
constexpr size_t kErrorRows = 2500;

// The dimensions of one subspace.
struct Part {
  size_t first, dims;
};

Part PartOf(size_t dim, size_t subspaces, size_t s) {
  const size_t first = simd::Pq4FirstDim(dim, subspaces, s);
  return {first, simd::Pq4FirstDim(dim, subspaces, s + 1) - first};
}

// The centroid that the code of a row names.
size_t CodeOf(const uint8_t* code, size_t s) {
  return s % 2 == 0 ? code[s / 2] % kCentroids : code[s / 2] / kCentroids;
}

// Sums and counts of the rows of each centroid.
struct Clusters {
  Clusters(size_t subspaces, size_t width)
      : sums(subspaces * kCentroids, width), counts(subspaces * kCentroids) {}

  Matrix<double> sums;
  std::vector<size_t> counts;
};

Clusters Gather(const Matrix<float>& rows, std::span<const uint8_t> codes, size_t subspaces,
                size_t width) {
  Clusters clusters(subspaces, width);
  for (size_t r = 0; r < rows.rows; ++r) {
    for (size_t s = 0; s < subspaces; ++s) {
      const auto [first, dims] = PartOf(rows.cols, subspaces, s);
      const size_t c = s * kCentroids + CodeOf(codes.data() + r * (subspaces / 2), s);
      ++clusters.counts[c];
      for (size_t d = 0; d < dims; ++d) {
        clusters.sums.row(c)[d] += static_cast<double>(rows.row(r)[first + d]);
      }
    }
  }
  return clusters;
}

// A centroid without rows takes half of those of the largest: both move apart by a thousandth of
// their values, so that the next round divides the rows.
void SplitLargest(Matrix<float>& centroids, size_t first, std::span<size_t> counts, size_t empty) {
  const auto largest = static_cast<size_t>(std::ranges::max_element(counts) - counts.begin());
  constexpr float kApart = 0x1p-10f;
  for (size_t d = 0; d < centroids.cols; ++d) {
    const float value = centroids.row(first + largest)[d];
    const float shift = (d % 2 == 0 ? kApart : -kApart) * value;
    centroids.row(first + empty)[d] = value + shift;
    centroids.row(first + largest)[d] = value - shift;
  }
  counts[empty] = counts[largest] / 2;
  counts[largest] -= counts[empty];
}

void MoveToMeans(Clusters clusters, Matrix<float>& centroids) {
  for (size_t c = 0; c < centroids.rows; ++c) {
    if (clusters.counts[c] == 0) continue;
    const auto count = static_cast<double>(clusters.counts[c]);
    for (size_t d = 0; d < centroids.cols; ++d) {
      centroids.row(c)[d] = static_cast<float>(clusters.sums.row(c)[d] / count);
    }
  }
  for (size_t first = 0; first < centroids.rows; first += kCentroids) {
    const auto counts = std::span(clusters.counts).subspan(first, kCentroids);
    for (size_t m = 0; m < kCentroids; ++m) {
      if (counts[m] == 0) SplitLargest(centroids, first, counts, m);
    }
  }
}

std::vector<uint8_t> EncodeRows(const Matrix<float>& rows, const Matrix<float>& centroids) {
  const size_t subspaces = centroids.rows / kCentroids;
  AlignedVector<float> packed(simd::PackedPq4CodebooksSize(rows.cols, subspaces));
  simd::PackPq4Codebooks(centroids.view(), rows.cols, subspaces, packed.data());
  std::vector<uint8_t> codes(rows.rows * (subspaces / 2));
  simd::Pq4Encode(rows.view(), {packed.data(), rows.cols, subspaces}, codes.data(), subspaces / 2);
  return codes;
}

bool AllFinite(const float* row, size_t dim) {
  return std::all_of(row, row + dim, [](float value) { return std::isfinite(value); });
}

}  // namespace

Matrix<float> SamplePq4Rows(const ItemTable& items, size_t most, uint64_t seed) {
  const size_t parts = std::min(items.size(), most);
  Matrix<float> sample(parts, items.dim());
  Random random(seed);
  size_t rows = 0;
  for (size_t i = 0; i < parts; ++i) {
    const size_t begin = items.size() * i / parts, end = items.size() * (i + 1) / parts;
    const size_t item = begin + random.Below(static_cast<uint32_t>(end - begin));
    const float* row = items.embeddings.row(item);
    if (AllFinite(row, items.dim())) std::copy_n(row, items.dim(), sample.row(rows++));
  }
  sample.rows = rows;
  sample.values.resize(rows * sample.cols);
  return sample;
}

Matrix<double> SecondMoment(const Matrix<float>& rows) {
  const size_t dim = rows.cols;
  Matrix<double> moment(dim, dim);
  std::vector<double> x(dim);
  for (size_t r = 0; r < rows.rows; ++r) {
    std::copy_n(rows.row(r), dim, x.begin());
    for (size_t i = 0; i < dim; ++i) {
      double* out = moment.row(i);
      for (size_t j = i; j < dim; ++j) out[j] += x[i] * x[j];
    }
  }
  for (size_t i = 0; i < dim; ++i) {
    for (size_t j = i; j < dim; ++j) {
      moment.row(i)[j] /= static_cast<double>(rows.rows);
      moment.row(j)[i] = moment.row(i)[j];
    }
  }
  return moment;
}

Matrix<float> BalancedRotation(const Matrix<float>& rows, const Matrix<double>& moment,
                               size_t subspaces) {
  const size_t dim = rows.cols;
  std::vector<double> mean(dim);
  for (size_t r = 0; r < rows.rows; ++r) {
    for (size_t d = 0; d < dim; ++d) mean[d] += static_cast<double>(rows.row(r)[d]);
  }
  for (double& value : mean) value /= static_cast<double>(rows.rows);
  Matrix<double> covariance = moment;
  for (size_t i = 0; i < dim; ++i) {
    for (size_t j = 0; j < dim; ++j) covariance.row(i)[j] -= mean[i] * mean[j];
  }
  const Eigen eigen = SymmetricEigen(std::move(covariance));

  // A variance counts as at least a millionth of the largest, so that components without any are
  // dealt out evenly.
  const double least = std::max(eigen.values.back(), eigen.values.front() * 1e-6);
  std::vector<double> products(subspaces);  // logarithms
  std::vector<size_t> taken(subspaces);
  Matrix<float> rotation(dim, dim);
  for (size_t k = 0; k < dim; ++k) {
    size_t best = subspaces;
    for (size_t s = 0; s < subspaces; ++s) {
      if (taken[s] == PartOf(dim, subspaces, s).dims) continue;
      if (best == subspaces || products[s] < products[best]) best = s;
    }
    const size_t column = PartOf(dim, subspaces, best).first + taken[best]++;
    products[best] += least > 0 ? PortableLog(std::max(eigen.values[k], 0.0) / least + 1) : 0;
    for (size_t d = 0; d < dim; ++d) {
      rotation.row(d)[column] = static_cast<float>(eigen.vectors.row(d)[k]);
    }
  }
  return rotation;
}

Matrix<float> RotateRows(const Matrix<float>& rows, const Hyperplanes& rotation) {
  const size_t stride = rotation.projection_stride();
  AlignedVector<float> projections(rows.rows * stride);
  rotation.Project(rows.values, projections);
  Matrix<float> rotated(rows.rows, rows.cols);
  for (size_t r = 0; r < rows.rows; ++r) {
    std::copy_n(projections.data() + r * stride, rows.cols, rotated.row(r));
  }
  return rotated;
}

Matrix<float> Pq4KMeans(const Matrix<float>& rows, size_t subspaces, uint64_t seed) {
  const size_t width = (rows.cols + subspaces - 1) / subspaces;
  Matrix<float> centroids(subspaces * kCentroids, width);
  if (rows.rows == 0) return centroids;
  for (size_t s = 0; s < subspaces; ++s) {
    Random random(seed, s + 1);
    const auto [first, dims] = PartOf(rows.cols, subspaces, s);
    for (size_t m = 0; m < kCentroids; ++m) {
      const size_t row = random.Below(static_cast<uint32_t>(rows.rows));
      std::copy_n(rows.row(row) + first, dims, centroids.row(s * kCentroids + m));
    }
  }
  for (int round = 0; round < kRounds; ++round) {
    MoveToMeans(Gather(rows, EncodeRows(rows, centroids), subspaces, width), centroids);
  }
  return centroids;
}

double InnerProductError(const Matrix<float>& rows, const Matrix<double>& moment,
                         const Pq4Codebooks& codebooks) {
  const size_t dim = rows.cols, subspaces = codebooks.subspaces();
  const auto rotation = codebooks.rotation();
  const size_t count = std::min(rows.rows, kErrorRows);
  std::vector<uint8_t> code(codebooks.code_bytes());
  std::vector<double> decoded(dim), error(dim);
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const float* row = rows.row(rows.rows * i / count);
    codebooks.Encode({row, dim}, code);
    for (size_t s = 0; s < subspaces; ++s) {
      const auto [first, dims] = PartOf(dim, subspaces, s);
      const float* centroid = codebooks.centroids().row(s * kCentroids + CodeOf(code.data(), s));
      std::copy_n(centroid, dims, decoded.begin() + static_cast<ptrdiff_t>(first));
    }
    for (size_t d = 0; d < dim; ++d) {
      double value = decoded[d];
      if (rotation) {
        value = 0;
        for (size_t j = 0; j < dim; ++j) {
          value += static_cast<double>(rotation->row(d)[j]) * decoded[j];
        }
      }
      error[d] = static_cast<double>(row[d]) - value;
    }
    for (size_t a = 0; a < dim; ++a) {
      double along = 0;
      for (size_t b = 0; b < dim; ++b) along += moment.row(a)[b] * error[b];
      sum += error[a] * along;
    }
  }
  return sum / static_cast<double>(count);
}

}  // namespace eta
