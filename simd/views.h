// SPDX-License-Identifier: Apache-2.0
// How kernels are given memory that the caller owns, and what all kernels promise. A view is a
// pointer with its sizes: it owns nothing, copies nothing, and must not outlive what it points to.
// Strides count elements.
//
// Threads: kernels keep no state from call to call and take no lock. Any number of threads may call
// them at once, and read the same input. Outputs and scratch belong to one call at a time, so that
// each thread needs scratch of its own.
// Writing beside a scan: nothing that a kernel reads may be written meanwhile, and scans read whole
// blocks. To write a row of the last block, even one past n, is a data race with a scan of it.
// CopyCodeBlocks (simd/code_blocks.h) is for histories that grow while they are scanned.
// fork(): a child may call kernels, whatever the threads of its parent were doing.
// Alignment: a pointer is aligned as its element type, which C++ demands of any pointer. "Any
// alignment" means no more than that; scratch and bytes may lie anywhere. 64 bytes is fastest.
// Checks: kernels throw and return no errors. Builds without NDEBUG, and those with
// ETA_SIMD_CHECKED, check preconditions (ids, widths, strides, sizes, scratch) and end the process
// with a message where one does not hold. Other builds check only what would give wrong results in
// silence: that distances fit their type.
// Stack: top-K calls, distances and encoders take at most 12 KB, except where a function says
// another size; the portable target may use twice as much.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eta::simd {

// `count` rows of `width` elements; row i starts at data + i * stride. stride >= width.
template <typename T>
struct RowsView {
  const T* data;
  size_t count;
  size_t width;
  size_t stride;

  // The first element of row i.
  const T* row(size_t i) const { return data + i * stride; }
};

// Rows that lie one after another.
template <typename T>
constexpr RowsView<T> DenseRows(const T* data, size_t count, size_t width) {
  return {data, count, width, width};
}

// The rows of a table that are meant, in order: row j of the selection is table row data[j]. Every
// id must name a row of the table; an id may repeat.
struct IdsView {
  const int32_t* data;
  size_t count;
};

// Queries of one call, of a width that the rows they meet determine: query q starts at
// data + q * stride.
template <typename T>
struct Queries {
  const T* data;
  size_t count;
  size_t stride;

  // The first element of query q.
  const T* query(size_t q) const { return data + q * stride; }
  // Queries [first, first + n).
  Queries part(size_t first, size_t n) const { return {query(first), n, stride}; }
};

// Rows that a kernel writes: row i starts at data + i * stride.
template <typename T>
struct OutputRows {
  T* data;
  size_t stride;

  // The first element of row i.
  T* row(size_t i) const { return data + i * stride; }
};

// Quantised rows that a kernel writes: row r at values + r * stride, its scale to scales[r].
struct U8OutputRows {
  uint8_t* values;
  float* scales;
  size_t stride;

  // The first byte of row r.
  uint8_t* row(size_t r) const { return values + r * stride; }
};

// Rows of a table, chosen for each query: those of query q are table rows ids_of(q)[j] for
// j < counts[q]. Ids past a query's count are not read.
struct ChosenRows {
  RowsView<float> table;
  const int32_t* ids;
  const int32_t* counts;
  size_t ids_stride;

  // The counts[q] ids of query q.
  const int32_t* ids_of(size_t q) const { return ids + q * ids_stride; }
};

// Memory that one call may overwrite, of any alignment. A pointer converts to it, and then its size
// is not known; where it is given, builds that check refuse scratch that is too small.
struct ScratchView {
  // `size` bytes.
  ScratchView(void* scratch, size_t size) : data(scratch), bytes(size) {}
  // As many as the call needs.
  ScratchView(void* scratch) : ScratchView(scratch, SIZE_MAX) {}  // NOLINT: implicit

  void* data;
  size_t bytes;
};

// a * b, or the largest size_t where that is less: a size never wraps, so that an allocation of too
// much fails where one of the wrapped size would be too small.
constexpr size_t SaturatingProduct(size_t a, size_t b) {
  return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

// Rows of a block, in all layouts that are scanned: a cache line of bytes, a vector of AVX-512.
inline constexpr size_t kBlockRows = 64;

// Blocks that n rows take, the last one perhaps in part.
constexpr size_t NumBlocks(size_t n) { return n / kBlockRows + (n % kBlockRows != 0 ? 1 : 0); }

// n rounded up to whole blocks: the number of distances or scores that a scan writes.
constexpr size_t PaddedRows(size_t n) { return SaturatingProduct(NumBlocks(n), kBlockRows); }

// n codes of code_bytes bytes each, oldest first, in code blocks (code_blocks.h): PaddedRows(n) *
// code_bytes bytes of any alignment (64 bytes is fastest).
struct CodeBlocksView {
  const uint8_t* data;
  size_t n;
  size_t code_bytes;
};

// Which of several equally near positions comes first. Position 0 is the oldest behaviour; FAISS's
// flat indexes are observed to keep the oldest.
enum class TieOrder { kNewestFirst, kOldestFirst };

// kSorted: nearest first, ties in TieOrder. kAny: exactly the same set in unspecified order.
enum class ResultOrder { kSorted, kAny };

// How many rows a query gets, and in which order.
struct TopKOptions {
  size_t k;  // at least 1
  TieOrder ties = TieOrder::kNewestFirst;
  ResultOrder order = ResultOrder::kAny;
};

// Where the answers go: those of query q at positions + q * k and values + q * k. A call returns
// min(k, n), the number of valid entries in every row; it leaves the rest of a row untouched.
template <typename Value>
struct TopKResult {
  int32_t* positions;       // queries x k
  Value* values = nullptr;  // queries x k distances, penalties or scores; null when not wanted

  // Where the answers of query `first` and those after it go.
  TopKResult from(size_t first, size_t k) const {
    return {positions + first * k, values == nullptr ? nullptr : values + first * k};
  }
};

}  // namespace eta::simd
