// SPDX-License-Identifier: Apache-2.0
#include "baselines/faiss_pq.h"

#include <algorithm>

#include "baselines/faiss_common.h"

namespace eta {
namespace {

constexpr size_t kCentroids = size_t{1} << kFaissPqBits;

}  // namespace

std::vector<float> FaissTrainingRows(const Matrix<float>& embeddings) {
  if (embeddings.rows == 0) return {};
  const auto most =
      kCentroids * static_cast<size_t>(faiss::ClusteringParameters().max_points_per_centroid);
  const size_t count = std::clamp(embeddings.rows, kCentroids, most);
  std::vector<float> rows(count * embeddings.cols);
  for (size_t i = 0; i < count; ++i) {
    std::copy_n(embeddings.row(i * embeddings.rows / count), embeddings.cols,
                rows.data() + i * embeddings.cols);
  }
  return rows;
}

faiss::ProductQuantizer TrainFaissPq(const std::vector<float>& rows, size_t dim,
                                     size_t subquantizers, uint64_t seed) {
  faiss::ProductQuantizer quantizer(dim, subquantizers, kFaissPqBits);
  if (rows.empty()) return quantizer;
  quantizer.cp.seed = FaissSeed(seed);
  quantizer.cp.min_points_per_centroid = 1;  // else FAISS warns on stderr
  const FaissThreadGuard guard({.openmp = 1, .blas = 1});
  quantizer.train(rows.size() / dim, rows.data());
  return quantizer;
}

}  // namespace eta
