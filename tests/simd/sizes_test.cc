// SPDX-License-Identifier: Apache-2.0
// Sizes of buffers neither trap nor wrap, whatever they are asked, and distances that do not fit
// their type are refused in every build.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "simd/asym.h"
#include "simd/attention_all.h"
#include "simd/attention_heads.h"
#include "simd/attention_rows.h"
#include "simd/buckets.h"
#include "simd/code_blocks.h"
#include "simd/dot.h"
#include "simd/dot_i8.h"
#include "simd/factors.h"
#include "simd/hadamard.h"
#include "simd/hamming.h"
#include "simd/linear.h"
#include "simd/pq4.h"
#include "simd/pq4_encode.h"
#include "simd/rerank.h"
#include "simd/simhash.h"

namespace eta::test {
namespace {

constexpr size_t kMost = SIZE_MAX;
constexpr size_t kTooMany = size_t{1} << 31;

TEST(Scratch, OfSizesThatNoKernelTakesIsTheLargestSize) {
  for (const auto bytes :
       {simd::HammingTopKScratchBytes, simd::AsymTopKScratchBytes, simd::Pq4TopKScratchBytes}) {
    for (const size_t code_bytes : {size_t{0}, size_t{513}, kMost}) {
      EXPECT_EQ(bytes(1000, code_bytes, 64), kMost) << code_bytes;
    }
    for (const size_t n : {kTooMany, kMost}) EXPECT_EQ(bytes(n, 8, 64), kMost) << n;
  }
  for (const auto bytes : {simd::NormTopKScratchBytes, simd::AsymFactorTopKScratchBytes}) {
    for (const size_t bits : {size_t{0}, size_t{4097}, kMost}) {
      EXPECT_EQ(bytes(1000, bits, 64), kMost) << bits;
    }
    for (const size_t n : {kTooMany, kMost}) EXPECT_EQ(bytes(n, 64, 64), kMost) << n;
  }
  for (const size_t n : {kTooMany, kMost}) {
    EXPECT_EQ(simd::DotTopKScratchBytes(n, 64), kMost);
    EXPECT_EQ(simd::DotI8TopKScratchBytes(n, 64), kMost);
    EXPECT_EQ(simd::RerankTopKScratchBytes(n), kMost);
    EXPECT_EQ(simd::AttendHeadsScratchBytes(n), kMost);
    EXPECT_EQ(simd::AttendRowsScratchBytes(n, 64, 4), kMost);
    EXPECT_EQ(simd::AttendRowsScratchBytes(64, n, 4), kMost);
    EXPECT_EQ(simd::AttendRowsScratchBytes(64, 64, n), kMost);
  }
  EXPECT_EQ(simd::AttendAllScratchBytes(kMost), kMost);
  EXPECT_EQ(simd::AttendAllScratchBytes(kMost / 32), kMost);
}

// The largest calls that kernels take, and the smallest.
TEST(Scratch, OfCallsThatKernelsTakeExists) {
  constexpr size_t kMostRows = kTooMany - 1;
  for (const size_t k : {size_t{0}, size_t{1}, kMostRows, kMost}) {
    for (const size_t n : {size_t{0}, size_t{1}, kMostRows}) {
      SCOPED_TRACE(::testing::Message() << "n=" << n << " k=" << k);
      const size_t room = std::min(n, k) * sizeof(int32_t);  // more than a list of k positions
      for (const size_t width : {1, 512}) {
        for (const size_t bytes :
             {simd::HammingTopKScratchBytes(n, width, k), simd::AsymTopKScratchBytes(n, width, k),
              simd::Pq4TopKScratchBytes(n, width, k), simd::NormTopKScratchBytes(n, width * 8, k),
              simd::AsymFactorTopKScratchBytes(n, width * 8, k), simd::DotTopKScratchBytes(n, k),
              simd::DotI8TopKScratchBytes(n, k)}) {
          EXPECT_GE(bytes, room);
          EXPECT_LT(bytes, kMost / 2);
        }
      }
    }
  }
  EXPECT_LT(simd::AttendRowsScratchBytes(kMostRows, 1, 1), kMost / 2);
  EXPECT_GE(simd::AttendRowsScratchBytes(kMostRows, 64, 1), kMostRows * 64 * sizeof(float));
  EXPECT_LT(simd::AttendAllScratchBytes(kMostRows), kMost / 2);
}

TEST(Sizes, StopAtTheLargest) {
  EXPECT_EQ(simd::PaddedRows(kMost), kMost);
  EXPECT_EQ(simd::PaddedRows(kMost - 64), kMost - 63);  // a multiple of 64
  EXPECT_EQ(simd::NumBlocks(kMost), kMost / 64 + 1);
  EXPECT_EQ(simd::CodeBlocksBytes(kMost / 4, 8), kMost);
  EXPECT_EQ(simd::FloatBlocksSize(kMost / 4, 64), kMost);
  EXPECT_EQ(simd::I8BlocksBytes(kMost / 4, 64), kMost);
  EXPECT_EQ(simd::I8Groups(kMost), kMost / 4 + 1);
  EXPECT_EQ(simd::BucketPlanesSize(kMost / 2, 4), kMost);
  EXPECT_EQ(simd::CodeBytes(kMost), kMost / 8 + 1);
  EXPECT_EQ(simd::FactorCodeBytes(kMost), kMost / 8 + 2);
  EXPECT_EQ(simd::PackedHyperplanesSize(2, kMost), kMost);
  EXPECT_EQ(simd::PackedHyperplanesSize(kMost, 2), kMost);
  EXPECT_EQ(simd::Pq4TableBytes(kMost / 2), kMost);
  EXPECT_EQ(simd::WeightBytes(kMost / 2), kMost);
  EXPECT_EQ(simd::PackedPq4CodebooksSize(kMost, 1), kMost);
  EXPECT_EQ(simd::PaddedColumns(kMost), kMost);
  EXPECT_EQ(simd::PackedLinearSize(kMost / 16, 17), kMost);
  EXPECT_EQ(simd::HadamardSize(kMost), kMost / 2 + 1);  // there is no larger power of two
  EXPECT_EQ(simd::HadamardSignCount(64, kMost), kMost);
}

TEST(RefusedDeathTest, DistancesThatDoNotFitTheirType) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::vector<uint8_t> blocks(64 * 8192), query(8192 * 32);
  const std::vector<int8_t> weights(8192);
  std::vector<uint8_t> bytes(64);
  std::vector<uint16_t> words(64);
  simd::HammingDistances({blocks.data(), 1, 31}, query.data(), bytes.data());
  EXPECT_DEATH(simd::HammingDistances({blocks.data(), 1, 32}, query.data(), bytes.data()),
               "kMaxByteDistanceCodeBytes");
  EXPECT_DEATH(simd::HammingDistances({blocks.data(), 1, 8192}, query.data(), words.data()),
               "8191");
  EXPECT_DEATH(simd::AsymPenalties({blocks.data(), 1, 17}, weights.data(), bytes.data()),
               "kMaxBytePenaltyCodeBytes");
  EXPECT_DEATH(simd::AsymPenalties({blocks.data(), 1, 513}, weights.data(), words.data()),
               "kMaxRankedCodeBytes");
  EXPECT_DEATH(simd::Pq4Penalties({blocks.data(), 1, 17}, query.data(), bytes.data()),
               "kPq4MaxByteCodeBytes");
  EXPECT_DEATH(simd::Pq4Penalties({blocks.data(), 1, 513}, query.data(), words.data()),
               "kMaxRankedCodeBytes");
}

}  // namespace
}  // namespace eta::test
