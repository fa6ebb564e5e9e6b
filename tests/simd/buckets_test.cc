// SPDX-License-Identifier: Apache-2.0
// simd/buckets.h against its scalar twin, on every target.
#include "simd/buckets.h"

#include "core/reference/buckets.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

class BucketsTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(BucketsTest);

TEST_P(BucketsTest, CountsEqualBuckets) {
  Rng rng(1);
  for (const size_t n : {0, 1, 2, 63, 64, 65, 127, 128, 129, 1000}) {
    for (const size_t rounds : {1, 2, 3, 8, 300}) {
      const size_t padded = simd::PaddedRows(n);
      Buffer<uint16_t> planes(simd::BucketPlanesSize(n, rounds), n % 5);
      const auto draw = [&rng] {  // 0, 32767, 65534
        return static_cast<uint16_t>(Below(rng, 3) * 32767);
      };
      for (size_t i = 0; i < planes.size(); ++i) planes[i] = draw();
      std::vector<uint16_t> buckets(n * rounds);
      for (size_t i = 0; i < n; ++i) {
        for (size_t r = 0; r < rounds; ++r) buckets[i * rounds + r] = planes[r * padded + i];
      }
      Buffer<uint16_t> query(rounds, n % 3);
      for (size_t r = 0; r < rounds; ++r) query[r] = draw();
      Buffer<uint16_t> counts(padded, n % 5, 8);
      simd::CountSharedBuckets({planes.data(), n, rounds}, query.data(), counts.data());
      const std::vector<uint16_t> expected =
          reference::CountSharedBuckets(buckets, {query.data(), rounds});
      ASSERT_EQ(std::vector<uint16_t>(counts.data(), counts.data() + n), expected)
          << "n=" << n << " rounds=" << rounds;
    }
  }
}

}  // namespace
}  // namespace eta::test
