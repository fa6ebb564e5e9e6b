// SPDX-License-Identifier: Apache-2.0
// Hamming top-K as training asks for it: many windows, each candidate with a history that is a
// beginning of its window.
#include <algorithm>
#include <memory>

#include "core/base/aligned.h"
#include "core/base/check.h"
#include "core/data/limits.h"
#include "core/retrieval/batch.h"
#include "python/src/arrays.h"
#include "python/src/lists.h"
#include "python/src/module.h"
#include "python/src/runtime.h"
#include "simd/code_blocks.h"
#include "simd/hamming.h"

namespace eta::python {
namespace {

constexpr size_t kWindowsPerThread = 4;  // a window takes about as long as starting a thread

// A call's arguments, checked and copied, and where its results go.
struct Job {
  simd::RowsView<uint8_t> codes;  // of all items, in place
  ItemLists windows, candidates;
  std::vector<int32_t> ends;  // for each candidate, behaviours of its window that are its history
  size_t k;
  int32_t* positions;  // candidates x k, the nearest first, then -1
};

// Answers windows [first, last).
void SearchWindows(const Job& job, size_t first, size_t last) {
  const size_t bytes = job.codes.width, k = job.k;
  AlignedVector<uint8_t> blocks, scratch, query(bytes);
  for (size_t w = first; w < last; ++w) {
    const std::span<const int32_t> window = job.windows[w], ids = job.candidates[w];
    if (window.empty() || ids.empty()) continue;
    blocks.resize(std::max(blocks.size(), simd::CodeBlocksBytes(window.size(), bytes)));
    simd::GatherCodeBlocks(job.codes, {window.data(), window.size()}, blocks.data());
    const auto row = static_cast<size_t>(job.candidates.offsets[w]);
    for (size_t c = 0; c < ids.size(); ++c) {
      const auto end = static_cast<size_t>(job.ends[row + c]);
      if (end == 0) continue;
      const simd::TopKOptions options{std::min(k, end), simd::TieOrder::kNewestFirst,
                                      simd::ResultOrder::kSorted};
      scratch.resize(
          std::max(scratch.size(), simd::HammingTopKScratchBytes(end, bytes, options.k)));
      // Selection reads a query more than once, and the table may change meanwhile.
      std::copy_n(job.codes.row(static_cast<size_t>(ids[c])), bytes, query.data());
      simd::HammingTopK({blocks.data(), end, bytes}, {query.data(), 1, bytes}, options,
                        {scratch.data(), scratch.size()}, {job.positions + (row + c) * k});
    }
  }
}

void CheckEnds(const Job& job) {
  Require(job.ends.size() == job.candidates.items.size(), "ends: ", job.ends.size(), " for ",
          job.candidates.items.size(), " candidates");
  for (size_t w = 0; w < job.windows.users(); ++w) {
    for (int64_t row = job.candidates.offsets[w]; row < job.candidates.offsets[w + 1]; ++row) {
      const int32_t end = job.ends[static_cast<size_t>(row)];
      Require(end >= 0 && static_cast<size_t>(end) <= job.windows[w].size(), "ends[", row,
              "] = ", end, " of a window of ", job.windows[w].size(), " behaviours");
    }
  }
}

py::object HammingTopKWindows(py::handle codes, py::handle window_offsets, py::handle window_items,
                              py::handle candidate_offsets, py::handle candidate_items,
                              py::handle ends, py::handle k, py::handle threads) {
  const Array<uint8_t> table(codes, "codes", 2);
  const size_t bytes = table.shape(1);
  Require(bytes >= 1 && bytes <= kMaxBits / 8 && table.shape(0) <= kMaxCount, "codes: of shape ",
          table.shape(0), " x ", bytes, ", must have 1 to ", kMaxBits / 8, " columns and at most ",
          kMaxCount, " rows");
  Job job{.codes = simd::DenseRows(table.values(), table.shape(0), bytes),
          .windows = ToLists(window_offsets, window_items, table.shape(0), "window"),
          .candidates = ToLists(candidate_offsets, candidate_items, table.shape(0), "candidate"),
          .ends = Array<int32_t>(ends, "ends", 1).copy(),
          .k = ToCount(k, "k", 1, kMaxCount),
          .positions = nullptr};
  Require(job.windows.users() == job.candidates.users(), "window_offsets: of ", job.windows.users(),
          " windows, candidate_offsets of ", job.candidates.users());
  CheckEnds(job);
  const size_t most = ToCount(threads, "threads", 1, kMaxThreads), rows = job.ends.size();
  NewArray<int32_t> positions = MakeArray<int32_t>({rows, job.k});
  job.positions = positions.values;
  const KernelCall call;
  std::fill_n(job.positions, rows * job.k, -1);
  ForPieces(most, job.windows.users(), kWindowsPerThread,
            [&](size_t begin, size_t end) { SearchWindows(job, begin, end); });
  return std::move(positions.array);
}

}  // namespace

void BindWindows(py::module_& module) { module.def("hamming_topk_windows", HammingTopKWindows); }

}  // namespace eta::python
