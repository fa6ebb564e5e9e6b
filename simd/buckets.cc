// SPDX-License-Identifier: Apache-2.0
#include "simd/buckets.h"

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/buckets.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

void CountSharedBucketsOnTarget(const BucketPlanesView& planes, const uint16_t* query,
                                uint16_t* counts) {
  const hn::CappedTag<uint16_t, 32> d;  // so that two vectors fit a block
  const size_t N = hn::Lanes(d);
  const size_t stride = PaddedRows(planes.n);
  for (size_t i = 0; i < stride; i += 2 * N) {
    auto a = hn::Zero(d), b = a;
    const uint16_t* plane = planes.data + i;
    for (size_t r = 0; r < planes.rounds; ++r, plane += stride) {
      const auto q = hn::Set(d, query[r]);
      // A lane of a mask is -1 where buckets are equal.
      a = hn::Sub(a, hn::VecFromMask(d, hn::Eq(hn::LoadU(d, plane), q)));
      b = hn::Sub(b, hn::VecFromMask(d, hn::Eq(hn::LoadU(d, plane + N), q)));
    }
    hn::StoreU(a, d, counts + i);
    hn::StoreU(b, d, counts + i + N);
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(CountSharedBucketsOnTarget);

void CountSharedBuckets(const BucketPlanesView& planes, const uint16_t* query, uint16_t* counts) {
  ETA_SIMD_REQUIRE(planes.rounds < size_t{1} << 16);
  HWY_DYNAMIC_DISPATCH(CountSharedBucketsOnTarget)(planes, query, counts);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
