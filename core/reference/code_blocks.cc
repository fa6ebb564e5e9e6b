// SPDX-License-Identifier: Apache-2.0
#include "core/reference/code_blocks.h"

namespace eta::reference {
namespace {

template <class T>
std::vector<T> Pack(std::span<const T> rows, size_t width) {
  const size_t n = rows.size() / width;
  std::vector<T> blocks(RoundUpToBlocks(n) * width, T{0});
  for (size_t i = 0; i < n; ++i) {
    for (size_t p = 0; p < width; ++p) blocks[BlockIndex(i, p, width)] = rows[i * width + p];
  }
  return blocks;
}

template <class T>
std::vector<T> Gather(std::span<const T> table, size_t width, std::span<const int32_t> ids) {
  std::vector<T> rows;
  for (const int32_t id : ids) {
    const std::span<const T> row = table.subspan(static_cast<size_t>(id) * width, width);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return Pack<T>(rows, width);
}

}  // namespace

size_t RoundUpToBlocks(size_t n) { return (n + kRowsPerBlock - 1) / kRowsPerBlock * kRowsPerBlock; }

size_t BlockIndex(size_t i, size_t p, size_t code_bytes) {
  const size_t block = i / kRowsPerBlock;
  const size_t lane = i % kRowsPerBlock;
  return (block * code_bytes + p) * kRowsPerBlock + lane;
}

std::vector<uint8_t> PackCodeBlocks(std::span<const uint8_t> codes, size_t code_bytes) {
  return Pack(codes, code_bytes);
}

std::vector<uint8_t> GatherCodeBlocks(std::span<const uint8_t> table, size_t code_bytes,
                                      std::span<const int32_t> ids) {
  return Gather(table, code_bytes, ids);
}

std::vector<float> PackFloatBlocks(std::span<const float> rows, size_t dim) {
  return Pack(rows, dim);
}

std::vector<float> GatherFloatBlocks(std::span<const float> table, size_t dim,
                                     std::span<const int32_t> ids) {
  return Gather(table, dim, ids);
}

}  // namespace eta::reference
