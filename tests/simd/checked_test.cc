// SPDX-License-Identifier: Apache-2.0
// Kernels compiled with ETA_SIMD_CHECKED end the process where a precondition does not hold, in an
// optimised build with NDEBUG too.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "simd/attention_heads.h"
#include "simd/attention_rows.h"
#include "simd/code_blocks.h"
#include "simd/dot.h"
#include "simd/dot_i8.h"
#include "simd/hamming.h"
#include "simd/rerank.h"
#include "simd/rerank_i8.h"
#include "simd/simhash.h"

namespace eta::test {
namespace {

class CheckedDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  // `size` bytes of scratch at most.
  simd::ScratchView Scratch(size_t size) {
    memory_.resize(size);
    return {memory_.data(), size};
  }

  static constexpr size_t kRows = 70;
  std::vector<uint8_t> memory_;
  std::vector<uint8_t> codes_ = std::vector<uint8_t>(kRows * 8);
  std::vector<uint8_t> blocks_ = std::vector<uint8_t>(simd::CodeBlocksBytes(kRows, 8));
  std::vector<float> floats_ = std::vector<float>(kRows * 16);
  std::vector<float> out_ = std::vector<float>(kRows * 16);
  std::vector<int8_t> values_ = std::vector<int8_t>(kRows * 16);
  std::vector<float> scales_ = std::vector<float>(simd::PaddedRows(kRows));
  int32_t positions_[4];
};

TEST_F(CheckedDeathTest, IdsOutsideTheTable) {
  const simd::RowsView<uint8_t> codes = simd::DenseRows(codes_.data(), kRows, 8);
  const simd::RowsView<float> floats = simd::DenseRows(floats_.data(), kRows, 16);
  const simd::I8RowsView values{values_.data(), scales_.data(), kRows, 16, 16};
  const int32_t good = kRows - 1;
  simd::GatherCodeBlocks(codes, {&good, 1}, blocks_.data());
  for (const int32_t id : {-1, static_cast<int32_t>(kRows)}) {
    EXPECT_DEATH(simd::GatherCodeBlocks(codes, {&id, 1}, blocks_.data()), "AreIds");
    EXPECT_DEATH(simd::GatherFloatBlocks(floats, {&id, 1}, out_.data()), "AreIds");
    EXPECT_DEATH(simd::GatherI8Blocks(values, {&id, 1}, blocks_.data(), out_.data()), "AreIds");
    EXPECT_DEATH(simd::DotRows(floats, {&id, 1}, floats_.data(), out_.data()), "AreIds");
    EXPECT_DEATH(simd::DotI8Rows(values, {&id, 1}, {values_.data(), 1.0f}, out_.data()), "AreIds");
    const int32_t count = 1;
    EXPECT_DEATH(simd::AttendRows({floats, &id, &count, 1}, 1, {floats_.data(), 1, 16},
                                  Scratch(1 << 16), {out_.data(), 16}),
                 "AreChosen");
    const simd::HeadLayout layout{1, 1};  // 16 columns: a row of the table has 32
    const simd::RowsView<float> table = simd::DenseRows(floats_.data(), kRows / 2, 32);
    EXPECT_DEATH(simd::AttendHeads({table, &id, &count, 1}, layout, {floats_.data(), 1, 16},
                                   Scratch(1 << 16), {out_.data(), 16}),
                 "AreChosen");
  }
}

TEST_F(CheckedDeathTest, ScratchThatIsTooSmall) {
  const simd::Queries<uint8_t> query{codes_.data(), 1, 8};
  const simd::CodeBlocksView rows{blocks_.data(), kRows, 8};
  const simd::TopKOptions options{4, simd::TieOrder::kNewestFirst, simd::ResultOrder::kSorted};
  const size_t bytes = simd::HammingTopKScratchBytes(kRows, 8, 4);
  EXPECT_EQ(simd::HammingTopK(rows, query, options, Scratch(bytes), {positions_}), 4u);
  EXPECT_DEATH(simd::HammingTopK(rows, query, options, Scratch(bytes - 1), {positions_}),
               "scratch.bytes");
  const simd::FloatBlocksView floats{floats_.data(), 1, 16};
  EXPECT_DEATH(simd::DotTopK(floats, {floats_.data(), 1, 16}, options,
                             Scratch(simd::DotTopKScratchBytes(1, 4) - 1), {positions_}),
               "scratch.bytes");
  const int32_t id = 0, count = 1;
  const simd::RowsView<float> table = simd::DenseRows(floats_.data(), kRows, 16);
  EXPECT_DEATH(
      simd::AttendRows({table, &id, &count, 1}, 1, {floats_.data(), 1, 16},
                       Scratch(simd::AttendRowsScratchBytes(1, 16, 1) - 1), {out_.data(), 16}),
      "scratch.bytes");
  EXPECT_DEATH(simd::DotI8Scores({blocks_.data(), scales_.data(), 1, 4},
                                 {values_.data(), scales_.data(), 1, 4},
                                 Scratch(simd::DotI8ScoresScratchBytes() - 1), out_.data(), 64),
               "scratch.bytes");
}

TEST_F(CheckedDeathTest, WidthsStridesAndSizes) {
  const simd::Queries<uint8_t> query{codes_.data(), 1, 8};
  EXPECT_DEATH(
      simd::HammingTopK({blocks_.data(), kRows, 0}, query, {4}, Scratch(9999), {positions_}),
      "HasBlockTopKScratch");
  EXPECT_DEATH(
      simd::HammingTopK({blocks_.data(), kRows, 513}, query, {4}, Scratch(9999), {positions_}),
      "HasBlockTopKScratch");
  EXPECT_DEATH(
      simd::HammingTopK({blocks_.data(), kRows, 8}, query, {0}, Scratch(9999), {positions_}),
      "options.k");
  EXPECT_DEATH(simd::HammingTopK({blocks_.data(), size_t{1} << 31, 8}, query, {4}, Scratch(9999),
                                 {positions_}),
               "HasBlockTopKScratch");
  EXPECT_DEATH(simd::PackCodeBlocks({codes_.data(), 2, 8, 7}, blocks_.data()), "AreRows");
  EXPECT_DEATH(simd::PackFloatBlocks({floats_.data(), 2, 8, SIZE_MAX / 4}, out_.data()), "AreRows");
  EXPECT_DEATH(simd::SimHashEncode(simd::DenseRows(floats_.data(), 2, 15), {floats_.data(), 16, 8},
                                   codes_.data(), 8),
               "planes.dim");
}

}  // namespace
}  // namespace eta::test
