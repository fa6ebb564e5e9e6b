// SPDX-License-Identifier: Apache-2.0
// simd/code_blocks.h against the index formula of core/reference/code_blocks.h, on every target.
#include "simd/code_blocks.h"

#include <ostream>

#include "core/reference/code_blocks.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kCounts[] = {0, 1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1000};
// Whole and broken groups of 8 bytes, which a packer would take at a time.
constexpr size_t kCodeBytes[] = {1,  2,  3,  4,  5,  7,  8,  9,  12,  15,  16,
                                 17, 24, 31, 32, 33, 63, 64, 65, 128, 129, 512};

struct Case {
  size_t n, code_bytes, gap, offset;
  uint64_t seed;

  size_t stride() const { return code_bytes + gap; }
  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " code_bytes=" << c.code_bytes << " gap=" << c.gap << " offset=" << c.offset
               << " seed=" << c.seed;
  }
};

std::vector<Case> Sweep() {
  std::vector<Case> cases;
  for (const size_t n : kCounts) {
    for (const size_t code_bytes : kCodeBytes) {
      const size_t turn = cases.size();
      const size_t gap = turn % 3 == 0 ? 0 : turn % 11;
      cases.push_back({n, code_bytes, gap, turn % 5, turn});
    }
  }
  return cases;
}

class CodeBlocksTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(CodeBlocksTest);

TEST_P(CodeBlocksTest, Pack) {
  for (const Case& c : Sweep()) {
    SCOPED_TRACE(c);
    Rng rng(c.seed);
    const std::vector<uint8_t> dense = RandomBytes(rng, c.n * c.code_bytes);
    const auto strided = WithStride<uint8_t>(dense, c.code_bytes, c.stride(), 0xA5);
    Buffer<uint8_t> codes(std::span<const uint8_t>(strided), c.offset);
    Buffer<uint8_t> blocks(simd::CodeBlocksBytes(c.n, c.code_bytes), c.offset, c.seed % 2 * 64);
    simd::PackCodeBlocks({codes.data(), c.n, c.code_bytes, c.stride()}, blocks.data());
    EXPECT_TRUE(SameValues<uint8_t>(blocks.span(), reference::PackCodeBlocks(dense, c.code_bytes)));
  }
}

// Ids repeat, run backwards and reach both ends of the table.
TEST_P(CodeBlocksTest, Gather) {
  constexpr size_t kItems = 37;
  for (const Case& c : Sweep()) {
    SCOPED_TRACE(c);
    Rng rng(c.seed);
    const std::vector<uint8_t> dense = RandomBytes(rng, kItems * c.code_bytes);
    const auto strided = WithStride<uint8_t>(dense, c.code_bytes, c.stride(), 0xA5);
    Buffer<uint8_t> table(std::span<const uint8_t>(strided), c.offset);
    std::vector<int32_t> list;
    for (size_t i = 0; i < c.n; ++i) list.push_back(static_cast<int32_t>(Below(rng, kItems)));
    if (c.n > 1) list.front() = kItems - 1, list.back() = 0;
    if (c.n > 2) list[c.n - 2] = kItems - 1;
    Buffer<int32_t> ids{std::span<const int32_t>(list)};
    Buffer<uint8_t> blocks(simd::CodeBlocksBytes(c.n, c.code_bytes), c.offset, c.seed % 2 * 64);
    simd::GatherCodeBlocks({table.data(), kItems, c.code_bytes, c.stride()}, {ids.data(), c.n},
                           blocks.data());
    EXPECT_TRUE(
        SameValues<uint8_t>(blocks.span(), reference::GatherCodeBlocks(dense, c.code_bytes, list)));
  }
}

TEST(CodeBlocksLayoutTest, SizesAreWholeBlocks) {
  for (const size_t n : kCounts) {
    EXPECT_EQ(simd::PaddedRows(n), reference::RoundUpToBlocks(n)) << "n=" << n;
    EXPECT_EQ(simd::NumBlocks(n) * 64, reference::RoundUpToBlocks(n)) << "n=" << n;
    EXPECT_EQ(simd::CodeBlocksBytes(n, 5), reference::RoundUpToBlocks(n) * 5) << "n=" << n;
  }
}

TEST(CodeBlocksLayoutTest, SetWritesOneCodeAndGetReadsIt) {
  for (const size_t code_bytes : {size_t{1}, size_t{3}, size_t{8}, size_t{65}}) {
    for (const size_t row : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{127}}) {
      SCOPED_TRACE(::testing::Message() << "code_bytes=" << code_bytes << " row=" << row);
      Rng rng(row + code_bytes);
      Buffer<uint8_t> blocks(RandomBytes(rng, 128 * code_bytes));
      std::vector<uint8_t> expected(blocks.data(), blocks.data() + blocks.size());
      Buffer<uint8_t> code(RandomBytes(rng, code_bytes));
      for (size_t p = 0; p < code_bytes; ++p) {
        expected[reference::BlockIndex(row, p, code_bytes)] = code[p];
      }
      simd::SetBlockCode(blocks.data(), code_bytes, row, code.data());
      EXPECT_TRUE(SameValues<uint8_t>(blocks.span(), expected));
      Buffer<uint8_t> read(code_bytes);
      simd::GetBlockCode(blocks.data(), code_bytes, row, read.data());
      EXPECT_TRUE(SameValues<uint8_t>(read.span(), code.span()));
    }
  }
}

// One literal layout, so that formula and kernel cannot agree on something else.
TEST(CodeBlocksLayoutTest, ThirdByteOfCode65) {
  std::vector<uint8_t> codes(66 * 3, 0);
  codes[65 * 3 + 2] = 0xEE;
  std::vector<uint8_t> expected(128 * 3, 0);
  expected[64 * 3 + 2 * 64 + 1] = 0xEE;
  EXPECT_TRUE(SameValues<uint8_t>(reference::PackCodeBlocks(codes, 3), expected));
}

}  // namespace
}  // namespace eta::test
