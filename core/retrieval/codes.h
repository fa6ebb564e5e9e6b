// SPDX-License-Identifier: Apache-2.0
// The two forms in which ETA holds codes: the table of all items and the blocks of one history.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/base/aligned.h"
#include "core/base/export.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/pq4_codebooks.h"
#include "simd/code_blocks.h"
#include "simd/views.h"

namespace eta {

// Codes of all items, items x code_bytes, row-major, indexed by item id: what ETA serves from.
class ETA_CORE_API CodeTable {
 public:
  // Hashes every item with up to `threads` threads; neither argument need outlive this. Throws
  // std::invalid_argument when the two differ in dim, the item table is malformed or threads is
  // less than 1. Not with more than one in a child made by fork(): docs/library.md.
  CodeTable(const ItemTable& items, const Hyperplanes& hyperplanes, int threads = 1);
  // The same of the items as candidates; nothing where they have no embeddings of their own.
  static std::optional<CodeTable> OfCandidates(const ItemTable& items,
                                               const Hyperplanes& hyperplanes, int threads = 1);
  // The same with the codes of a product quantiser.
  CodeTable(const ItemTable& items, const Pq4Codebooks& codebooks, int threads = 1);
  // Codes that exist already, items x ceil(bits / 8) bytes; they are copied. Throws
  // std::invalid_argument when bits is not in [1, kMaxBits], their number is another or a code has
  // a bit past its last.
  CodeTable(std::span<const uint8_t> codes, size_t items, size_t bits);

  size_t size() const { return size_; }              // items
  size_t bits() const { return bits_; }              // of a code
  size_t code_bytes() const { return code_bytes_; }  // ceil(bits / 8)
  size_t bytes() const { return codes_.size(); }     // of the whole table
  // The code of an item, which is not checked.
  std::span<const uint8_t> row(size_t item) const {
    return {codes_.data() + item * code_bytes_, code_bytes_};
  }
  const uint8_t* data() const { return codes_.data(); }  // items x code_bytes
  // All codes, for a kernel; valid while this lives.
  simd::RowsView<uint8_t> rows() const {
    return simd::DenseRows(codes_.data(), size_, code_bytes_);
  }

  // Gives an item the code of its changed embedding. Throws std::invalid_argument when the id is
  // out of range or the code has another width. Not while other threads read.
  void Replace(size_t item, std::span<const uint8_t> code);

 private:
  CodeTable(size_t size, const Hyperplanes& hyperplanes);  // not encoded yet
  template <class Encoder>
  void EncodeAll(const Matrix<float>& embeddings, const Encoder& encoder, int threads);

  size_t size_;
  size_t bits_;
  size_t code_bytes_;
  AlignedVector<uint8_t> codes_;
};

// Codes of one history in the scan layout (simd/code_blocks.h); position 0 is the oldest.
class ETA_CORE_API CodeBlocks {
 public:
  // No behaviours yet. Throws std::invalid_argument unless bits lies in [1, kMaxBits].
  explicit CodeBlocks(size_t bits);
  // The codes of a list of items, oldest first; `table` need not outlive this. Throws
  // std::invalid_argument when an id is out of range.
  CodeBlocks(const CodeTable& table, std::span<const int32_t> items);

  size_t size() const { return size_; }                   // behaviours
  size_t bits() const { return bits_; }                   // of a code
  size_t code_bytes() const { return code_bytes_; }       // ceil(bits / 8)
  size_t bytes() const { return blocks_.size(); }         // of the blocks
  const uint8_t* data() const { return blocks_.data(); }  // the blocks; Append may move them
  // For a kernel; valid until the next Append.
  simd::CodeBlocksView view() const { return {blocks_.data(), size_, code_bytes_}; }

  // Adds the newest behaviour, with a new block every 64. std::length_error: there are 2^31 - 1.
  void Append(std::span<const uint8_t> code);
  // Rewrites one position. Both throw std::invalid_argument on a wrong width or position.
  void Replace(size_t position, std::span<const uint8_t> code);
  // Reads one position back. Throws std::invalid_argument when there is no such position.
  AlignedVector<uint8_t> code(size_t position) const;

 private:
  size_t bits_;
  size_t code_bytes_;
  size_t size_ = 0;
  AlignedVector<uint8_t> blocks_;
};

}  // namespace eta
