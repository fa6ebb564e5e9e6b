// SPDX-License-Identifier: Apache-2.0
#include "baselines/faiss_quantized.h"

#include <faiss/IndexPQFastScan.h>
#include <faiss/IndexRefine.h>

#include <utility>

#include "baselines/faiss_common.h"
#include "baselines/faiss_index.h"
#include "baselines/faiss_pq.h"
#include "core/base/check.h"

namespace eta {
namespace {

size_t FloatBytes(const std::vector<float>& values) { return values.size() * sizeof(float); }

// The default block of 32 codes is the only one that lets FAISS scan a block for many queries at a
// time.
std::unique_ptr<faiss::IndexPQFastScan> NewPq4Index(const faiss::ProductQuantizer& quantizer) {
  auto index = std::make_unique<faiss::IndexPQFastScan>(static_cast<int>(quantizer.d), quantizer.M,
                                                        kFaissPqBits, faiss::METRIC_INNER_PRODUCT);
  index->pq = quantizer;
  index->is_trained = true;
  return index;
}

size_t Pq4Bytes(const faiss::Index& index) {
  const auto& fast_scan = dynamic_cast<const faiss::IndexPQFastScan&>(index);
  return fast_scan.codes.size() + FloatBytes(fast_scan.pq.centroids);
}

std::unique_ptr<faiss::Index> NewRefinedIndex(std::unique_ptr<faiss::Index> first, size_t factor) {
  auto index = std::make_unique<faiss::IndexRefineFlat>(first.get());
  first.release();
  index->own_fields = true;
  index->k_factor = static_cast<float>(factor);
  return index;
}

size_t RefinedBytes(const faiss::Index& index) {
  const auto& refined = dynamic_cast<const faiss::IndexRefineFlat&>(index);
  const auto values = static_cast<size_t>(index.ntotal) * static_cast<size_t>(index.d);
  return Pq4Bytes(*refined.base_index) + values * sizeof(float);
}

}  // namespace

std::unique_ptr<Retriever> MakeFaissPq4Retriever(std::string name, const ItemTable& items,
                                                 const FaissPq4Options& options) {
  Require(options.bits % 8 == 0 && options.bits >= 8 && options.bits <= kMaxFaissPq4Bits,
          "method '", name, "': BITS must be a multiple of 8 from 8 to ", kMaxFaissPq4Bits,
          ", not ", options.bits);
  const size_t subquantizers = options.bits / kFaissPqBits;
  Require(items.dim() % subquantizers == 0, "method '", name, "': dimension ", items.dim(),
          " is not a multiple of the ", subquantizers, " sub-quantisers, one for ", kFaissPqBits,
          " bits");
  RequireFiniteProducts(items.embeddings, name);
  FaissIndexKind kind;
  kind.what = options.refine == 0 ? "PQ fast scan" : "PQ fast scan, refined";
  kind.bits = options.bits;
  kind.make = [quantizer = TrainFaissPq(items.embeddings, subquantizers, options.seed),
               refine = options.refine]() -> std::unique_ptr<faiss::Index> {
    auto index = NewPq4Index(quantizer);
    if (refine == 0) return index;
    return NewRefinedIndex(std::move(index), refine);
  };
  kind.bytes = options.refine == 0 ? Pq4Bytes : RefinedBytes;
  return MakeFaissIndexRetriever(std::move(name), items, std::move(kind), options.threads);
}

}  // namespace eta
