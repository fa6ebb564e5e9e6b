// SPDX-License-Identifier: Apache-2.0
// Hamming top-K of many queries over one history.
//
// The history is scanned in chunks that fit the L1 cache. Rows of a chunk whose distance does not
// exceed the query's limit are appended to the query's list; a list that grows is cut back to
// exactly K, which lowers the limit. The limit starts from the last query's K-th distance or from
// the first chunk, so that a list rarely holds more than two or three times K.

// clang-format off
#if defined(ETA_SIMD_HAMMING_TOPK_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_HAMMING_TOPK_INL_H_
#undef ETA_SIMD_HAMMING_TOPK_INL_H_
#else
#define ETA_SIMD_HAMMING_TOPK_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "simd/hamming-inl.h"
#include "simd/hamming_topk_layout.h"
#include "simd/select-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

template <typename T>
class HammingTopKRun {
 public:
  explicit HammingTopKRun(const HammingTopKArguments& args)
      : args_(args),
        layout_(args.n, args.code_bytes, args.k),
        k_(layout_.k()),
        max_distance_(args.code_bytes * 8),
        chunk_(reinterpret_cast<T*>(layout_.chunk(args.scratch))),
        last_kth_(max_distance_ / 2) {}

  void Run() {
    for (size_t q = 0; q < args_.num_queries; q += layout_.tile()) {
      RunTile(q, std::min(layout_.tile(), args_.num_queries - q));
    }
  }

 private:
  void RunTile(size_t first_query, size_t queries) {
    NearestList<T> lists[HammingTopKLayout::kMaxTile];
    size_t limits[HammingTopKLayout::kMaxTile];
    for (size_t i = 0; i < queries; ++i) {
      lists[i] = {reinterpret_cast<T*>(layout_.list_distances(args_.scratch, i)),
                  reinterpret_cast<int32_t*>(layout_.list_positions(args_.scratch, i)), 0};
    }
    for (size_t row = 0; row < args_.n; row += layout_.chunk_rows()) {
      for (size_t i = 0; i < queries; ++i) {
        const size_t rows = ComputeChunk(first_query + i, row);
        if (row == 0) limits[i] = FirstLimit(rows);
        Admit(rows, row, limits[i], lists[i]);
      }
    }
    for (size_t i = 0; i < queries; ++i) {
      if (lists[i].count < k_) {  // the limit was too low
        margin_ = std::min(margin_ + 1 + margin_ / 2, max_distance_);
        Rescan(first_query + i, lists[i]);
      }
      Finish(first_query + i, lists[i]);
    }
  }

  // Computes the distances of the chunk that starts at `row`; returns how many rows it has.
  size_t ComputeChunk(size_t q, size_t row) const {
    const size_t rows = std::min(layout_.chunk_rows(), args_.n - row);
    BlockDistances(args_.blocks + row * args_.code_bytes, NumBlocks(rows), args_.code_bytes,
                   args_.queries + q * args_.query_stride, chunk_);
    // Rows that are not there get a distance above any limit.
    std::fill(chunk_ + rows, chunk_ + PaddedRows(rows), std::numeric_limits<T>::max());
    return rows;
  }

  // Appends the near rows of the chunk that starts at `row`.
  void Admit(size_t rows, size_t row, size_t& limit, NearestList<T>& list) const {
    AppendNear(chunk_, PaddedRows(rows), row, limit, list);
    if (list.count > layout_.prune_above()) limit = Prune(list).distance;
  }

  // The limit to start with, judged by the distances of the first chunk.
  size_t FirstLimit(size_t rows) const {
    const size_t padded = PaddedRows(rows);
    const size_t limit = std::min(last_kth_ + margin_, max_distance_);
    // Aim for half as many again as this chunk's share of the K, or the K themselves if it is all.
    const size_t share = k_ * rows / args_.n;
    const size_t rank = rows == args_.n ? k_ : std::min({k_, rows, share + share / 2 + 8});
    if (have_last_) {
      if (rows == args_.n) return limit;  // found out by the length of the list if wrong
      size_t less, less_equal;
      CountNear(chunk_, padded, limit, less, less_equal);
      if (less_equal >= rank && less_equal <= 4 * rank) return limit;
    }
    return FindKth(chunk_, padded, rank, limit, max_distance_).distance;
  }

  // A second scan of one query, with a limit that cannot be too low.
  HWY_NOINLINE void Rescan(size_t q, NearestList<T>& list) const {
    list.count = 0;
    size_t limit = max_distance_;
    for (size_t row = 0; row < args_.n; row += layout_.chunk_rows()) {
      const size_t rows = layout_.tile() == 1 ? args_.n : ComputeChunk(q, row);
      if (row == 0 && rows >= k_) {
        limit = FindKth(chunk_, PaddedRows(rows), k_, last_kth_, max_distance_).distance;
      }
      Admit(rows, row, limit, list);
    }
  }

  KthDistance Prune(NearestList<T>& list) const {
    PadList(list);
    const KthDistance kth =
        FindKth(list.distances, PaddedRows(list.count), k_, last_kth_, max_distance_);
    KeepNearest(list, k_, kth, args_.ties);
    return kth;
  }

  // Writes the result row of query q from its list of at least k.
  void Finish(size_t q, NearestList<T>& list) {
    if (list.count > 3 * k_ && margin_ > 0) --margin_;
    const KthDistance kth = Prune(list);
    last_kth_ = kth.distance;
    have_last_ = true;
    if (args_.order == ResultOrder::kSorted) {
      PadList(list);
      Sort(list, kth.distance);
    }
    int32_t* positions = args_.result.positions + q * args_.k;
    std::memcpy(positions, list.positions, k_ * sizeof(int32_t));
    if (args_.result.distances == nullptr) return;
    uint16_t* distances = args_.result.distances + q * args_.k;
    for (size_t i = 0; i < k_; ++i) distances[i] = list.distances[i];
  }

  // Sorts a padded list of k; the sorted one takes its place.
  void Sort(NearestList<T>& list, size_t farthest) const {
    NearestList<T> sorted = {reinterpret_cast<T*>(layout_.sorted_distances(args_.scratch)),
                             reinterpret_cast<int32_t*>(layout_.sorted_positions(args_.scratch)),
                             k_};
    const size_t nearest = *std::min_element(list.distances, list.distances + k_);
    GatherByDistance(list, k_, nearest, farthest, args_.ties, sorted);
    if (args_.ties == TieOrder::kNewestFirst) {
      std::reverse_copy(sorted.distances, sorted.distances + k_, list.distances);
      std::reverse_copy(sorted.positions, sorted.positions + k_, list.positions);
    } else {
      list = sorted;
    }
  }

  const HammingTopKArguments& args_;
  const HammingTopKLayout layout_;
  const size_t k_;
  const size_t max_distance_;
  T* const chunk_;
  size_t last_kth_;  // of the last query finished, or a first guess
  bool have_last_ = false;
  size_t margin_ = 1;  // added to last_kth_ for the next limit; grows when that was too low
};

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
