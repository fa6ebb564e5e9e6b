// SPDX-License-Identifier: Apache-2.0
#include "baselines/faiss_quantized.h"

#include <faiss/IndexPQFastScan.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/VectorTransform.h>

#ifdef ETA_FAISS_HAS_RABITQ
#include <faiss/IndexRaBitQ.h>
#endif

#include <functional>
#include <utility>
#include <vector>

#include "baselines/faiss_common.h"
#include "baselines/faiss_index.h"
#include "baselines/faiss_pq.h"
#include "core/base/check.h"

namespace eta {
namespace {

using NewIndex = std::function<std::unique_ptr<faiss::Index>()>;

// Copies a trained index that has no vectors.
template <class Index>
NewIndex CopiesOf(Index trained) {
  return [trained = std::move(trained)] { return std::make_unique<Index>(trained); };
}

// An IndexPreTransform that shares its rotation with the indexes of other users.
class RotatedIndex final : public faiss::IndexPreTransform {
 public:
  RotatedIndex(std::shared_ptr<faiss::LinearTransform> rotation,
               std::unique_ptr<faiss::Index> owned)
      : IndexPreTransform(rotation.get(), owned.get()),
        rotation_(std::move(rotation)),
        owned_(std::move(owned)) {}

 private:
  std::shared_ptr<faiss::LinearTransform> rotation_;
  std::unique_ptr<faiss::Index> owned_;
};

NewIndex Rotated(std::shared_ptr<faiss::LinearTransform> rotation, NewIndex make) {
  return [rotation = std::move(rotation), make = std::move(make)] {
    return std::make_unique<RotatedIndex>(rotation, make());
  };
}

std::vector<float> Rotate(const faiss::LinearTransform& rotation, const std::vector<float>& rows) {
  std::vector<float> rotated(rows.size());
  const FaissThreadGuard guard({.openmp = 1, .blas = 1});
  rotation.apply_noalloc(static_cast<FaissId>(rows.size()) / rotation.d_in, rows.data(),
                         rotated.data());
  return rotated;
}

NewIndex Refined(NewIndex make, size_t factor) {
  return [make = std::move(make), factor] {
    std::unique_ptr<faiss::Index> first = make();
    auto index = std::make_unique<faiss::IndexRefineFlat>(first.get());
    first.release();
    index->own_fields = true;
    index->k_factor = static_cast<float>(factor);
    return index;
  };
}

// The default block of 32 codes is the only one that lets FAISS scan a block for many queries at a
// time.
NewIndex FastScanOf(faiss::ProductQuantizer quantizer) {
  // Not a copy of an index: FAISS copies its empty table of codes from a null pointer.
  return [quantizer = std::move(quantizer)] {
    auto index = std::make_unique<faiss::IndexPQFastScan>(
        static_cast<int>(quantizer.d), quantizer.M, kFaissPqBits, faiss::METRIC_INNER_PRODUCT);
    index->pq = quantizer;
    index->is_trained = true;
    return index;
  };
}

// FAISS's rotation for `subquantizers`, trained by one thread. Its own starting point is fixed.
std::shared_ptr<faiss::LinearTransform> TrainOpq(const std::vector<float>& rows, size_t dim,
                                                 size_t subquantizers) {
  faiss::ProductQuantizer quantizer(dim, subquantizers, kFaissPqBits);
  quantizer.cp.min_points_per_centroid = 1;  // else FAISS warns on stderr
  auto rotation =
      std::make_shared<faiss::OPQMatrix>(static_cast<int>(dim), static_cast<int>(subquantizers));
  rotation->pq = &quantizer;
  const FaissThreadGuard guard({.openmp = 1, .blas = 1});
  rotation->train(static_cast<FaissId>(rows.size() / dim), rows.data());
  rotation->pq = nullptr;
  return rotation;
}

}  // namespace

std::unique_ptr<Retriever> MakeFaissPq4Retriever(std::string name, const ItemTable& items,
                                                 const FaissPq4Options& options) {
  Require(options.bits % 8 == 0 && options.bits >= 8 && options.bits <= kMaxFaissPq4Bits,
          "method '", name, "': BITS must be a multiple of 8 from 8 to ", kMaxFaissPq4Bits,
          ", not ", options.bits);
  const size_t dim = items.dim();
  const size_t subquantizers = options.bits / kFaissPqBits;
  Require(dim % subquantizers == 0, "method '", name, "': dimension ", dim,
          " is not a multiple of the ", subquantizers, " sub-quantisers, one for ", kFaissPqBits,
          " bits");
  RequireFiniteProducts(items, name);
  FaissIndexKind kind;
  kind.what = "PQ fast scan";
  kind.bits = options.bits;
  std::vector<float> rows = FaissTrainingRows(items.embeddings);
  std::shared_ptr<faiss::LinearTransform> rotation;
  if (options.is_rotated && !rows.empty()) {
    rotation = TrainOpq(rows, dim, subquantizers);
    rows = Rotate(*rotation, rows);
    kind.shared_bytes += rotation->A.size() * sizeof(float);
    kind.what += ", OPQ";
  }
  faiss::ProductQuantizer quantizer = TrainFaissPq(rows, dim, subquantizers, options.seed);
  kind.shared_bytes += quantizer.centroids.size() * sizeof(float);  // each index has a copy
  kind.make = FastScanOf(std::move(quantizer));
  if (rotation) kind.make = Rotated(std::move(rotation), std::move(kind.make));
  if (options.refine > 0) {
    kind.make = Refined(std::move(kind.make), options.refine);
    kind.what += ", refined";
  }
  return MakeFaissIndexRetriever(std::move(name), items, std::move(kind), options.threads);
}

std::unique_ptr<Retriever> MakeFaissSq8Retriever(std::string name, const ItemTable& items,
                                                 int threads) {
  RequireFiniteProducts(items, name);
  faiss::IndexScalarQuantizer index(static_cast<int>(items.dim()), faiss::ScalarQuantizer::QT_8bit,
                                    faiss::METRIC_INNER_PRODUCT);
  if (items.size() > 0) {  // FAISS reads the first row unasked
    const FaissThreadGuard guard({.openmp = 1, .blas = 1});
    index.train(static_cast<FaissId>(items.size()), items.embeddings.values.data());
  }
  FaissIndexKind kind;
  kind.what = "SQ 8 bits";
  kind.shared_bytes = index.sq.trained.size() * sizeof(float);  // each index has a copy
  kind.make = CopiesOf(std::move(index));
  return MakeFaissIndexRetriever(std::move(name), items, std::move(kind), threads);
}

#ifdef ETA_FAISS_HAS_RABITQ

std::unique_ptr<Retriever> MakeFaissRaBitQRetriever(std::string name, const ItemTable& items,
                                                    uint64_t seed, int threads) {
  RequireFiniteProducts(items, name);
  const auto dim = static_cast<int>(items.dim());
  auto rotation = std::make_shared<faiss::RandomRotationMatrix>(dim, dim);
  rotation->init(FaissSeed(seed));
  const std::vector<float> rows = Rotate(*rotation, FaissTrainingRows(items.embeddings));
  faiss::IndexRaBitQ index(dim, faiss::METRIC_INNER_PRODUCT);
  index.qb = 4;
  index.train(static_cast<FaissId>(rows.size() / items.dim()), rows.data());
  FaissIndexKind kind;
  kind.what = "RaBitQ";
  kind.bits = items.dim();
  kind.shared_bytes = (rotation->A.size() + index.center.size()) * sizeof(float);
  kind.make = Rotated(std::move(rotation), CopiesOf(std::move(index)));
  return MakeFaissIndexRetriever(std::move(name), items, std::move(kind), threads);
}

#endif

}  // namespace eta
