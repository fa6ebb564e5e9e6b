// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/internal/code_retriever.h"

#include <utility>

#include "core/base/check.h"
#include "simd/hamming.h"
#include "simd/simhash.h"

namespace eta {

CodeRetriever::CodeRetriever(std::string name, const ItemTable& items,
                             const Hyperplanes& hyperplanes, int threads)
    : CodeRetriever(std::move(name), CodeTable(items, hyperplanes, threads)) {
  set_encoder_bytes(hyperplanes.bytes());
  SetCandidateCodes(CodeTable::OfCandidates(items, hyperplanes, threads));
}

CodeRetriever::CodeRetriever(std::string name, CodeTable table)
    : RefillableRetriever(std::move(name), table.size()),
      table_(std::move(table)),
      bits_(table_->bits()),
      codes_(table_->rows()) {}

CodeRetriever::CodeRetriever(std::string name, size_t bits, Matrix<uint8_t> rows)
    : RefillableRetriever(std::move(name), rows.rows),
      own_(std::move(rows)),
      bits_(bits),
      codes_(own_.view()) {}

CodeRetriever::CodeRetriever(std::string name, size_t bits, const simd::RowsView<uint8_t>& codes)
    : RefillableRetriever(std::move(name), codes.count), bits_(bits), codes_(codes) {
  Require(codes.width == (bits + 7) / 8, "codes of ", codes.width, " bytes for ", bits, " bits");
}

std::unique_ptr<RefillableHistory> CodeRetriever::NewHistory(size_t capacity) const {
  return std::make_unique<CodeHistory>(capacity, code_bytes());
}

void CodeRetriever::DoRefill(RefillableHistory& history, std::span<const int32_t> items) const {
  GatherBlocks(items, dynamic_cast<CodeHistory&>(history).blocks.data());
}

simd::RowsView<uint8_t> CodeRetriever::candidate_codes() const {
  simd::RowsView<uint8_t> codes = candidate_table_ ? candidate_table_->rows() : codes_;
  codes.width = simd::CodeBytes(bits_);
  return codes;
}

void CodeRetriever::GatherBlocks(std::span<const int32_t> items, uint8_t* blocks) const {
  simd::GatherCodeBlocks(codes_, {items.data(), items.size()}, blocks);
}

size_t CodeRetriever::HammingTopK(const simd::CodeBlocksView& rows,
                                  std::span<const int32_t> candidates, size_t k,
                                  KernelScratch& scratch, int32_t* positions) const {
  const auto queries = GatherQueries(candidate_codes(), candidates, scratch.queries);
  const simd::ScratchView work =
      ScratchFor(scratch.kernel, simd::HammingTopKScratchBytes(rows.n, code_bytes(), k));
  return simd::HammingTopK(rows, queries, {.k = k}, work, {positions});
}

}  // namespace eta
