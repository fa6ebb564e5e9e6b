// SPDX-License-Identifier: Apache-2.0
// core/retrieval/codes.h and Hyperplanes::Encode.
#include "core/retrieval/codes.h"

#include <limits>

#include "core/reference/code_blocks.h"
#include "core/reference/simhash.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

std::vector<uint8_t> ReferenceCodes(const ItemTable& items, const Hyperplanes& planes) {
  return reference::SimHashRows(items.embeddings.values, items.dim(), planes.matrix().values,
                                planes.bits());
}

std::span<const uint8_t> Bytes(const CodeTable& table) { return {table.data(), table.bytes()}; }
std::span<const uint8_t> Bytes(const CodeBlocks& blocks) { return {blocks.data(), blocks.bytes()}; }

TEST(EncodeTest, AsReference) {
  for (const size_t bits : {size_t{1}, size_t{64}, size_t{100}, size_t{520}}) {
    const ItemTable items = HardItems(70, 24, bits);
    const Hyperplanes planes = Planes(24, bits);
    Buffer<uint8_t> codes(70 * planes.code_bytes());
    planes.Encode(items.embeddings.values, codes.span());
    EXPECT_TRUE(SameValues<uint8_t>(codes.span(), ReferenceCodes(items, planes))) << bits;
  }
}

TEST(EncodeTest, LoadedPlanesAsReference) {
  Rng rng(3);
  Matrix<float> matrix(7, 30);
  for (float& value : matrix.values) value = SmallInteger(rng, 2);
  const Hyperplanes planes = Hyperplanes::FromMatrix(matrix);
  const auto x = MakeFloats(9 * 7, [&] { return SmallInteger(rng, 2); });
  std::vector<uint8_t> codes(9 * 4);
  planes.Encode(x, codes);
  EXPECT_TRUE(SameValues<uint8_t>(codes, reference::SimHashRows(x, 7, matrix.values, 30)));
}

TEST(EncodeTest, NoRowsNeedNoMemory) { EXPECT_NO_THROW(Planes(8, 16).Encode({}, {})); }

TEST(EncodeTest, SizesThatDoNotFit) {
  const Hyperplanes planes = Planes(8, 20);
  std::vector<float> x(16);
  std::vector<uint8_t> codes(6, 0xC5);
  const std::span<uint8_t> all(codes);
  EXPECT_TRUE(Has(Error([&] { planes.Encode({x.data(), 15}, all); }), "15"));
  EXPECT_TRUE(Has(Error([&] { planes.Encode(x, all.first(5)); }), "5"));
  EXPECT_NE(Error([&] { planes.Encode(x, {}); }), "");
  EXPECT_NE(Error([&] { planes.Encode({}, all); }), "");
  EXPECT_NE(Error([&] { planes.Encode({x.data(), 8}, all); }), "");
  EXPECT_EQ(codes, std::vector<uint8_t>(6, 0xC5)) << "written in spite of the error";
  EXPECT_EQ(Error([&] { planes.Encode(x, all); }), "");
}

TEST(CodeTableTest, AsReferenceWithAnyNumberOfThreads) {
  for (const size_t count : {size_t{0}, size_t{1}, size_t{1023}, size_t{1025}, size_t{5000}}) {
    for (const size_t bits : {size_t{13}, size_t{64}}) {
      const ItemTable items = HardItems(count, 16, count);
      const Hyperplanes planes = Planes(16, bits);
      const std::vector<uint8_t> expected = ReferenceCodes(items, planes);
      for (const int threads : {1, 2, 5}) {
        const CodeTable table(items, planes, threads);
        SCOPED_TRACE(::testing::Message()
                     << "items=" << count << " bits=" << bits << " threads=" << threads);
        EXPECT_EQ(table.size(), count);
        EXPECT_EQ(table.bits(), bits);
        EXPECT_EQ(table.code_bytes(), (bits + 7) / 8);
        EXPECT_TRUE(SameValues<uint8_t>(Bytes(table), expected));
      }
    }
  }
}

TEST(CodeTableTest, RowsAndReplace) {
  const ItemTable items = BellItems(10, 16, 1);
  const Hyperplanes planes = Planes(16, 20);
  CodeTable table(items, planes);
  std::vector<uint8_t> expected = ReferenceCodes(items, planes);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(SameValues<uint8_t>(table.row(i), {expected.data() + i * 3, 3})) << "item " << i;
  }
  const std::vector<uint8_t> code = {1, 2, 3};
  for (const size_t item : {size_t{0}, size_t{9}}) {
    table.Replace(item, code);
    std::ranges::copy(code, expected.begin() + item * 3);
    EXPECT_TRUE(SameValues<uint8_t>(Bytes(table), expected)) << "item " << item;
  }
}

TEST(CodeTableTest, WrongArguments) {
  const ItemTable items = BellItems(10, 16, 1);
  const std::string dims = Error([&] { CodeTable(items, Planes(17, 8)); });
  EXPECT_TRUE(Has(dims, "16") && Has(dims, "17")) << dims;
  EXPECT_NE(Error([&] { CodeTable(items, Planes(16, 8), 0); }), "");
  EXPECT_NE(Error([&] { CodeTable(items, Planes(16, 8), -1); }), "");
  CodeTable table(items, Planes(16, 20));
  const std::vector<uint8_t> before(table.data(), table.data() + table.bytes());
  const std::vector<uint8_t> code(4, 0);
  const std::span<const uint8_t> bytes(code);
  EXPECT_TRUE(Has(Error([&] { table.Replace(10, bytes.first(3)); }), "10"));
  EXPECT_NE(Error([&] { table.Replace(SIZE_MAX, bytes.first(3)); }), "");
  EXPECT_NE(Error([&] { table.Replace(0, bytes.first(2)); }), "");
  EXPECT_NE(Error([&] { table.Replace(0, bytes); }), "");
  EXPECT_NE(Error([&] { table.Replace(0, {}); }), "");
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(table), before));
}

// A table that claims more values than it holds.
TEST(CodeTableTest, ItemsShorterThanTheirShape) {
  ItemTable items = BellItems(10, 16, 1);
  items.embeddings.values.resize(159);
  EXPECT_NE(Error([&] { CodeTable(items, Planes(16, 8)); }), "");
}

TEST(CodeBlocksTest, GatherAsPackedFromScratch) {
  for (const size_t bits : {size_t{1}, size_t{20}, size_t{64}, size_t{129}}) {
    const CodeTable table(BellItems(40, 16, 1), Planes(16, bits));
    for (const size_t n : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{200}}) {
      SCOPED_TRACE(::testing::Message() << "bits=" << bits << " n=" << n);
      Rng rng(n);
      const std::vector<int32_t> ids = RandomIds(rng, n, 40);
      const CodeBlocks blocks(table, ids);
      EXPECT_EQ(blocks.size(), n);
      EXPECT_EQ(blocks.bits(), bits);
      EXPECT_EQ(blocks.code_bytes(), table.code_bytes());
      EXPECT_TRUE(SameValues<uint8_t>(
          Bytes(blocks), reference::GatherCodeBlocks(Bytes(table), table.code_bytes(), ids)));
    }
  }
}

TEST(CodeBlocksTest, AppendAsPackedFromScratch) {
  for (const size_t bits : {size_t{7}, size_t{64}, size_t{100}}) {
    Rng rng(bits);
    CodeBlocks blocks(bits);
    std::vector<uint8_t> all;
    EXPECT_EQ(blocks.size(), 0u);
    for (size_t i = 0; i < 130; ++i) {
      const std::vector<uint8_t> code = RandomBytes(rng, blocks.code_bytes());
      blocks.Append(code);
      all.insert(all.end(), code.begin(), code.end());
      ASSERT_EQ(blocks.size(), i + 1);
      ASSERT_TRUE(
          SameValues<uint8_t>(Bytes(blocks), reference::PackCodeBlocks(all, blocks.code_bytes())))
          << "bits=" << bits << " after " << i + 1;
    }
  }
}

TEST(CodeBlocksTest, AppendAfterGatherAndReplaceAnywhere) {
  const CodeTable table(BellItems(40, 16, 1), Planes(16, 100));
  Rng rng(6);
  const std::vector<int32_t> ids = RandomIds(rng, 127, 40);
  CodeBlocks blocks(table, ids);
  std::vector<uint8_t> all;
  for (const int32_t id : ids) {
    const auto row = table.row(static_cast<size_t>(id));
    all.insert(all.end(), row.begin(), row.end());
  }
  for (int i = 0; i < 3; ++i) {
    const std::vector<uint8_t> code = RandomBytes(rng, 13);
    blocks.Append(code);
    all.insert(all.end(), code.begin(), code.end());
  }
  for (const size_t at : {size_t{0}, size_t{63}, size_t{64}, size_t{127}, size_t{129}}) {
    const std::vector<uint8_t> code = RandomBytes(rng, 13);
    blocks.Replace(at, code);
    std::ranges::copy(code, all.begin() + at * 13);
    const AlignedVector<uint8_t> read = blocks.code(at);
    EXPECT_TRUE(SameValues<uint8_t>(read, code)) << "position " << at;
  }
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(blocks), reference::PackCodeBlocks(all, 13)));
}

TEST(CodeBlocksTest, WrongArguments) {
  EXPECT_TRUE(Has(Error([] { CodeBlocks(size_t{0}); }), "0"));
  EXPECT_TRUE(Has(Error([] { CodeBlocks(size_t{4097}); }), "4097"));
  EXPECT_EQ(CodeBlocks(size_t{4096}).code_bytes(), 512u);
  const CodeTable table(BellItems(10, 16, 1), Planes(16, 20));
  for (const int32_t bad : {-1, 10, std::numeric_limits<int32_t>::min()}) {
    const std::vector<int32_t> ids = {0, 9, bad};
    EXPECT_TRUE(Has(Error([&] { CodeBlocks(table, ids); }), std::to_string(bad))) << bad;
  }
  CodeBlocks blocks(table, std::vector<int32_t>{1, 2});
  const std::vector<uint8_t> before(blocks.data(), blocks.data() + blocks.bytes());
  const std::vector<uint8_t> code(4, 0xFF);
  const std::span<const uint8_t> bytes(code);
  for (const auto wrong : {bytes, bytes.first(2), bytes.first(0)}) {
    EXPECT_NE(Error([&] { blocks.Append(wrong); }), "") << wrong.size();
    EXPECT_NE(Error([&] { blocks.Replace(0, wrong); }), "") << wrong.size();
  }
  EXPECT_NE(Error([&] { blocks.Replace(2, bytes.first(3)); }), "");
  EXPECT_NE(Error([&] { blocks.Replace(SIZE_MAX, bytes.first(3)); }), "");
  EXPECT_NE(Error([&] { blocks.code(2); }), "");
  EXPECT_EQ(blocks.size(), 2u);
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(blocks), before));
}

}  // namespace
}  // namespace eta::test
