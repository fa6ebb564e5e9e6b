// SPDX-License-Identifier: Apache-2.0
// A history grows while others scan it, by the rule of CopyCodeBlocks (simd/code_blocks.h): no race
// that ThreadSanitizer sees, and a scan finds the codes of its count.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/reference/code_blocks.h"
#include "simd/code_blocks.h"
#include "simd/hamming.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kCodeBytes = 8;

class AppendTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(AppendTest);

TEST_P(AppendTest, CopiesHaveTheCodesThatWereCounted) {
  constexpr size_t kMost = 300, kReaders = 2, kScans = 30;
  Rng rng(1);
  const std::vector<uint8_t> codes = RandomBytes(rng, kMost * kCodeBytes);
  std::vector<uint8_t> blocks(simd::CodeBlocksBytes(kMost, kCodeBytes));
  std::atomic<size_t> count{0};
  std::atomic<size_t> wrong{0};

  std::vector<std::thread> readers;
  for (size_t r = 0; r < kReaders; ++r) {
    readers.emplace_back([&] {
      std::vector<uint8_t> copy(blocks.size());
      std::vector<uint8_t> scratch(simd::HammingTopKScratchBytes(kMost, kCodeBytes, 1));
      for (size_t scan = 0, n = 0; scan < kScans || n < kMost; ++scan) {
        n = count.load(std::memory_order_acquire);
        if (n == 0) continue;
        simd::CopyCodeBlocks({blocks.data(), n, kCodeBytes}, copy.data());
        // The newest code must be found, at distance 0.
        int32_t position = -1;
        uint16_t distance = 1;
        simd::HammingTopK({copy.data(), n, kCodeBytes},
                          {&codes[(n - 1) * kCodeBytes], 1, kCodeBytes}, {1},
                          {scratch.data(), scratch.size()}, {&position, &distance});
        if (static_cast<size_t>(position) != n - 1 || distance != 0) ++wrong;
      }
    });
  }
  for (size_t i = 0; i < kMost; ++i) {
    simd::SetBlockCode(blocks.data(), kCodeBytes, i, &codes[i * kCodeBytes]);
    count.store(i + 1, std::memory_order_release);
    std::this_thread::yield();
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0u);
}

// Only the codes themselves are read, so a source that ends with them is enough for whole blocks,
// and what lies in the unused rows does not come along.
TEST(CopyCodeBlocks, CopiesTheCodesAndZeros) {
  for (const size_t n : {0, 1, 63, 64, 65, 127, 128, 200}) {
    for (const size_t code_bytes : {1, 2, 8, 33}) {
      SCOPED_TRACE(::testing::Message() << "n=" << n << " code_bytes=" << code_bytes);
      Rng rng(n + code_bytes);
      const std::vector<uint8_t> codes = RandomBytes(rng, n * code_bytes);
      const size_t bytes = simd::CodeBlocksBytes(n, code_bytes);
      Buffer<uint8_t> blocks(bytes), copy(bytes, n % 3, n % 2 * 64);
      for (size_t i = 0; i < n; ++i) {
        simd::SetBlockCode(blocks.data(), code_bytes, i, codes.data() + i * code_bytes);
      }
      simd::CopyCodeBlocks({blocks.data(), n, code_bytes}, copy.data());
      EXPECT_TRUE(SameValues<uint8_t>(copy.span(), reference::PackCodeBlocks(codes, code_bytes)));
    }
  }
}

}  // namespace
}  // namespace eta::test
