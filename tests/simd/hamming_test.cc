// SPDX-License-Identifier: Apache-2.0
// Distances of simd/hamming.h against core/reference/hamming.h on every target.
#include "simd/hamming.h"

#include "core/reference/hamming.h"
#include "tests/support/hamming_cases.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

class HammingTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(HammingTest);

template <class T>
void ExpectDistances(const HammingCase& c) {
  SCOPED_TRACE(c);
  const HammingData data = MakeHammingData(c);
  Buffer<uint8_t> blocks = MakeHammingBlocks(c, data);
  Buffer<uint8_t> query(std::span<const uint8_t>(data.query), c.offset);
  Buffer<T> distances(simd::PaddedRows(c.n), c.offset, c.seed % 2 * 64);
  simd::HammingDistances({blocks.data(), c.n, c.code_bytes()}, query.data(), distances.data());
  const auto wide = reference::HammingDistances(data.codes, data.query);
  const std::vector<T> expected(wide.begin(), wide.end());
  EXPECT_TRUE(SameValues<T>({distances.data(), c.n}, expected));
}

TEST_P(HammingTest, ByteDistances) {
  for (const HammingCase& c : HammingSweep()) {
    if (c.code_bytes() <= simd::kMaxByteDistanceCodeBytes) ExpectDistances<uint8_t>(c);
  }
}

TEST_P(HammingTest, WordDistances) {
  for (const HammingCase& c : HammingSweep()) ExpectDistances<uint16_t>(c);
}

// All bits differ, at every width about which a partial sum in a byte could overflow.
TEST_P(HammingTest, LargestDistances) {
  std::vector<size_t> widths = {126, 127, 128, 254, 255, 256, 257, 511, 512, 1023, 8191};
  for (size_t code_bytes = 1; code_bytes <= 100; ++code_bytes) widths.push_back(code_bytes);
  for (const size_t code_bytes : widths) {
    const HammingCase c{65, code_bytes * 8, kComplement, kNoise, 0, code_bytes};
    ExpectDistances<uint16_t>(c);
    if (code_bytes <= simd::kMaxByteDistanceCodeBytes) ExpectDistances<uint8_t>(c);
  }
}

}  // namespace
}  // namespace eta::test
