// SPDX-License-Identifier: Apache-2.0
// Exact top-K of many queries over the code blocks of one history, by any distance that is a small
// integer: Hamming distances, or the penalties of asym.h.
//
// The history is scanned in chunks that fit the L1 cache. Rows of a chunk whose distance does not
// exceed the query's limit are appended to the query's list. A list that grows long is cut to its K
// nearest, which lowers the limit. The first limit comes from a sample of the query's own
// distances. The K-th distance of the query before is a worse guess: between candidates of one user
// it differs by 4 on average at 64 bits and by 14 at 256, on generated data.
//
// Without a byte-compress instruction, appending to a list is slow. So histories of one chunk are
// searched whole for the K-th distance there, and only the K nearest are written (64 bits, 1,024
// rows, Zen 4 as AVX2: 419 instead of 459 ns).

// clang-format off
#if defined(ETA_SIMD_BLOCK_TOPK_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_BLOCK_TOPK_INL_H_
#undef ETA_SIMD_BLOCK_TOPK_INL_H_
#else
#define ETA_SIMD_BLOCK_TOPK_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "simd/internal/block_topk_layout.h"
#include "simd/internal/int_select-inl.h"
#include "simd/views.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// Scan computes the distances of whole blocks and says how large they can be:
//   static constexpr bool kMaySaturate;  // a distance too large for a byte may become 255
//   static size_t MaxDistance(size_t code_bytes);
//   template <typename T>
//   static void Distances(const CodeBlocksView& rows, const uint8_t* query, T* distances);
// T holds a distance; T's maximum is reserved for "no row".
template <typename T, class Scan>
class BlockTopK {
 public:
  BlockTopK(const CodeBlocksView& rows, const Queries<uint8_t>& queries, const TopKOptions& options,
            void* scratch, const TopKResult<uint16_t>& result)
      : rows_(rows),
        queries_(queries),
        options_(options),
        scratch_(scratch),
        result_(result),
        layout_(rows.n, rows.code_bytes, options.k, sizeof(T), Scan::MaxDistance(rows.code_bytes)),
        k_(layout_.k()),
        max_distance_(std::min<size_t>(Scan::MaxDistance(rows.code_bytes),
                                       std::numeric_limits<T>::max() - 1)),
        search_width_(SearchWidth(max_distance_)),
        last_limit_(FirstGuess(max_distance_)) {}

  void Run() {
    for (size_t q = 0; q < queries_.count; q += layout_.tile()) {
      const size_t queries = std::min(layout_.tile(), queries_.count - q);
      if (!layout_.one_chunk()) {
        RunTile(q, queries);
      } else if (ETA_SIMD_HAS_BYTE_COMPRESS) {
        RunGroup(q, queries);
      } else {
        RunGroupByFullSearch(q, queries);
      }
      if constexpr (Scan::kMaySaturate && sizeof(T) == 1) {
        for (; num_saturated_ != 0; --num_saturated_) RunWide(saturated_[num_saturated_ - 1]);
      }
    }
  }

 private:
  static constexpr size_t kGroup = BlockTopKLayout::kGroup;

  // Widths of the windows in which K-th distances are searched first, as shares of all distances,
  // and how often a result lay outside, which costs a search of all distances: 7 steps at 64 bits,
  // 8 at 256. A window of half the width saves one step of each search (2026-11-26, K 64).
  // - A sample, about the limit of the query before: an eighth. Outside in 9 to 28 % of queries on
  //   generated histories and 14 to 50 % on MovieLens; in 2 to 16 % with a quarter and in 32 to
  //   72 % with a sixteenth.
  // - A list, up to its limit: a sixteenth, because the surplus of a list is small. Outside in 2 to
  //   7 % of queries; in 2 to 7 % with an eighth, in 4 to 33 % with a thirty-second.
  static constexpr size_t kSampleWindow = 8;
  static constexpr size_t kListWindow = 16;

  // Where the first query of a call searches, which has none before it: of random codes of 64 bits
  // the nearest 6 % differ in 26 bits, and neighbours of real queries are nearer. A bad guess costs
  // a search of all distances, once a call.
  static constexpr size_t FirstGuess(size_t max_distance) { return max_distance * 3 / 8; }

  // Runs one query again in 16 bits: fewer than K rows have a distance below T's saturation.
  HWY_NOINLINE void RunWide(size_t q) const {
    BlockTopK<uint16_t, Scan>(rows_, queries_.part(q, 1), options_, scratch_,
                              result_.from(q, options_.k))
        .Run();
  }

  T* chunk(size_t i) const { return reinterpret_cast<T*>(layout_.chunk(scratch_, i)); }

  NearestList<T> EmptyList(size_t i) const {
    return {reinterpret_cast<T*>(layout_.list_distances(scratch_, i)),
            reinterpret_cast<int32_t*>(layout_.list_positions(scratch_, i)), 0};
  }

  // A group is searched in step whether it is full or not: its last query stands in for the rest.
  template <class Value>
  static void RepeatLast(Value (&values)[kGroup], size_t queries) {
    for (size_t i = queries; i < kGroup; ++i) values[i] = values[queries - 1];
  }

  // Computes the distances of a history of one chunk for up to kGroup queries.
  void ComputeGroup(size_t first_query, size_t queries, const T* (&chunks)[kGroup]) {
    for (size_t i = 0; i < queries; ++i) {
      chunks[i] = chunk(i);
      ComputeChunk(first_query + i, 0, chunk(i));
    }
    RepeatLast(chunks, queries);
  }

  void RunGroupByFullSearch(size_t first_query, size_t queries) {
    const T* chunks[kGroup];
    ComputeGroup(first_query, queries, chunks);
    size_t kth[kGroup];
    SearchSamples(chunks, PaddedRows(rows_.n), k_, kth);
    for (size_t i = 0; i < queries; ++i) {
      if (HWY_UNLIKELY(kth[i] > max_distance_)) {
        saturated_[num_saturated_++] = first_query + i;
        continue;
      }
      NearestList<T> list = EmptyList(i);
      AppendNearest(chunks[i], rows_.n, k_, kth[i], options_.ties, list);
      Write(first_query + i, list, kth[i]);
    }
  }

  // Up to kGroup queries over a history of one chunk.
  void RunGroup(size_t first_query, size_t queries) {
    const T* chunks[kGroup];
    ComputeGroup(first_query, queries, chunks);
    size_t limits[kGroup];
    FirstLimits(chunks, rows_.n, limits);
    NearestList<T> lists[kGroup];
    size_t padded = 0;
    for (size_t i = 0; i < queries; ++i) {
      lists[i] = EmptyList(i);
      limits[i] = std::min(limits[i], max_distance_);
      AppendUpTo(limits[i], chunks[i], PaddedRows(rows_.n), 0, lists[i]);
      if (HWY_UNLIKELY(lists[i].count < k_)) {
        lists[i].count = 0;
        limits[i] = AppendAll(chunks[i], lists[i]);
      }
      padded = std::max(padded, PaddedRows(lists[i].count));
    }
    const size_t width = std::max<size_t>(search_width_ / kListWindow, 2);
    const T* list_distances[kGroup];
    size_t kth[kGroup];
    for (size_t i = 0; i < queries; ++i) {
      PadList(lists[i], padded);
      list_distances[i] = lists[i].distances;
      kth[i] = limits[i] + 2 - std::min(width, limits[i] + 2);  // the limit lies inside
    }
    RepeatLast(list_distances, queries);
    RepeatLast(kth, queries);
    FindKthInWindow(list_distances, padded, k_, max_distance_, width, kth);
    for (size_t i = 0; i < queries; ++i) Finish(first_query + i, lists[i], kth[i]);
  }

  // Appends the rows of a one-chunk history that are as near as the K-th nearest; returns its
  // distance.
  HWY_NOINLINE size_t AppendAll(const T* distances, NearestList<T>& list) const {
    const size_t padded = PaddedRows(rows_.n);
    const size_t kth = std::min(FindKth(distances, padded, k_, max_distance_), max_distance_);
    AppendUpTo(kth, distances, padded, 0, list);
    return kth;
  }

  // Up to a tile of queries over a history of many chunks.
  void RunTile(size_t first_query, size_t queries) {
    NearestList<T> lists[BlockTopKLayout::kMaxTile];
    size_t limits[BlockTopKLayout::kMaxTile];
    for (size_t i = 0; i < queries; ++i) {
      lists[i] = EmptyList(i);
      limits[i] = max_distance_;  // set by the first chunk; GCC 14 does not see that and warns
    }
    for (size_t row = 0; row < rows_.n; row += layout_.chunk_rows()) {
      for (size_t i = 0; i < queries; ++i) {
        const size_t rows = ComputeChunk(first_query + i, row, chunk(0));
        if (row == 0) {
          const T* const sets[1] = {chunk(0)};
          size_t limit[1];
          FirstLimits(sets, rows, limit);
          limits[i] = std::min(limit[0], max_distance_);
        }
        Admit(rows, row, limits[i], lists[i]);
      }
    }
    for (size_t i = 0; i < queries; ++i) {
      if (HWY_UNLIKELY(lists[i].count < k_)) Rescan(first_query + i, lists[i]);
      PadList(lists[i], 0);
      Finish(first_query + i, lists[i], Kth(lists[i]));
    }
  }

  // Computes the distances of the chunk that starts at `row`; returns how many rows it has.
  size_t ComputeChunk(size_t q, size_t row, T* distances) const {
    const size_t rows = std::min(layout_.chunk_rows(), rows_.n - row);
    const CodeBlocksView chunk_rows = {rows_.data + row * rows_.code_bytes, rows, rows_.code_bytes};
    Scan::Distances(chunk_rows, queries_.query(q), distances);
    // The unused rows of the last block get a distance above any limit.
    std::fill(distances + rows, distances + PaddedRows(rows), std::numeric_limits<T>::max());
    return rows;
  }

  // The limits to start with: the distance at a rank among evenly spread blocks of the first chunk.
  template <size_t kSets>
  void FirstLimits(const T* const (&chunks)[kSets], size_t rows, size_t (&limits)[kSets]) {
    const size_t blocks = NumBlocks(rows), sample_blocks = layout_.sample_rows() / kBlockRows;
    if (sample_blocks >= blocks) {
      const size_t rank = rows == rows_.n ? k_ : std::min(SampleRank(rows), rows);
      SearchSamples(chunks, PaddedRows(rows), rank, limits);
      return;
    }
    HWY_ALIGN T samples[kSets][BlockTopKLayout::kSampleRows];
    const T* sets[kSets];
    for (size_t s = 0; s < kSets; ++s) {
      for (size_t b = 0; b < sample_blocks; ++b) {
        std::memcpy(samples[s] + b * kBlockRows,
                    chunks[s] + b * blocks / sample_blocks * kBlockRows, kBlockRows * sizeof(T));
      }
      sets[s] = samples[s];
    }
    // The last block, which may be partly filled, is never among these.
    const size_t sampled = sample_blocks * kBlockRows;
    SearchSamples(sets, sampled, std::min(SampleRank(sampled), sampled), limits);
  }

  // The distance at `rank` of each set of n, searched near the limit of the query before.
  template <size_t kSets>
  void SearchSamples(const T* const (&sets)[kSets], size_t n, size_t rank,
                     size_t (&limits)[kSets]) {
    const size_t width = std::max<size_t>(search_width_ / kSampleWindow, 2);
    for (size_t& limit : limits) limit = last_limit_ - std::min(width / 2, last_limit_);
    FindKthInWindow(sets, n, rank, max_distance_, width, limits);
    last_limit_ = std::min(limits[kSets - 1], max_distance_);
  }

  // The rank in a sample of n rows whose distance at least K rows of the history should reach: the
  // number of the K nearest that is expected in the sample, plus a margin for its scatter, which is
  // that of a Poisson number. A higher margin makes lists longer, a lower one makes more limits too
  // low, so that the query is scanned again. Limits too low, in % of queries at 64 / 128 / 256
  // bits, K 64 (2026-11), and rows listed at 64 bits:
  //   generated histories, L 1,024:    0.7 / 0.8 / 1.1, 2.3 K    0.4 / 0.2 / 0.4 with 2 deviations
  //   generated histories, L 4,096:    0.3 / 0.2 / 0.5, 3.2 K      0 / 0.1 / 0.2
  //   generated histories, L 16,384:   0.2 / 0.4 / 0.2             0 / 0.1 / 0.1
  //   MovieLens, L 1,024 (11 users):   3.6 / 6.1 / 9.4, 1.8 K    1.3 / 3.3 / 4.8
  //   MovieLens, L 2,048 (3 users):    3.1 / 5.7 / 34           1.6 / 1.6 / 25
  // The users of MovieLens rated in an order: their rows are not spread evenly, least of all where
  // the sample is the older of two chunks (256 bits, L 2,048).
  size_t SampleRank(size_t n) const {
    constexpr float kDeviations = 1.5f, kLeastMargin = 2.0f;
    const float expected =
        static_cast<float>(k_) * static_cast<float>(n) / static_cast<float>(rows_.n);
    const float rank = expected + kDeviations * std::sqrt(expected) + kLeastMargin;
    return std::min(static_cast<size_t>(rank), k_);
  }

  // Appends the near rows of the chunk that starts at `row`.
  void Admit(size_t rows, size_t row, size_t& limit, NearestList<T>& list) const {
    AppendUpTo(limit, chunk(0), PaddedRows(rows), row, list);
    if (list.count > layout_.cut_above()) {
      PadList(list, 0);
      limit = Kth(list);
      CutToNearest(list, k_, limit, options_.ties);
    }
  }

  // A second scan of one query, with a limit that cannot be too low.
  HWY_NOINLINE void Rescan(size_t q, NearestList<T>& list) const {
    list.count = 0;
    size_t limit = max_distance_;
    for (size_t row = 0; row < rows_.n; row += layout_.chunk_rows()) {
      const size_t rows = ComputeChunk(q, row, chunk(0));
      if (row == 0 && rows >= k_) {
        limit = std::min(FindKth(chunk(0), PaddedRows(rows), k_, max_distance_), max_distance_);
      }
      Admit(rows, row, limit, list);
    }
  }

  // The K-th distance of a padded list.
  size_t Kth(const NearestList<T>& list) const {
    return FindKth(list.distances, PaddedRows(list.count), k_, max_distance_);
  }

  // Writes the result row of query q from a padded list of at least K and its K-th distance.
  void Finish(size_t q, NearestList<T>& list, size_t kth) {
    if (HWY_UNLIKELY(list.count < k_)) {
      saturated_[num_saturated_++] = q;
      return;
    }
    CutToNearest(list, k_, kth, options_.ties);
    Write(q, list, kth);
  }

  // Writes the result row of query q from the list of its K nearest, oldest first.
  void Write(size_t q, NearestList<T>& list, size_t kth) const {
    const auto [positions, distances] = result_.from(q, options_.k);
    if (options_.order == ResultOrder::kSorted) {
      PadList(list, 0);
      WriteSorted(list, kth, positions, distances);
      return;
    }
    CopyPositions(list.positions, k_, positions);
    if (distances == nullptr) return;
    for (size_t i = 0; i < k_; ++i) distances[i] = list.distances[i];
  }

  void WriteSorted(const NearestList<T>& list, size_t farthest, int32_t* positions,
                   uint16_t* distances) const {
    if (k_ > kMaxRanked) {
      SortByCounting(list, farthest, positions, distances);
      return;
    }
    HWY_ALIGN T ranks[kMaxRanked];
    RankNearest(list.distances, k_, options_.ties, ranks);
    for (size_t i = 0; i < k_; ++i) positions[ranks[i]] = list.positions[i];
    if (distances == nullptr) return;
    for (size_t i = 0; i < k_; ++i) distances[ranks[i]] = list.distances[i];
  }

  HWY_NOINLINE void SortByCounting(const NearestList<T>& list, size_t farthest, int32_t* positions,
                                   uint16_t* distances) const {
    const size_t nearest = *std::min_element(list.distances, list.distances + k_);
    auto* next = reinterpret_cast<uint32_t*>(layout_.counters(scratch_));
    std::fill(next, next + (farthest - nearest) + 2, 0u);
    for (size_t i = 0; i < k_; ++i) ++next[list.distances[i] - nearest + 1];
    for (size_t d = 1; d <= farthest - nearest; ++d) next[d] += next[d - 1];
    const bool newest = options_.ties == TieOrder::kNewestFirst;
    for (size_t i = 0; i < k_; ++i) {
      const size_t entry = newest ? k_ - 1 - i : i;
      const size_t to = next[list.distances[entry] - nearest]++;
      positions[to] = list.positions[entry];
      if (distances != nullptr) distances[to] = list.distances[entry];
    }
  }

  const CodeBlocksView rows_;
  const Queries<uint8_t> queries_;
  const TopKOptions options_;
  void* const scratch_;
  const TopKResult<uint16_t> result_;
  const BlockTopKLayout layout_;
  const size_t k_;
  const size_t max_distance_;
  const size_t search_width_;
  size_t last_limit_;
  // Queries of the group or tile that need wider distances.
  size_t saturated_[BlockTopKLayout::kMaxTile];
  size_t num_saturated_ = 0;
};

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
