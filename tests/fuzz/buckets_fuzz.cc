// SPDX-License-Identifier: Apache-2.0
// simd/buckets.h against plain counting.
#include "simd/buckets.h"

#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

void Run(Input in) {
  const size_t rounds = in.Size(1, 400), n = std::min(in.Size(0, 3000), 16000 / rounds);
  const size_t padded = simd::PaddedRows(n), offset = in.Between(0, 7);
  const auto planes = in.Any<uint16_t>(simd::BucketPlanesSize(n, rounds));
  auto query = in.Any<uint16_t>(rounds);
  // A behaviour's own buckets, so that every round counts.
  for (size_t r = 0; n > 0 && in.Flag() && r < rounds; ++r) query[r] = planes[r * padded];
  Buffer<uint16_t> plane_values(planes, offset), query_values(query, offset);
  OnTargets(in, [&] {
    Buffer<uint16_t> counts(padded, offset, 8);
    simd::CountSharedBuckets({plane_values.data(), n, rounds}, query_values.data(), counts.data());
    for (size_t i = 0; i < n; ++i) {
      size_t expected = 0;
      for (size_t r = 0; r < rounds; ++r) expected += planes[r * padded + i] == query[r];
      ASSERT_EQ(counts[i], expected) << i << " of " << n;
    }
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
