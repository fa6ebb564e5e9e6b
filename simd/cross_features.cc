// SPDX-License-Identifier: Apache-2.0
#include "simd/cross_features.h"

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/cross_features.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/i8_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kCrossPartials = 16;  // of simd/cross_features.h
constexpr size_t kCrossRowsAhead = 4;  // rows come from all over a table

// Vectors whose lanes divide the partial sums. Sums across lanes need a fixed lane count, so SVE
// uses 4 lanes.
#if HWY_HAVE_SCALABLE
using CrossTag = FourLanes<float>;
#else
using CrossTag = PanelTag;
#endif
using CrossVector = hn::Vec<CrossTag>;
constexpr size_t kCrossLanes = hn::MaxLanes(CrossTag());
constexpr size_t kCrossVectors = kCrossPartials / kCrossLanes;

// Calls step(k, vector k) for the vectors of partial sums that there are. Named, not an array,
// because SVE vectors have no size at compile time.
template <class Step>
HWY_INLINE void ForEachCrossVector(CrossVector& v0, CrossVector& v1, CrossVector& v2,
                                   CrossVector& v3, Step step) {
  step(0, v0);
  if constexpr (kCrossVectors > 1) step(1, v1);
  if constexpr (kCrossVectors > 2) {
    step(2, v2);
    step(3, v3);
  }
}

// Writes the products of a part behind it, and adds them, times weight, to the partial sums.
HWY_INLINE void CrossPart(const float* HWY_RESTRICT c, float* HWY_RESTRICT x, size_t dim,
                          float weight, CrossVector& t0, CrossVector& t1, CrossVector& t2,
                          CrossVector& t3) {
  const CrossTag d;
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + kCrossPartials <= dim; i += kCrossPartials) {
    ForEachCrossVector(
        s0, s1, s2, s3, [=](size_t k, CrossVector & sum) HWY_ATTR __attribute__((always_inline)) {
          const size_t at = i + k * kCrossLanes;
          const auto a = hn::LoadU(d, c + at), b = hn::LoadU(d, x + at);
          hn::StoreU(hn::Mul(a, b), d, x + dim + at);
          sum = QuickFma(d, a, b, sum);
        });
  }
  if (i < dim) {
    ForEachCrossVector(
        s0, s1, s2, s3, [=](size_t k, CrossVector & sum) HWY_ATTR __attribute__((always_inline)) {
          const size_t at = HWY_MIN(i + k * kCrossLanes, dim), count = dim - at;
          const auto a = LoadFirst(d, c + at, count), b = LoadFirst(d, x + at, count);
          StoreFirst(d, hn::Mul(a, b), count, x + dim + at);
          sum = QuickFma(d, a, b, sum);
        });
  }
  const auto w = hn::Set(d, weight);
  t0 = QuickFma(d, w, s0, t0);
  if constexpr (kCrossVectors > 1) t1 = QuickFma(d, w, s1, t1);
  if constexpr (kCrossVectors > 2) {
    t2 = QuickFma(d, w, s2, t2);
    t3 = QuickFma(d, w, s3, t3);
  }
}

// Writes the products of a row, and returns the weighted sum.
HWY_INLINE float CrossRow(const float* c, float* x, size_t dim, size_t parts,
                          const float* weights) {
  const CrossTag d;
  auto t0 = hn::Zero(d), t1 = t0, t2 = t0, t3 = t0;
  for (size_t p = 0; p < parts; ++p) {
    CrossPart(c, x + 2 * p * dim, dim, weights[p], t0, t1, t2, t3);
  }
  if constexpr (kCrossVectors == 2) t0 = hn::Add(t0, t1);
  if constexpr (kCrossVectors == 4) t0 = hn::Add(hn::Add(t0, t2), hn::Add(t1, t3));
  HWY_ALIGN float lanes[4];
  hn::Store(FoldToFourLanes(d, t0), FourLanes<float>(), lanes);
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

// Calls then(r) for each row once it is crossed.
template <class Then>
HWY_INLINE void CrossRows(RowsView<float> table, const int32_t* ids, FeatureRows features,
                          const float* weights, float* sums, Then then) {
  const size_t dim = table.width;
  for (size_t r = 0; r < features.count; ++r) {
    if (r + kCrossRowsAhead < features.count) {
      const float* ahead = table.row(static_cast<size_t>(ids[r + kCrossRowsAhead]));
      for (size_t i = 0; i < dim; i += kCacheLineBytes / sizeof(float)) hwy::Prefetch(ahead + i);
    }
    const float* c = table.row(static_cast<size_t>(ids[r]));
    sums[r] = CrossRow(c, features.row(r), dim, features.parts, weights);
    then(r);
  }
}

HWY_MAYBE_UNUSED void CrossFeaturesOfTarget(const RowsView<float>& table, const int32_t* ids,
                                            const FeatureRows& features, const float* weights,
                                            float* sums) {
  CrossRows(table, ids, features, weights, sums, [](size_t) HWY_ATTR {});
}

HWY_MAYBE_UNUSED void CrossFeaturesToU8OfTarget(const RowsView<float>& table, const int32_t* ids,
                                                const FeatureRows& features, const float* weights,
                                                float* sums, const U8OutputRows& out) {
  const size_t width = 2 * features.parts * table.width;
  CrossRows(table, ids, features, weights, sums, [=](size_t r) HWY_ATTR {
    constexpr int kZero = 128;  // U8ZeroPoint(Activation::kNone)
    out.scales[r] = RoundToBytes<false>(features.row(r), width, kZero, out.row(r));
  });
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(CrossFeaturesOfTarget);
HWY_EXPORT(CrossFeaturesToU8OfTarget);

namespace {

HWY_MAYBE_UNUSED bool AreCrossed(const RowsView<float>& table, const int32_t* ids,
                                 const FeatureRows& features) {
  return AreRows(table) && features.parts >= 1 &&
         features.stride >= SaturatingProduct(SaturatingProduct(2, features.parts), table.width) &&
         AreIds({ids, features.count}, table.count);
}

}  // namespace

void CrossFeatures(const RowsView<float>& table, const int32_t* ids, const FeatureRows& features,
                   const float* weights, float* sums) {
  ETA_SIMD_REQUIRE(AreCrossed(table, ids, features));
  HWY_DYNAMIC_DISPATCH(CrossFeaturesOfTarget)(table, ids, features, weights, sums);
}

void CrossFeaturesToU8(const RowsView<float>& table, const int32_t* ids,
                       const FeatureRows& features, const float* weights, float* sums,
                       const U8OutputRows& out) {
  ETA_SIMD_REQUIRE(AreCrossed(table, ids, features) &&
                   out.stride >= 2 * features.parts * table.width);
  HWY_DYNAMIC_DISPATCH(CrossFeaturesToU8OfTarget)(table, ids, features, weights, sums, out);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
