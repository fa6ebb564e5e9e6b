// SPDX-License-Identifier: Apache-2.0
// simd/rerank_i8.h against core/reference/rerank.h on every target. Its retriever is tested with
// the float one, in tests/core/rerank_retriever_test.cc.
#include "simd/rerank_i8.h"

#include "core/reference/dot_i8.h"
#include "core/reference/rerank.h"
#include "simd/dot_i8.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kItems = 29;
constexpr size_t kDims[] = {1,  2,  3,  4,  7,   15,  16,  17,  31,  32,  33,  47,
                            63, 64, 65, 96, 100, 127, 128, 129, 192, 256, 300, 4096};
constexpr size_t kCounts[] = {0, 1, 2, 3, 4, 5, 8, 17, 64, 101};

// What rows and queries hold.
enum Pattern {
  kAnyByte,    // -128 among them
  kLargest,    // sums as large as they can be
  kAlternate,  // 127 and -127: sums near 0 of large products
  kPatterns
};

reference::I8Matrix MakeRows(Pattern pattern, Rng& rng, size_t count, size_t dim) {
  reference::I8Matrix rows;
  for (size_t r = 0; r < count; ++r) {
    for (size_t d = 0; d < dim; ++d) {
      const int value = pattern == kAnyByte   ? static_cast<int>(Below(rng, 256)) - 128
                        : pattern == kLargest ? (r % 2 == 0 ? -128 : 127)
                                              : (d % 2 == 0 ? 127 : -127);
      rows.values.push_back(static_cast<int8_t>(value));
    }
    rows.scales.push_back(r % 7 == 6 ? 0.0f : BellFloat(rng));
  }
  return rows;
}

class DotI8RowsTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(DotI8RowsTest);

// The last row of the table ends where its array ends, and so do the query, the scales and, by
// turns, the ids and scores. Between rows lies something that would be seen in a sum.
TEST_P(DotI8RowsTest, AsReference) {
  for (const size_t dim : kDims) {
    for (const size_t count : kCounts) {
      for (int pattern = 0; pattern < kPatterns; ++pattern) {
        Rng rng(dim * 1000 + count * 10 + static_cast<size_t>(pattern));
        const size_t stride = dim + Below(rng, 3), offset = Below(rng, 4);
        SCOPED_TRACE(::testing::Message() << "target=" << simd::TargetName(GetParam()) << " dim="
                                          << dim << " count=" << count << " pattern=" << pattern
                                          << " stride=" << stride << " offset=" << offset);
        const auto table = MakeRows(static_cast<Pattern>(pattern), rng, kItems, dim);
        const auto query = MakeRows(static_cast<Pattern>(pattern), rng, 1, dim);
        std::vector<int32_t> list = RandomIds(rng, count, kItems);
        if (count > 0) list.back() = kItems - 1;
        Buffer<int8_t> rows(WithStride<int8_t>(table.values, dim, stride, 113), offset);
        Buffer<int8_t> exact_query(std::span<const int8_t>(query.values), (offset + 1) % 4);
        Buffer<float> scales(std::span<const float>(table.scales), offset);
        Buffer<int32_t> ids(std::span<const int32_t>(list), offset);
        Buffer<float> scores(count, (offset + 2) % 4, Below(rng, 2) * 16);
        simd::DotI8Rows({rows.data(), scales.data(), kItems, dim, stride}, {ids.data(), count},
                        {exact_query.data(), query.scales[0]}, scores.data());
        EXPECT_TRUE(
            SameValues<float>(scores.span(), reference::DotI8Rows(table, list, query, 0, dim)));
      }
    }
  }
}

// The scan's own kernel, in another layout, gives the same bits.
TEST_P(DotI8RowsTest, AsTheScan) {
  for (const size_t dim : {size_t{5}, size_t{64}, size_t{130}}) {
    Rng rng(dim);
    const size_t n = 70;
    const auto floats = MakeFloats((n + 1) * dim, [&] { return BellFloat(rng); });
    std::vector<int8_t> values((n + 1) * dim);
    std::vector<float> scales(n + 1), rescored(n), scanned(simd::PaddedRows(n));
    simd::QuantizeI8(simd::DenseRows(floats.data(), n + 1, dim), values.data(), dim, scales.data());
    std::vector<uint8_t> blocks(simd::I8BlocksBytes(n, dim));
    std::vector<float> block_scales(simd::PaddedRows(n));
    simd::PackI8Blocks({values.data(), scales.data(), n, dim, dim}, blocks.data(),
                       block_scales.data());
    const int8_t* query = values.data() + n * dim;
    std::vector<uint8_t> scratch(simd::DotI8ScoresScratchBytes());
    simd::DotI8Scores({blocks.data(), block_scales.data(), n, dim}, {query, &scales[n], 1, dim},
                      scratch.data(), scanned.data(), scanned.size());
    std::vector<int32_t> ids;
    for (size_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(n - 1 - i));
    simd::DotI8Rows({values.data(), scales.data(), n + 1, dim, dim}, {ids.data(), n},
                    {query, scales[n]}, rescored.data());
    std::ranges::reverse(rescored);
    EXPECT_TRUE(SameValues<float>(rescored, std::span<const float>(scanned).first(n))) << dim;
  }
}

TEST_P(DotI8RowsTest, NoRowsNeedNoMemory) {
  const int8_t query = 1;
  simd::DotI8Rows({nullptr, nullptr, 0, 1, 1}, {nullptr, 0}, {&query, 1.0f}, nullptr);
}

}  // namespace
}  // namespace eta::test
