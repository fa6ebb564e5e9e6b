// SPDX-License-Identifier: Apache-2.0
// How much stack kernels use, on every target: what the headers say, and not more. Services run
// them on small stacks, of fibers and thread pools.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "simd/asym.h"
#include "simd/attention_heads.h"
#include "simd/attention_rows.h"
#include "simd/code_blocks.h"
#include "simd/dot.h"
#include "simd/dot_i8.h"
#include "simd/factors.h"
#include "simd/hadamard.h"
#include "simd/hamming.h"
#include "simd/pq4.h"
#include "simd/pq4_encode.h"
#include "simd/rerank.h"
#include "simd/rerank_i8.h"
#include "simd/simhash.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kStack = size_t{1} << 20;
constexpr uint8_t kUntouched = 0x5A;

// Bytes of a thread's stack that `call` has written to, with what a thread needs itself.
size_t StackOf(const std::function<void()>& call) {
  void* stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(stack, MAP_FAILED);
  auto* bytes = static_cast<uint8_t*>(stack);
  std::fill(bytes, bytes + kStack, kUntouched);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, kStack);
  pthread_t thread;
  const auto run = [](void* f) -> void* {
    (*static_cast<const std::function<void()>*>(f))();
    return nullptr;
  };
  EXPECT_EQ(pthread_create(&thread, &attributes, run, const_cast<std::function<void()>*>(&call)),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  size_t untouched = 0;
  while (untouched < kStack && bytes[untouched] == kUntouched) ++untouched;
  munmap(stack, kStack);
  return kStack - untouched;
}

class StackTest : public TargetTest {
 protected:
  // Holds the stack of a kernel against `limit` KB.
  void Expect(const char* kernel, size_t limit, const std::function<void()>& call) {
    call();  // the first call of a function resolves it
    const size_t used = StackOf(call) - StackOf([] {});
    // The vectors of the portable target are arrays.
    if (simd::TargetName(GetParam()) == std::string("EMU128")) limit *= 2;
    EXPECT_LE(used, limit * 1024) << kernel;
    RecordProperty(kernel, static_cast<int>(used));
  }
};
ETA_FOR_EVERY_TARGET(StackTest);

TEST_P(StackTest, IsWhatTheHeadersSay) {
#ifndef NDEBUG
  GTEST_SKIP() << "stacks are larger without optimisation and under sanitizers";
#endif
  constexpr size_t kRows = 4096, kWide = 512, kDim = 4096, kQueries = 4, kK = 64, kFew = 128;
  const std::vector<uint8_t> bytes(kRows * kWide), queries(kQueries * kWide * 32);
  const std::vector<int8_t> weights(kQueries * kDim);
  const std::vector<float> floats(kFew * kDim), scales(kRows);
  const std::vector<uint32_t> signs(simd::HadamardSignCount(kDim, kDim));
  std::vector<uint8_t> scratch(size_t{4} << 20), narrow(kRows * kWide);
  std::vector<uint16_t> wide(kRows);
  std::vector<float> out(kFew * kDim);
  std::vector<int32_t> positions(kQueries * kK), ids(kFew), counts(1, kFew);
  const simd::TopKOptions options{kK, simd::TieOrder::kNewestFirst, simd::ResultOrder::kSorted};
  const simd::RowsView<float> table = simd::DenseRows(floats.data(), kFew, kDim);

  for (const size_t code_bytes : {size_t{8}, kWide}) {
    const size_t n = code_bytes == kWide ? 512 : kRows;  // one chunk is narrow, many are wide
    const simd::CodeBlocksView rows{bytes.data(), n, code_bytes};
    const simd::FactorBlocksView factor_rows{bytes.data(), n, (code_bytes - 1) * 8};
    Expect("HammingTopK", 12, [&] {
      simd::HammingTopK(rows, {queries.data(), kQueries, code_bytes}, options, scratch.data(),
                        {positions.data()});
    });
    Expect("AsymTopK", 12, [&] {
      simd::AsymTopK(rows, {weights.data(), kQueries, kDim}, options, scratch.data(),
                     {positions.data()});
    });
    Expect("Pq4TopK", 12, [&] {
      simd::Pq4TopK(rows, {queries.data(), kQueries, code_bytes * 32}, options, scratch.data(),
                    {positions.data()});
    });
    Expect("NormTopK", 12, [&] {
      simd::NormTopK(factor_rows, {queries.data(), kQueries, code_bytes}, options, scratch.data(),
                     {positions.data()});
    });
    Expect("AsymFactorTopK", 12, [&] {
      simd::AsymFactorTopK(factor_rows, {weights.data(), kQueries, kDim}, options, scratch.data(),
                           {positions.data()});
    });
    Expect("NormDistances", 20,
           [&] { simd::NormDistances(factor_rows, queries.data(), narrow.data()); });
    Expect("AsymFactorDistances", 20,
           [&] { simd::AsymFactorDistances(factor_rows, weights.data(), narrow.data()); });
  }
  Expect("AsymPenalties", 17, [&] {
    simd::AsymPenalties({bytes.data(), 512, kWide}, weights.data(), wide.data());
  });
  Expect("HammingDistances", 12, [&] {
    simd::HammingDistances({bytes.data(), 512, kWide}, queries.data(), wide.data());
  });
  Expect("GatherCodeBlocks", 12, [&] {
    simd::GatherCodeBlocks({bytes.data(), kRows, kWide, kWide}, {ids.data(), kFew}, narrow.data());
  });
  Expect("DotI8Scores", 4, [&] {
    simd::DotI8Scores({bytes.data(), scales.data(), kFew, kDim},
                      {weights.data(), scales.data(), kQueries, kDim}, scratch.data(), out.data(),
                      kFew);
  });
  Expect("DotI8TopK", 12, [&] {
    simd::DotI8TopK({bytes.data(), scales.data(), 1024, 64},
                    {weights.data(), scales.data(), kQueries, 64}, options, scratch.data(),
                    {positions.data()});
  });
  Expect("DotTopK", 12, [&] {
    simd::DotTopK({floats.data(), 1024, 64}, {floats.data(), kQueries, 64}, options, scratch.data(),
                  {positions.data()});
  });
  Expect("DotRows", 12, [&] {
    simd::DotRows(table, {ids.data(), kFew}, floats.data(), out.data());
  });
  Expect("DotI8Rows", 12, [&] {
    simd::DotI8Rows({weights.data(), scales.data(), kQueries, kDim, kDim}, {ids.data(), kFew},
                    {weights.data(), 1.0f}, out.data());
  });
  Expect("SimHashEncode", 12, [&] {
    simd::SimHashEncode(simd::DenseRows(floats.data(), 8, 64), {floats.data(), 64, 4096},
                        narrow.data(), kWide);
  });
  Expect("HadamardEncode", 36, [&] {
    simd::HadamardEncode(table, {signs.data(), kDim}, narrow.data(), kWide);
  });
  Expect("Pq4Encode", 12, [&] {
    simd::Pq4Encode(simd::DenseRows(floats.data(), 8, 1024), {floats.data(), 1024, 1024},
                    narrow.data(), kWide);
  });
  Expect("Pq4Tables", 72, [&] {
    simd::Pq4Tables(simd::DenseRows(floats.data(), 8, 1024), {floats.data(), 1024, 1024},
                    narrow.data(), 16 * 1024);
  });
  Expect("AttendRows", 12, [&] {
    simd::AttendRows({simd::DenseRows(floats.data(), kRows, 64), ids.data(), counts.data(), kFew},
                     4, {floats.data(), 4, 64}, scratch.data(), {out.data(), 64});
  });
}

}  // namespace
}  // namespace eta::test
