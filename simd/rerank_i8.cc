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
#include "simd/internal/row_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// Rows scored together, and how far ahead they are prefetched, as in simd/rerank.cc.
constexpr size_t kI8RowsTogether = 4;
constexpr size_t kI8RowsAhead = 8;

using FourInts = hn::Vec<FourLanes<int32_t>>;

#if ETA_SIMD_HAS_VNNI

using I8RowSumTag = hn::CappedTag<int32_t, 16>;
constexpr size_t kI8RowStep = 64;  // dimensions of a vector

// Copies the query and appends zeros up to whole vectors. Returns what the sums start from: -128
// times the query's own sum.
HWY_INLINE int32_t PrepareI8RowsQuery(const int8_t* query, size_t dim, int8_t* padded) {
  int32_t sum = 0;
  for (size_t d = 0; d < dim; ++d) sum += query[d];
  std::memcpy(padded, query, dim);
  std::memset(padded + dim, 0, kI8RowStep);
  return -128 * sum;
}

// VPDPBUSD multiplies unsigned by signed bytes. The rows are its unsigned side: values plus 128,
// which what the sums start from takes back. What is past the end of a row is multiplied by 0.
ETA_SIMD_VNNI_ATTR HWY_INLINE __m512i AddI8RowProduct(__m512i sum, __m512i row, __m512i query) {
  return _mm512_dpbusd_epi32(sum, _mm512_xor_si512(row, _mm512_set1_epi8(-128)), query);
}

ETA_SIMD_VNNI_ATTR HWY_INLINE void FourI8RowSums(
    size_t dim, const int8_t* HWY_RESTRICT query, const int8_t* r0, const int8_t* r1,
    const int8_t* r2, const int8_t* r3, hn::Vec<I8RowSumTag>& sum0, hn::Vec<I8RowSumTag>& sum1,
    hn::Vec<I8RowSumTag>& sum2, hn::Vec<I8RowSumTag>& sum3) {
  __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
  size_t d = 0;
  for (; d + kI8RowStep <= dim; d += kI8RowStep) {
    const __m512i q = _mm512_loadu_si512(query + d);
    s0 = AddI8RowProduct(s0, _mm512_loadu_si512(r0 + d), q);
    s1 = AddI8RowProduct(s1, _mm512_loadu_si512(r1 + d), q);
    s2 = AddI8RowProduct(s2, _mm512_loadu_si512(r2 + d), q);
    s3 = AddI8RowProduct(s3, _mm512_loadu_si512(r3 + d), q);
  }
  if (d != dim) {
    const __mmask64 mask = ~uint64_t{0} >> (kI8RowStep - (dim - d));
    const __m512i q = _mm512_loadu_si512(query + d);
    s0 = AddI8RowProduct(s0, _mm512_maskz_loadu_epi8(mask, r0 + d), q);
    s1 = AddI8RowProduct(s1, _mm512_maskz_loadu_epi8(mask, r1 + d), q);
    s2 = AddI8RowProduct(s2, _mm512_maskz_loadu_epi8(mask, r2 + d), q);
    s3 = AddI8RowProduct(s3, _mm512_maskz_loadu_epi8(mask, r3 + d), q);
  }
  sum0 = hn::Vec<I8RowSumTag>{s0};
  sum1 = hn::Vec<I8RowSumTag>{s1};
  sum2 = hn::Vec<I8RowSumTag>{s2};
  sum3 = hn::Vec<I8RowSumTag>{s3};
}

#else

// Without VNNI: bytes widened to 16 bits, products of pairs.
using I8RowSumTag = hn::CappedTag<int32_t, 16>;
using I8RowPairTag = hn::Repartition<int16_t, I8RowSumTag>;
using I8RowByteTag = hn::Rebind<int8_t, I8RowPairTag>;
constexpr size_t kI8RowStep = 32;  // the most dimensions of a vector

HWY_INLINE int32_t PrepareI8RowsQuery(const int8_t* query, size_t dim, int8_t* padded) {
  std::memcpy(padded, query, dim);
  std::memset(padded + dim, 0, kI8RowStep);
  return 0;
}

// Dimensions d, d + 1, ... of a row, 0 past its end.
HWY_INLINE hn::Vec<I8RowPairTag> LoadI8Row(const int8_t* HWY_RESTRICT row, size_t d, size_t dim) {
  const I8RowByteTag d8;
  const I8RowPairTag d16;
  if (d + hn::Lanes(d8) <= dim) return hn::PromoteTo(d16, hn::LoadU(d8, row + d));
  HWY_ALIGN int8_t rest[kI8RowStep] = {0};
  std::memcpy(rest, row + d, dim - d);
  return hn::PromoteTo(d16, hn::Load(d8, rest));
}

HWY_INLINE void FourI8RowSums(size_t dim, const int8_t* HWY_RESTRICT query, const int8_t* r0,
                              const int8_t* r1, const int8_t* r2, const int8_t* r3,
                              hn::Vec<I8RowSumTag>& sum0, hn::Vec<I8RowSumTag>& sum1,
                              hn::Vec<I8RowSumTag>& sum2, hn::Vec<I8RowSumTag>& sum3) {
  const I8RowSumTag d32;
  const I8RowByteTag d8;
  const I8RowPairTag d16;
  // Sums t take the other half of the lanes on targets that split a pair.
  auto s0 = hn::Zero(d32), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
  for (size_t d = 0; d < dim; d += hn::Lanes(d8)) {
    const auto q = hn::PromoteTo(d16, hn::LoadU(d8, query + d));
    s0 = hn::ReorderWidenMulAccumulate(d32, LoadI8Row(r0, d, dim), q, s0, t0);
    s1 = hn::ReorderWidenMulAccumulate(d32, LoadI8Row(r1, d, dim), q, s1, t1);
    s2 = hn::ReorderWidenMulAccumulate(d32, LoadI8Row(r2, d, dim), q, s2, t2);
    s3 = hn::ReorderWidenMulAccumulate(d32, LoadI8Row(r3, d, dim), q, s3, t3);
  }
  sum0 = hn::Add(s0, t0);
  sum1 = hn::Add(s1, t1);
  sum2 = hn::Add(s2, t2);
  sum3 = hn::Add(s3, t3);
}

#endif  // ETA_SIMD_HAS_VNNI

// The sums over the lanes of four vectors, in order.
HWY_INLINE FourInts SumsOfFourI8Rows(hn::Vec<I8RowSumTag> s0, hn::Vec<I8RowSumTag> s1,
                                     hn::Vec<I8RowSumTag> s2, hn::Vec<I8RowSumTag> s3) {
  const I8RowSumTag d;
#if HWY_HAVE_SCALABLE
  HWY_ALIGN const int32_t sums[4] = {
      hn::GetLane(hn::SumOfLanes(d, s0)), hn::GetLane(hn::SumOfLanes(d, s1)),
      hn::GetLane(hn::SumOfLanes(d, s2)), hn::GetLane(hn::SumOfLanes(d, s3))};
  return hn::Load(FourLanes<int32_t>(), sums);
#else
  return SumsOfFourLanes<int32_t>(FourLanes<int32_t>(), FoldToFourLanes(d, s0),
                                  FoldToFourLanes(d, s1), FoldToFourLanes(d, s2),
                                  FoldToFourLanes(d, s3));
#endif
}

HWY_INLINE void PrefetchI8Row(const I8RowsView& table, size_t id) {
  constexpr size_t kLineBytes = 64;
  const int8_t* row = table.row(id);
  for (size_t d = 0; d < table.width; d += kLineBytes) hwy::Prefetch(row + d);
  hwy::Prefetch(row + table.width - 1);  // one line more when the row is not aligned
  hwy::Prefetch(table.scales + id);
}

ETA_SIMD_VNNI_ATTR void TableI8RowScores(const I8RowsView& table, IdsView ids, const I8Query& query,
                                         float* scores) {
  const FourLanes<int32_t> d;
  const FourLanes<float> df;
  HWY_ALIGN int8_t values[kI8MaxDim + kI8RowStep];
  const size_t count = ids.count, dim = table.width;
  const auto start = hn::Set(d, PrepareI8RowsQuery(query.values, dim, values));
  const auto query_scale = hn::Set(df, query.scale);
  const auto id = [ids](size_t i) { return static_cast<size_t>(ids.data[i]); };
  for (size_t i = 0; i < HWY_MIN(kI8RowsAhead, count); ++i) PrefetchI8Row(table, id(i));
  for (size_t i = 0; i < count; i += kI8RowsTogether) {
    const size_t ahead = HWY_MIN(i + kI8RowsAhead, count);
    for (size_t j = ahead; j < HWY_MIN(ahead + kI8RowsTogether, count); ++j) {
      PrefetchI8Row(table, id(j));
    }
    const auto id_or_last = [&](size_t r) { return id(HWY_MIN(i + r, count - 1)); };
    hn::Vec<I8RowSumTag> s0, s1, s2, s3;
    FourI8RowSums(dim, values, table.row(id_or_last(0)), table.row(id_or_last(1)),
                  table.row(id_or_last(2)), table.row(id_or_last(3)), s0, s1, s2, s3);
    HWY_ALIGN float lanes[kI8RowsTogether];
    for (size_t r = 0; r < kI8RowsTogether; ++r) lanes[r] = table.scales[id_or_last(r)];
    const auto sums = hn::ConvertTo(df, hn::Add(SumsOfFourI8Rows(s0, s1, s2, s3), start));
    const auto four = hn::Mul(hn::Mul(sums, hn::Load(df, lanes)), query_scale);
    if (i + kI8RowsTogether <= count) {
      hn::StoreU(four, df, scores + i);
    } else {
      hn::Store(four, df, lanes);
      std::copy_n(lanes, count - i, scores + i);
    }
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(TableI8RowScores);

void DotI8Rows(const I8RowsView& table, IdsView ids, const I8Query& query, float* scores) {
  HWY_DASSERT(table.width >= 1 && table.width <= kI8MaxDim && table.stride >= table.width);
  if (ids.count == 0) return;
  HWY_DYNAMIC_DISPATCH(TableI8RowScores)(table, ids, query, scores);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
