// SPDX-License-Identifier: Apache-2.0
// How a top-K over code blocks (block_topk-inl.h) cuts up its work, and where its scratch lies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "simd/internal/common.h"
#include "simd/views.h"

namespace eta::simd {

// Entries behind the end of a list that may be written: vectors are stored whole.
inline constexpr size_t kListSlack = kBlockRows;

// Whether a top-K takes n codes of this width.
constexpr bool HasBlockTopKScratch(size_t n, size_t code_bytes) {
  return n <= kMaxRankedRows && code_bytes >= 1 && code_bytes <= kMaxRankedCodeBytes;
}

class BlockTopKLayout {
 public:
  // A chunk of codes stays in the L1 cache (32 to 48 KiB) while all queries of a tile read it, so
  // that a history larger than the caches is read once per tile.
  static constexpr size_t kChunkBytes = 32 * 1024;
  // The rows of 64-bit codes that fill a chunk. Shorter codes take no more rows, because a chunk
  // has distances and lists besides its codes, of 1 to 2 and 5 to 6 bytes a row.
  static constexpr size_t kMaxChunkRows = kChunkBytes / 8;
  // Queries of a tile, each of which takes scratch for a list. Per query, with 4 / 8 / 32 / 64 of
  // them: 1.93 / 1.87 / 1.83 / 1.83 us over 16,384 codes of 64 bits, 287 / 289 / 234 / 221 over
  // 2,000,000 (K 64, Zen 4 with AVX3_DL, 2026-11-26).
  static constexpr size_t kMaxTile = 32;
  // Queries of a history that is one chunk, which are searched in step so that their searches hide
  // each other's latency. Per query, with 1 / 2 / 4 / 8 of them: 194 / 177 / 156 / 147 ns over
  // 1,024 codes of 64 bits, 378 / 343 / 348 / 329 of 256 bits (likewise). Four, because a call with
  // fewer queries searches as many sets all the same, and each takes scratch for a chunk and a
  // list.
  static constexpr size_t kGroup = 4;
  // Rows by which the first limit of a longer history is judged, and the part of a history of one
  // chunk: 4 rows of the K nearest are expected among them at L 16,384 and K 64, 16 at L 1,024.
  static constexpr size_t kSampleRows = 1024;
  static constexpr size_t kSampleShare = 4;

  // For distances of `distance_bytes` bytes up to max_distance. HasBlockTopKScratch(n, code_bytes).
  BlockTopKLayout(size_t n, size_t code_bytes, size_t k, size_t distance_bytes, size_t max_distance)
      : k_(std::min(k, n)), distance_bytes_(distance_bytes), counters_(max_distance + 2) {
    constexpr size_t kFourBlocks = 4 * kBlockRows;  // what the distance kernels take at once
    const size_t fit = kChunkBytes / code_bytes / kFourBlocks * kFourBlocks;
    chunk_rows_ = std::min(std::clamp(fit, kFourBlocks, kMaxChunkRows), PaddedRows(n));
    one_chunk_ = chunk_rows_ >= n;
    tile_ = one_chunk_ ? kGroup : kMaxTile;
    const size_t share = chunk_rows_ / kSampleShare / kBlockRows * kBlockRows;
    sample_rows_ = std::min(one_chunk_ ? share : kSampleRows, chunk_rows_);
    // One block would be one place of the history: then all rows are the sample.
    if (sample_rows_ < 2 * kBlockRows) sample_rows_ = chunk_rows_;
    // A cut searches the whole list, so it must drop enough to be worth it: 2K rows and 3 blocks.
    // On generated histories of 16,384 (64 bits, K 64) a query has 0.4 cuts so; 0.7 if lists were
    // cut from K and 3 blocks on, 0.3 from 5K (2026-11).
    cut_above_ = 3 * k_ + 3 * kBlockRows;
    list_rows_ = std::min(cut_above_ + chunk_rows_, PaddedRows(n)) + 2 * kListSlack;
  }

  size_t k() const { return k_; }
  size_t chunk_rows() const { return chunk_rows_; }
  bool one_chunk() const { return one_chunk_; }
  size_t tile() const { return tile_; }
  size_t sample_rows() const { return sample_rows_; }
  // A list longer than this is cut to its k nearest.
  size_t cut_above() const { return cut_above_; }

  // Bytes of scratch of any alignment.
  size_t bytes() const {
    return kCacheLineBytes + num_chunks() * ChunkBytes() + tile_ * ListBytes() +
           Lines(counters_ * sizeof(uint32_t));
  }

  // The parts of the scratch, each aligned to a cache line: distances of chunks, lists, counters.
  uint8_t* chunk(void* scratch, size_t i) const {
    return static_cast<uint8_t*>(AlignUp(scratch, kCacheLineBytes)) + i * ChunkBytes();
  }
  uint8_t* list_distances(void* scratch, size_t list) const {
    return chunk(scratch, num_chunks()) + list * ListBytes();
  }
  uint8_t* list_positions(void* scratch, size_t list) const {
    return list_distances(scratch, list) + Lines(list_rows_ * distance_bytes_);
  }
  uint8_t* counters(void* scratch) const { return list_distances(scratch, tile_); }

 private:
  static size_t Lines(size_t bytes) { return RoundUp(bytes, kCacheLineBytes); }
  // A group keeps the distances of all its queries.
  size_t num_chunks() const { return one_chunk_ ? kGroup : 1; }
  size_t ChunkBytes() const { return Lines(chunk_rows_ * distance_bytes_); }
  size_t ListBytes() const {
    return Lines(list_rows_ * distance_bytes_) + Lines(list_rows_ * sizeof(int32_t));
  }

  size_t k_;
  size_t distance_bytes_;
  size_t counters_;
  size_t chunk_rows_;
  bool one_chunk_;
  size_t tile_;
  size_t sample_rows_;
  size_t cut_above_;
  size_t list_rows_;
};

}  // namespace eta::simd
