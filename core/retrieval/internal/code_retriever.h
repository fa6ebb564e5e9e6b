// SPDX-License-Identifier: Apache-2.0
// What the methods that scan SimHash codes share: the code table, histories laid out in code
// blocks, and the Hamming top-K.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "core/base/aligned.h"
#include "core/base/matrix.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/refillable.h"
#include "simd/code_blocks.h"

namespace eta {

struct CodeHistory : RefillableHistory {
  CodeHistory(size_t capacity, size_t code_bytes)
      : RefillableHistory(capacity),
        code_bytes(code_bytes),
        blocks(simd::CodeBlocksBytes(capacity, code_bytes)) {}
  size_t bytes() const override { return simd::CodeBlocksBytes(length(), code_bytes); }
  simd::CodeBlocksView view() const { return {blocks.data(), length(), code_bytes}; }

  size_t code_bytes;
  AlignedVector<uint8_t> blocks;  // of behaviours in use, then unspecified
};

class CodeRetriever : public RefillableRetriever {
 public:
  // Hashes all items, and as candidates, too, where they have other embeddings; neither argument
  // need outlive this.
  CodeRetriever(std::string name, const ItemTable& items, const Hyperplanes& hyperplanes,
                int threads);
  // Over rows of its own, each with a code of `bits` bits and perhaps more.
  CodeRetriever(std::string name, size_t bits, Matrix<uint8_t> rows);
  // Over codes that it keeps.
  CodeRetriever(std::string name, CodeTable table);
  // Over codes of `bits` bits that must outlive this.
  CodeRetriever(std::string name, size_t bits, const simd::RowsView<uint8_t>& codes);

  size_t bits() const override { return bits_; }
  size_t table_bytes() const override {
    return codes_.count * code_bytes() + (candidate_table_ ? candidate_table_->bytes() : 0);
  }
  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override;
  size_t query_bytes() const override { return candidate_codes().width; }

  // Gives candidates codes of their own, of bits() bits and as many as there are items; with
  // nothing they have those of behaviours.
  void SetCandidateCodes(std::optional<CodeTable> table) { candidate_table_ = std::move(table); }

 protected:
  void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const override;

  // The codes of candidates, of ceil(bits() / 8) bytes.
  simd::RowsView<uint8_t> candidate_codes() const;
  size_t code_bytes() const { return codes_.width; }  // of a behaviour: a code and perhaps more

  // The code blocks of a list of items, CodeBlocksBytes(items.size(), code_bytes()) bytes.
  void GatherBlocks(std::span<const int32_t> items, uint8_t* blocks) const;
  // Writes the min(k, n) nearest positions of each candidate to positions + b * k, in any order,
  // ties to the newest; returns min(k, n).
  size_t HammingTopK(const simd::CodeBlocksView& rows, std::span<const int32_t> candidates,
                     size_t k, KernelScratch& scratch, int32_t* positions) const;

 private:
  std::optional<CodeTable> table_;            // where the codes are this retriever's own
  std::optional<CodeTable> candidate_table_;  // where candidates have codes of their own
  Matrix<uint8_t> own_;                       // where they are and have more than the code
  size_t bits_;
  simd::RowsView<uint8_t> codes_;
};

}  // namespace eta
