// SPDX-License-Identifier: Apache-2.0
#include "baselines/faiss_pq.h"

#include <algorithm>
#include <vector>

#include "baselines/faiss_common.h"

namespace eta {

faiss::ProductQuantizer TrainFaissPq(const Matrix<float>& embeddings, size_t subquantizers,
                                     uint64_t seed) {
  faiss::ProductQuantizer quantizer(embeddings.cols, subquantizers, kFaissPqBits);
  if (embeddings.rows == 0) return quantizer;
  quantizer.cp.seed = FaissSeed(seed);
  quantizer.cp.min_points_per_centroid = 1;  // else FAISS warns on stderr
  // FAISS refuses fewer rows than centroids, so a small table gives each row more than once.
  const size_t most = quantizer.ksub * static_cast<size_t>(quantizer.cp.max_points_per_centroid);
  const size_t count = std::clamp(embeddings.rows, quantizer.ksub, most);
  std::vector<float> sample(count * embeddings.cols);
  for (size_t i = 0; i < count; ++i) {
    std::copy_n(embeddings.row(i * embeddings.rows / count), embeddings.cols,
                sample.data() + i * embeddings.cols);
  }
  const FaissThreadGuard guard({.openmp = 1, .blas = 1});
  quantizer.train(count, sample.data());
  return quantizer;
}

}  // namespace eta
