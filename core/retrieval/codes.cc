// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/codes.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "core/base/check.h"
#include "simd/code_blocks.h"
#include "simd/simhash.h"

namespace eta {

CodeTable::CodeTable(size_t size, const Hyperplanes& hyperplanes)
    : size_(size), bits_(hyperplanes.bits()), code_bytes_(hyperplanes.code_bytes()) {}

CodeTable::CodeTable(const ItemTable& items, const Hyperplanes& hyperplanes, int threads)
    : CodeTable(items.size(), hyperplanes) {
  ValidateItemTable(items);
  EncodeAll(items.embeddings, hyperplanes, threads);
}

std::optional<CodeTable> CodeTable::OfCandidates(const ItemTable& items,
                                                 const Hyperplanes& hyperplanes, int threads) {
  ValidateItemTable(items);
  if (!items.candidate_embeddings) return std::nullopt;
  CodeTable table(items.size(), hyperplanes);
  table.EncodeAll(*items.candidate_embeddings, hyperplanes, threads);
  return table;
}

CodeTable::CodeTable(const ItemTable& items, const Pq4Codebooks& codebooks, int threads)
    : size_(items.size()), bits_(codebooks.bits()), code_bytes_(codebooks.code_bytes()) {
  ValidateItemTable(items);
  EncodeAll(items.embeddings, codebooks, threads);
}

CodeTable::CodeTable(std::span<const uint8_t> codes, size_t items, size_t bits)
    : size_(items), bits_(bits), code_bytes_(simd::CodeBytes(bits)) {
  Require(bits >= 1 && bits <= kMaxBits, "code table: bits = ", bits, " is not in [1, ", kMaxBits,
          "]");
  Require(codes.size() == simd::SaturatingProduct(items, code_bytes_), "code table: codes have ",
          codes.size(), " elements, not ", simd::SaturatingProduct(items, code_bytes_));
  const auto unused = static_cast<uint8_t>(bits % 8 == 0 ? 0 : 0xFF << bits % 8);
  for (size_t i = 0; i < items; ++i) {
    Require((codes[i * code_bytes_ + code_bytes_ - 1] & unused) == 0, "code table: code ", i,
            " has a bit past its ", bits);
  }
  codes_.assign(codes.begin(), codes.end());
}

template <class Encoder>
void CodeTable::EncodeAll(const Matrix<float>& embeddings, const Encoder& encoder, int threads) {
  const size_t dim = embeddings.cols;
  Require(dim == encoder.dim(), "code table: items have dim = ", dim, ", what encodes them ",
          encoder.dim());
  Require(threads >= 1, "code table: threads = ", threads, " is not positive");
  codes_.resize(size_ * code_bytes_);
  // At dim 64 a task reads 256 KiB, which outweighs its start, and each thread gets many of them.
  constexpr size_t kRowsPerTask = 1024;
  const auto tasks = static_cast<int64_t>((size_ + kRowsPerTask - 1) / kRowsPerTask);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t task = 0; task < tasks; ++task) {
    const size_t first = static_cast<size_t>(task) * kRowsPerTask;
    const size_t rows = std::min(kRowsPerTask, size_ - first);
    encoder.Encode({embeddings.row(first), rows * dim},
                   {codes_.data() + first * code_bytes_, rows * code_bytes_});
  }
}

void CodeTable::Replace(size_t item, std::span<const uint8_t> code) {
  Require(item < size_, "code table: item ", item, " of ", size_);
  Require(code.size() == code_bytes_, "code table: a code of ", code.size(), " bytes, not ",
          code_bytes_);
  std::copy(code.begin(), code.end(), codes_.begin() + static_cast<ptrdiff_t>(item * code_bytes_));
}

CodeBlocks::CodeBlocks(size_t bits) : bits_(bits), code_bytes_((bits + 7) / 8) {
  Require(bits >= 1 && bits <= kMaxBits, "code blocks: bits = ", bits, " is not in [1, ", kMaxBits,
          "]");
}

CodeBlocks::CodeBlocks(const CodeTable& table, std::span<const int32_t> items)
    : CodeBlocks(table.bits()) {
  for (size_t i = 0; i < items.size(); ++i) {
    Require(items[i] >= 0 && static_cast<size_t>(items[i]) < table.size(), "code blocks: items[", i,
            "] = ", items[i], " is not in the code table of ", table.size());
  }
  size_ = items.size();
  blocks_.resize(simd::CodeBlocksBytes(size_, code_bytes_));
  simd::GatherCodeBlocks(table.rows(), {items.data(), size_}, blocks_.data());
}

void CodeBlocks::Append(std::span<const uint8_t> code) {
  Require(code.size() == code_bytes_, "code blocks: a code of ", code.size(), " bytes, not ",
          code_bytes_);
  if (size_ >= std::numeric_limits<int32_t>::max()) {
    throw TooLongError(Cat("code blocks: no position after ", size_ - 1, " has a number"));
  }
  if (size_ % simd::kBlockRows == 0) {
    blocks_.resize(simd::CodeBlocksBytes(size_ + 1, code_bytes_));
  }
  simd::SetBlockCode(blocks_.data(), code_bytes_, size_, code.data());
  ++size_;
}

void CodeBlocks::Replace(size_t position, std::span<const uint8_t> code) {
  Require(position < size_, "code blocks: position ", position, " of ", size_);
  Require(code.size() == code_bytes_, "code blocks: a code of ", code.size(), " bytes, not ",
          code_bytes_);
  simd::SetBlockCode(blocks_.data(), code_bytes_, position, code.data());
}

AlignedVector<uint8_t> CodeBlocks::code(size_t position) const {
  Require(position < size_, "code blocks: position ", position, " of ", size_);
  AlignedVector<uint8_t> code(code_bytes_);
  simd::GetBlockCode(blocks_.data(), code_bytes_, position, code.data());
  return code;
}

}  // namespace eta
