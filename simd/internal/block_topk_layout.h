// SPDX-License-Identifier: Apache-2.0
// Sizes and scratch of a Hamming top-K run; internal to simd/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "simd/code_blocks.h"
#include "simd/hamming.h"

namespace eta::simd {

// Entries behind the end of a list that may be written: vectors are stored whole.
inline constexpr size_t kListSlack = 64;

// Codes of up to this many bytes (384 bits) are ranked by distances of one byte that saturates.
inline constexpr size_t kMaxSaturatedCodeBytes = 48;

class BlockTopKLayout {
 public:
  // A chunk of codes stays in the L1 cache (32 to 48 KiB) while all queries of a tile read it, so
  // that a history larger than the caches is read once per tile.
  static constexpr size_t kChunkBytes = 32 * 1024;
  static constexpr size_t kMaxChunkRows = 4096;
  static constexpr size_t kMaxTile = 32;  // queries
  // Queries of a history that is one chunk: their searches hide each other's latency.
  static constexpr size_t kGroup = 4;
  // Rows of the first chunk by which the limit is judged.
  static constexpr size_t kSampleRows = 1024;

  BlockTopKLayout(size_t n, size_t code_bytes, size_t k)
      : BlockTopKLayout(n, code_bytes, k, code_bytes <= kMaxByteDistanceCodeBytes ? 1 : 2,
                        code_bytes * 8) {}

  // For distances of `distance_bytes` bytes up to max_distance.
  BlockTopKLayout(size_t n, size_t code_bytes, size_t k, size_t distance_bytes, size_t max_distance)
      : k_(std::min(k, n)), distance_bytes_(distance_bytes), counters_(max_distance + 2) {
    constexpr size_t kFourBlocks = 4 * kBlockRows;  // what the distance kernel takes at once
    const size_t fit = kChunkBytes / code_bytes / kFourBlocks * kFourBlocks;
    chunk_rows_ = std::min(std::clamp(fit, kFourBlocks, kMaxChunkRows), PaddedRows(n));
    one_chunk_ = chunk_rows_ >= n;
    tile_ = one_chunk_ ? kGroup : kMaxTile;
    sample_rows_ =
        std::min(one_chunk_ ? chunk_rows_ / 4 / kBlockRows * kBlockRows : kSampleRows, chunk_rows_);
    if (sample_rows_ < kBlockRows * 2) sample_rows_ = chunk_rows_;
    prune_above_ = 3 * k_ + 3 * kBlockRows;
    list_rows_ = std::min(prune_above_ + chunk_rows_, PaddedRows(n)) + 2 * kListSlack;
  }

  size_t k() const { return k_; }
  size_t chunk_rows() const { return chunk_rows_; }
  bool one_chunk() const { return one_chunk_; }
  size_t tile() const { return tile_; }
  size_t sample_rows() const { return sample_rows_; }
  // A list longer than this is cut back to k.
  size_t prune_above() const { return prune_above_; }

  size_t bytes() const {
    return kAlign + (one_chunk_ ? kGroup : 1) * ChunkBytes() + tile_ * ListBytes(list_rows_) +
           RoundUp(counters_ * sizeof(uint32_t));
  }

  // The parts of the scratch, each aligned to 64 bytes.
  uint8_t* chunk(void* scratch, size_t i) const {
    const auto address = reinterpret_cast<uintptr_t>(scratch);
    return reinterpret_cast<uint8_t*>((address + kAlign - 1) / kAlign * kAlign) + i * ChunkBytes();
  }
  uint8_t* list_distances(void* scratch, size_t list) const {
    return chunk(scratch, one_chunk_ ? kGroup : 1) + list * ListBytes(list_rows_);
  }
  uint8_t* list_positions(void* scratch, size_t list) const {
    return list_distances(scratch, list) + RoundUp(list_rows_ * distance_bytes_);
  }
  uint8_t* counters(void* scratch) const { return list_distances(scratch, tile_); }

 private:
  static constexpr size_t kAlign = 64;
  static size_t RoundUp(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }
  size_t ChunkBytes() const { return RoundUp(chunk_rows_ * distance_bytes_); }
  size_t ListBytes(size_t rows) const {
    return RoundUp(rows * distance_bytes_) + RoundUp(rows * sizeof(int32_t));
  }

  size_t k_;
  size_t distance_bytes_;
  size_t counters_;
  size_t chunk_rows_;
  bool one_chunk_;
  size_t tile_;
  size_t sample_rows_;
  size_t prune_above_;
  size_t list_rows_;
};

}  // namespace eta::simd
