// SPDX-License-Identifier: Apache-2.0
#include "baselines/faiss_kernels.h"

#include <faiss/IndexBinaryFlat.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexLSH.h>

#include "baselines/faiss_common.h"

namespace eta {

static_assert(sizeof(FaissId) == sizeof(int64_t));

const char* FaissSearchModeName(FaissSearchMode mode) {
  switch (mode) {
    case FaissSearchMode::kHeap:
      return "heap";
    case FaissSearchMode::kCounting:
      return "counting";
    case FaissSearchMode::kSingle:
      return "single";
  }
  return "unknown";
}

struct FaissBinarySearch::Index {
  explicit Index(size_t code_bytes) : flat(static_cast<FaissId>(code_bytes * 8)) {}
  faiss::IndexBinaryFlat flat;
};

FaissBinarySearch::FaissBinarySearch(std::span<const uint8_t> codes, size_t code_bytes)
    : index_(std::make_unique<Index>(code_bytes)) {
  index_->flat.add(static_cast<FaissId>(codes.size() / code_bytes), codes.data());
}

FaissBinarySearch::~FaissBinarySearch() = default;

void FaissBinarySearch::Search(FaissSearchMode mode, std::span<const uint8_t> queries, size_t k,
                               std::span<int64_t> labels, std::span<int32_t> distances) {
  const FaissThreadGuard guard({1, 1});
  faiss::IndexBinaryFlat& flat = index_->flat;
  const auto code_bytes = static_cast<size_t>(flat.code_size);
  const size_t num_queries = queries.size() / code_bytes;
  const size_t step = mode == FaissSearchMode::kSingle ? 1 : num_queries;
  flat.use_heap = mode != FaissSearchMode::kCounting;
  for (size_t q = 0; q < num_queries; q += step) {
    flat.search(static_cast<FaissId>(step), queries.data() + q * code_bytes,
                static_cast<FaissId>(k), distances.data() + q * k, labels.data() + q * k);
  }
}

struct FaissInnerProductSearch::Index {
  explicit Index(size_t dim) : flat(static_cast<FaissId>(dim)) {}
  faiss::IndexFlatIP flat;
};

FaissInnerProductSearch::FaissInnerProductSearch(std::span<const float> rows, size_t dim)
    : index_(std::make_unique<Index>(dim)) {
  index_->flat.add(static_cast<FaissId>(rows.size() / dim), rows.data());
}

FaissInnerProductSearch::~FaissInnerProductSearch() = default;

void FaissInnerProductSearch::Search(std::span<const float> queries, size_t k,
                                     std::span<int64_t> labels, std::span<float> scores) {
  const FaissThreadGuard guard({1, 1});
  const auto num_queries = queries.size() / static_cast<size_t>(index_->flat.d);
  index_->flat.search(static_cast<FaissId>(num_queries), queries.data(), static_cast<FaissId>(k),
                      scores.data(), labels.data());
}

struct FaissLshEncoder::Index {
  Index(size_t dim, size_t bits) : lsh(static_cast<FaissId>(dim), static_cast<int>(bits)) {}
  faiss::IndexLSH lsh;
};

FaissLshEncoder::FaissLshEncoder(size_t dim, size_t bits)
    : index_(std::make_unique<Index>(dim, bits)) {}

FaissLshEncoder::~FaissLshEncoder() = default;

void FaissLshEncoder::Encode(std::span<const float> rows, std::span<uint8_t> codes) const {
  const FaissThreadGuard guard({1, 1});
  const auto n = rows.size() / static_cast<size_t>(index_->lsh.d);
  index_->lsh.sa_encode(static_cast<FaissId>(n), rows.data(), codes.data());
}

}  // namespace eta
