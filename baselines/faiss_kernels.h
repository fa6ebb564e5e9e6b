// SPDX-License-Identifier: Apache-2.0
// FAISS's own searches on raw codes and rows, for rows beside our kernels in kernel_bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace eta {

enum class FaissSearchMode { kHeap, kCounting, kSingle };
inline constexpr FaissSearchMode kFaissSearchModes[] = {
    FaissSearchMode::kHeap, FaissSearchMode::kCounting, FaissSearchMode::kSingle};
const char* FaissSearchModeName(FaissSearchMode mode);

// IndexBinaryFlat over n codes of code_bytes bytes, one thread, sorted results, oldest first on
// ties.
class FaissBinarySearch {
 public:
  FaissBinarySearch(std::span<const uint8_t> codes, size_t code_bytes);
  ~FaissBinarySearch();
  // k labels and distances per query, -1 where there are fewer.
  void Search(FaissSearchMode mode, std::span<const uint8_t> queries, size_t k,
              std::span<int64_t> labels, std::span<int32_t> distances);

 private:
  struct Index;
  std::unique_ptr<Index> index_;
};

// IndexFlatIP over rows of dim floats, one thread.
class FaissInnerProductSearch {
 public:
  FaissInnerProductSearch(std::span<const float> rows, size_t dim);
  ~FaissInnerProductSearch();
  void Search(std::span<const float> queries, size_t k, std::span<int64_t> labels,
              std::span<float> scores);

 private:
  struct Index;
  std::unique_ptr<Index> index_;
};

// FAISS's nearest encoder: IndexLSH's random rotation and packing (which sets a bit for x >= 0).
class FaissLshEncoder {
 public:
  FaissLshEncoder(size_t dim, size_t bits);
  ~FaissLshEncoder();
  void Encode(std::span<const float> rows, std::span<uint8_t> codes) const;

 private:
  struct Index;
  std::unique_ptr<Index> index_;
};

}  // namespace eta
