// SPDX-License-Identifier: Apache-2.0
// FAISS's own searches on raw codes and rows, for rows beside our kernels in kernel_bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace eta {

// Ways to make IndexBinaryFlat do the same search: a heap, counting, or the heap with one query for
// each call.
enum class FaissSearchMode { kHeap, kCounting, kSingle };
inline constexpr FaissSearchMode kFaissSearchModes[] = {
    FaissSearchMode::kHeap, FaissSearchMode::kCounting, FaissSearchMode::kSingle};
const char* FaissSearchModeName(FaissSearchMode mode);

// IndexBinaryFlat, one thread. Results are sorted by distance; of equal distances the oldest code,
// which has the lowest label, comes first.
class FaissBinarySearch {
 public:
  // Copies `codes`, n x code_bytes, one after another.
  FaissBinarySearch(std::span<const uint8_t> codes, size_t code_bytes);
  ~FaissBinarySearch();
  // `queries` is queries x code_bytes; `labels` and `distances` are queries x k, -1 in the places
  // that k > n leaves over.
  void Search(FaissSearchMode mode, std::span<const uint8_t> queries, size_t k,
              std::span<int64_t> labels, std::span<int32_t> distances);

 private:
  struct Index;
  std::unique_ptr<Index> index_;
};

// IndexFlatIP, one thread. Results are sorted by score, the highest first.
class FaissInnerProductSearch {
 public:
  // Copies `rows`, n x dim, one after another.
  FaissInnerProductSearch(std::span<const float> rows, size_t dim);
  ~FaissInnerProductSearch();
  // `queries` is queries x dim; `labels` and `scores` are queries x k, labels -1 in the places that
  // k > n leaves over.
  void Search(std::span<const float> queries, size_t k, std::span<int64_t> labels,
              std::span<float> scores);

 private:
  struct Index;
  std::unique_ptr<Index> index_;
};

// The encoder of FAISS that is nearest to SimHash: IndexLSH's random rotation and packing, which
// sets a bit for x >= 0 (ours for x > 0).
class FaissLshEncoder {
 public:
  FaissLshEncoder(size_t dim, size_t bits);
  ~FaissLshEncoder();
  // `rows` is n x dim, `codes` n x ceil(bits / 8).
  void Encode(std::span<const float> rows, std::span<uint8_t> codes) const;

 private:
  struct Index;
  std::unique_ptr<Index> index_;
};

}  // namespace eta
