// SPDX-License-Identifier: Apache-2.0
#include "simd/rerank_i8.h"

#include <algorithm>
#include <cstring>

#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/rerank_i8.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/dot_i8-inl.h"

#ifndef ETA_SIMD_RERANK_I8_TYPES_
#define ETA_SIMD_RERANK_I8_TYPES_
namespace eta::simd {

struct DotI8RowsArguments {
  const int8_t* rows;
  size_t stride;
  const float* scales;
  const int32_t* ids;
  size_t count;
  size_t dim;
  const int8_t* query;
  float query_scale;
  float* scores;

  const int8_t* row(size_t i) const { return rows + static_cast<size_t>(ids[i]) * stride; }
};

}  // namespace eta::simd
#endif  // ETA_SIMD_RERANK_I8_TYPES_

// Functions with the instruction set of VNNI are inlined only into such.
#undef ETA_SIMD_RERANK_I8_ATTR
#ifdef ETA_SIMD_VNNI_ATTR
#define ETA_SIMD_RERANK_I8_ATTR ETA_SIMD_VNNI_ATTR
#else
#define ETA_SIMD_RERANK_I8_ATTR
#endif

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

// As with float rows (simd/rerank.cc): rows scored together, and how far ahead they are fetched.
inline constexpr size_t kI8RowsTogether = 4;
inline constexpr size_t kI8RowsAhead = 8;

using I8FourTag = hn::FixedTag<int32_t, 4>;
using I8FourVector = hn::Vec<I8FourTag>;

#ifdef ETA_SIMD_VNNI_ATTR

using RowSumTag = hn::CappedTag<int32_t, 16>;
inline constexpr size_t kI8Step = 64;  // dimensions of a vector

// The query as it is, 0 up to whole vectors. Returns where sums start from: -128 times its sum.
HWY_INLINE int32_t PrepareRowsQuery(const int8_t* query, size_t dim, int8_t* padded) {
  int32_t sum = 0;
  for (size_t d = 0; d < dim; ++d) sum += query[d];
  std::memcpy(padded, query, dim);
  std::memset(padded + dim, 0, kI8Step);
  return -128 * sum;
}

// VPDPBUSD takes the rows as its unsigned side: values plus 128, which the start of the sums takes
// back. What is past the end of a row is multiplied by 0.
ETA_SIMD_VNNI_ATTR HWY_INLINE __m512i AddRowProducts(__m512i sum, __m512i row, __m512i query) {
  return _mm512_dpbusd_epi32(sum, _mm512_xor_si512(row, _mm512_set1_epi8(-128)), query);
}

ETA_SIMD_VNNI_ATTR HWY_INLINE void FourRowSums(size_t dim, const int8_t* HWY_RESTRICT query,
                                               const int8_t* r0, const int8_t* r1, const int8_t* r2,
                                               const int8_t* r3, hn::Vec<RowSumTag>& sum0,
                                               hn::Vec<RowSumTag>& sum1, hn::Vec<RowSumTag>& sum2,
                                               hn::Vec<RowSumTag>& sum3) {
  __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
  size_t d = 0;
  for (; d + kI8Step <= dim; d += kI8Step) {
    const __m512i q = _mm512_loadu_si512(query + d);
    s0 = AddRowProducts(s0, _mm512_loadu_si512(r0 + d), q);
    s1 = AddRowProducts(s1, _mm512_loadu_si512(r1 + d), q);
    s2 = AddRowProducts(s2, _mm512_loadu_si512(r2 + d), q);
    s3 = AddRowProducts(s3, _mm512_loadu_si512(r3 + d), q);
  }
  if (d != dim) {
    const __mmask64 mask = ~uint64_t{0} >> (kI8Step - (dim - d));
    const __m512i q = _mm512_loadu_si512(query + d);
    s0 = AddRowProducts(s0, _mm512_maskz_loadu_epi8(mask, r0 + d), q);
    s1 = AddRowProducts(s1, _mm512_maskz_loadu_epi8(mask, r1 + d), q);
    s2 = AddRowProducts(s2, _mm512_maskz_loadu_epi8(mask, r2 + d), q);
    s3 = AddRowProducts(s3, _mm512_maskz_loadu_epi8(mask, r3 + d), q);
  }
  sum0 = hn::Vec<RowSumTag>{s0};
  sum1 = hn::Vec<RowSumTag>{s1};
  sum2 = hn::Vec<RowSumTag>{s2};
  sum3 = hn::Vec<RowSumTag>{s3};
}

#else

// Without VNNI: bytes widened to 16 bits, products of pairs.
using RowSumTag = hn::CappedTag<int32_t, 16>;
using RowPairTag = hn::Repartition<int16_t, RowSumTag>;
using RowByteTag = hn::Rebind<int8_t, RowPairTag>;
inline constexpr size_t kI8Step = 32;  // the most dimensions of a vector

HWY_INLINE int32_t PrepareRowsQuery(const int8_t* query, size_t dim, int8_t* padded) {
  std::memcpy(padded, query, dim);
  std::memset(padded + dim, 0, kI8Step);
  return 0;
}

// Dimensions d, d + 1, ... of a row, 0 past its end.
HWY_INLINE hn::Vec<RowPairTag> LoadRow(const int8_t* HWY_RESTRICT row, size_t d, size_t dim) {
  const RowByteTag d8;
  const RowPairTag d16;
  if (d + hn::Lanes(d8) <= dim) return hn::PromoteTo(d16, hn::LoadU(d8, row + d));
  HWY_ALIGN int8_t rest[kI8Step] = {0};
  std::memcpy(rest, row + d, dim - d);
  return hn::PromoteTo(d16, hn::Load(d8, rest));
}

HWY_INLINE void FourRowSums(size_t dim, const int8_t* HWY_RESTRICT query, const int8_t* r0,
                            const int8_t* r1, const int8_t* r2, const int8_t* r3,
                            hn::Vec<RowSumTag>& sum0, hn::Vec<RowSumTag>& sum1,
                            hn::Vec<RowSumTag>& sum2, hn::Vec<RowSumTag>& sum3) {
  const RowSumTag d32;
  const RowByteTag d8;
  const RowPairTag d16;
  // Sums t take the other half of the lanes on targets that split a pair.
  auto s0 = hn::Zero(d32), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
  for (size_t d = 0; d < dim; d += hn::Lanes(d8)) {
    const auto q = hn::PromoteTo(d16, hn::LoadU(d8, query + d));
    s0 = hn::ReorderWidenMulAccumulate(d32, LoadRow(r0, d, dim), q, s0, t0);
    s1 = hn::ReorderWidenMulAccumulate(d32, LoadRow(r1, d, dim), q, s1, t1);
    s2 = hn::ReorderWidenMulAccumulate(d32, LoadRow(r2, d, dim), q, s2, t2);
    s3 = hn::ReorderWidenMulAccumulate(d32, LoadRow(r3, d, dim), q, s3, t3);
  }
  sum0 = hn::Add(s0, t0);
  sum1 = hn::Add(s1, t1);
  sum2 = hn::Add(s2, t2);
  sum3 = hn::Add(s3, t3);
}

#endif  // ETA_SIMD_VNNI_ATTR

#if HWY_HAVE_SCALABLE

HWY_INLINE I8FourVector AddUpFour(hn::Vec<RowSumTag> s0, hn::Vec<RowSumTag> s1,
                                  hn::Vec<RowSumTag> s2, hn::Vec<RowSumTag> s3) {
  const RowSumTag d;
  HWY_ALIGN const int32_t sums[4] = {
      hn::GetLane(hn::SumOfLanes(d, s0)), hn::GetLane(hn::SumOfLanes(d, s1)),
      hn::GetLane(hn::SumOfLanes(d, s2)), hn::GetLane(hn::SumOfLanes(d, s3))};
  return hn::Load(I8FourTag(), sums);
}

#else

// Adds halves until four lanes are left.
template <class D>
HWY_INLINE I8FourVector FoldToFour(D d, hn::Vec<D> sum) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    (void)d;
    return sum;
  } else {
    const hn::Half<D> dh;
    return FoldToFour(dh, hn::Add(hn::LowerHalf(dh, sum), hn::UpperHalf(dh, sum)));
  }
}

// The sums of four rows, in order.
HWY_INLINE I8FourVector AddUpFour(hn::Vec<RowSumTag> s0, hn::Vec<RowSumTag> s1,
                                  hn::Vec<RowSumTag> s2, hn::Vec<RowSumTag> s3) {
  const RowSumTag d;
  const I8FourTag d4;
  const auto t0 = FoldToFour(d, s0), t1 = FoldToFour(d, s1);
  const auto t2 = FoldToFour(d, s2), t3 = FoldToFour(d, s3);
  const auto u01 = hn::Add(hn::ConcatLowerLower(d4, t1, t0), hn::ConcatUpperUpper(d4, t1, t0));
  const auto u23 = hn::Add(hn::ConcatLowerLower(d4, t3, t2), hn::ConcatUpperUpper(d4, t3, t2));
  return hn::Add(hn::ConcatEven(d4, u23, u01), hn::ConcatOdd(d4, u23, u01));
}

#endif

HWY_INLINE void PrefetchI8Row(const DotI8RowsArguments& args, size_t i) {
  constexpr size_t kLineBytes = 64;
  const int8_t* row = args.row(i);
  for (size_t d = 0; d < args.dim; d += kLineBytes) hwy::Prefetch(row + d);
  hwy::Prefetch(row + args.dim - 1);  // one line more when the row is not aligned
  hwy::Prefetch(args.scales + args.ids[i]);
}

ETA_SIMD_RERANK_I8_ATTR void ScoreI8Rows(const DotI8RowsArguments& args) {
  const I8FourTag d;
  const hn::RebindToFloat<I8FourTag> df;
  HWY_ALIGN int8_t query[kI8MaxDim + kI8Step];
  const size_t count = args.count;
  const auto start = hn::Set(d, PrepareRowsQuery(args.query, args.dim, query));
  const auto query_scale = hn::Set(df, args.query_scale);
  for (size_t i = 0; i < HWY_MIN(kI8RowsAhead, count); ++i) PrefetchI8Row(args, i);
  for (size_t i = 0; i < count; i += kI8RowsTogether) {
    const size_t ahead = HWY_MIN(i + kI8RowsAhead, count);
    for (size_t j = ahead; j < HWY_MIN(ahead + kI8RowsTogether, count); ++j) {
      PrefetchI8Row(args, j);
    }
    const auto at = [&](size_t r) { return HWY_MIN(i + r, count - 1); };
    hn::Vec<RowSumTag> s0, s1, s2, s3;
    FourRowSums(args.dim, query, args.row(at(0)), args.row(at(1)), args.row(at(2)), args.row(at(3)),
                s0, s1, s2, s3);
    HWY_ALIGN float scales[kI8RowsTogether];
    for (size_t r = 0; r < kI8RowsTogether; ++r) scales[r] = args.scales[args.ids[at(r)]];
    const auto sums = hn::ConvertTo(df, hn::Add(AddUpFour(s0, s1, s2, s3), start));
    const auto scores = hn::Mul(hn::Mul(sums, hn::Load(df, scales)), query_scale);
    if (i + kI8RowsTogether <= count) {
      hn::StoreU(scores, df, args.scores + i);
    } else {
      hn::Store(scores, df, scales);
      std::copy_n(scales, count - i, args.scores + i);
    }
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(ScoreI8Rows);

void DotI8Rows(const int8_t* rows, size_t stride, const float* scales, const int32_t* ids,
               size_t count, size_t dim, const int8_t* query, float query_scale, float* scores) {
  HWY_DASSERT(dim >= 1 && dim <= kI8MaxDim && stride >= dim);
  if (count == 0) return;
  HWY_DYNAMIC_DISPATCH(ScoreI8Rows)
  ({rows, stride, scales, ids, count, dim, query, query_scale, scores});
}

}  // namespace eta::simd
#endif  // HWY_ONCE
