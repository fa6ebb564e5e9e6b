// SPDX-License-Identifier: Apache-2.0
#include "simd/rerank_i8.h"

#include <algorithm>
#include <cstring>

#include "simd/internal/common.h"

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

// Tables of up to so many bytes are expected in the L2 cache, where a prefetch costs more than it
// saves. Rows of larger ones are prefetched so far ahead.
constexpr size_t kNearBytes = 256 * 1024;
constexpr size_t kI8RowsAhead = 16;

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

// Rows scored together: as many as a vector has lanes, so that the last steps of their sums share
// instructions.
#if HWY_HAVE_SCALABLE
using I8RowScoreTag = FourLanes<int32_t>;
#else
using I8RowScoreTag = I8RowSumTag;
#endif
constexpr size_t kI8RowsTogether = hn::MaxLanes(I8RowScoreTag());

// The sums of rows ids[0], ids[1], ... in order.
ETA_SIMD_VNNI_ATTR HWY_INLINE hn::Vec<I8RowScoreTag> SumsOfI8Rows(const I8RowsView& table,
                                                                  const int32_t* ids,
                                                                  const int8_t* query) {
  const auto row = [&](size_t r) { return table.row(static_cast<size_t>(ids[r])); };
#if HWY_HAVE_SCALABLE
  const I8RowSumTag d;
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  FourI8RowSums(table.width, query, row(0), row(1), row(2), row(3), s0, s1, s2, s3);
  HWY_ALIGN const int32_t sums[4] = {
      hn::GetLane(hn::SumOfLanes(d, s0)), hn::GetLane(hn::SumOfLanes(d, s1)),
      hn::GetLane(hn::SumOfLanes(d, s2)), hn::GetLane(hn::SumOfLanes(d, s3))};
  return hn::Load(I8RowScoreTag(), sums);
#else
  const I8RowSumTag d;
#if ETA_SIMD_HAS_VNNI
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  // Not by SumsOfRows: what it calls could not be inlined, because it does not have VNNI.
  FourI8RowSums(table.width, query, row(0), row(4), row(8), row(12), s0, s1, s2, s3);
  const auto q0 = FoldFourRows(d, s0, s1, s2, s3);
  FourI8RowSums(table.width, query, row(1), row(5), row(9), row(13), s0, s1, s2, s3);
  const auto q1 = FoldFourRows(d, s0, s1, s2, s3);
  FourI8RowSums(table.width, query, row(2), row(6), row(10), row(14), s0, s1, s2, s3);
  const auto q2 = FoldFourRows(d, s0, s1, s2, s3);
  FourI8RowSums(table.width, query, row(3), row(7), row(11), row(15), s0, s1, s2, s3);
  return SumsWithinBlocks(d, q0, q1, q2, FoldFourRows(d, s0, s1, s2, s3));
#else
  using V = hn::Vec<I8RowSumTag>;
  return SumsOfRows(
      d, [&](size_t r0, size_t r1, size_t r2, size_t r3, V & v0, V & v1, V & v2, V & v3) HWY_ATTR
      __attribute__((always_inline)) {
        FourI8RowSums(table.width, query, row(r0), row(r1), row(r2), row(r3), v0, v1, v2, v3);
      });
#endif
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
  const I8RowScoreTag d;
  const hn::RebindToFloat<I8RowScoreTag> df;
  HWY_ALIGN int8_t values[kI8MaxDim + kI8RowStep];
  HWY_ALIGN float lanes[kI8RowsTogether];
  const size_t count = ids.count;
  const auto start = hn::Set(d, PrepareI8RowsQuery(query.values, table.width, values));
  const auto query_scale = hn::Set(df, query.scale);
  const auto score = [&](const int32_t* of) ETA_SIMD_VNNI_ATTR __attribute__((always_inline)) {
    for (size_t r = 0; r < kI8RowsTogether; ++r) {
      lanes[r] = table.scales[static_cast<size_t>(of[r])];
    }
    const auto sums = hn::ConvertTo(df, hn::Add(SumsOfI8Rows(table, of, values), start));
    return hn::Mul(hn::Mul(sums, hn::Load(df, lanes)), query_scale);
  };
  const bool prefetch = table.count * table.stride > kNearBytes;
  const auto fetch = [&](size_t first, size_t end) {
    for (size_t i = first; i < HWY_MIN(end, count); ++i) {
      PrefetchI8Row(table, static_cast<size_t>(ids.data[i]));
    }
  };
  if (prefetch) fetch(0, kI8RowsAhead);
  size_t i = 0;
  for (; i + kI8RowsTogether <= count; i += kI8RowsTogether) {
    if (prefetch) fetch(i + kI8RowsAhead, i + kI8RowsAhead + kI8RowsTogether);
    hn::StoreU(score(ids.data + i), df, scores + i);
  }
  if (i == count) return;
  int32_t rest[kI8RowsTogether];
  for (size_t r = 0; r < kI8RowsTogether; ++r) rest[r] = ids.data[HWY_MIN(i + r, count - 1)];
  hn::Store(score(rest), df, lanes);
  std::copy_n(lanes, count - i, scores + i);
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(TableI8RowScores);

void DotI8Rows(const I8RowsView& table, IdsView ids, const I8Query& query, float* scores) {
  ETA_SIMD_REQUIRE(AreI8Rows(table) && AreIds(ids, table.count));
  if (ids.count == 0) return;
  HWY_DYNAMIC_DISPATCH(TableI8RowScores)(table, ids, query, scores);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
