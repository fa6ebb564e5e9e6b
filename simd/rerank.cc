// SPDX-License-Identifier: Apache-2.0
#include "simd/rerank.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/rerank.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/float_select-inl.h"
#include "simd/internal/panel-inl.h"
#include "simd/internal/row_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

constexpr size_t kDotPartials = 16;  // of simd/rerank.h

// Vectors whose lanes divide the 16 partial sums. Sums across lanes need a fixed lane count, so SVE
// uses 4 lanes.
#if HWY_HAVE_SCALABLE
using DotRowTag = FourLanes<float>;
constexpr size_t kDotRowLanes = 4;
#else
using DotRowTag = PanelTag;
constexpr size_t kDotRowLanes = hn::MaxLanes(DotRowTag());
#endif
using DotRowVector = hn::Vec<DotRowTag>;
static_assert(kDotRowLanes == 4 || kDotRowLanes == 8 || kDotRowLanes == 16);

// Rows scored together. Four at a time their chains of FMA hide each other's latency and share the
// loads of the query; the last steps of all their trees share instructions.
constexpr size_t kDotRowsTogether = kDotRowLanes;

// Rows come from all over a table, so they are prefetched this far ahead.
constexpr size_t kDotRowsAhead = kDotRowLanes > 8 ? 16 : 8;

// The first `count` floats, then zeros. Nothing behind them is read.
HWY_INLINE DotRowVector LoadFirstFloats(DotRowTag d, const float* from, size_t count) {
  if (count >= kDotRowLanes) return hn::LoadU(d, from);
  if (count == 0) return hn::Zero(d);
#if ETA_SIMD_HAS_MASKED_LOAD
  return hn::MaskedLoad(hn::FirstN(d, count), d, from);
#else
  HWY_ALIGN float lanes[kDotRowLanes] = {0};
  for (size_t i = 0; i < count; ++i) lanes[i] = from[i];
  return hn::Load(d, lanes);
#endif
}

// Partials first, first + 1, ... (a vector of them) of four rows.
HWY_INLINE void DotPartials(size_t first, size_t dim, const float* query, const float* r0,
                            const float* r1, const float* r2, const float* r3, DotRowVector& s0,
                            DotRowVector& s1, DotRowVector& s2, DotRowVector& s3) {
  const DotRowTag d;
  s0 = s1 = s2 = s3 = hn::Zero(d);
  const size_t whole = dim / kDotPartials * kDotPartials;
  for (size_t i = first; i < whole; i += kDotPartials) {
    const auto q = hn::LoadU(d, query + i);
    s0 = QuickFma(d, q, hn::LoadU(d, r0 + i), s0);
    s1 = QuickFma(d, q, hn::LoadU(d, r1 + i), s1);
    s2 = QuickFma(d, q, hn::LoadU(d, r2 + i), s2);
    s3 = QuickFma(d, q, hn::LoadU(d, r3 + i), s3);
  }
  if (whole == dim) return;
  // A step even where nothing is left: it turns a partial of -0 into 0.
  const size_t i = whole + HWY_MIN(first, dim - whole);
  const size_t left = dim - i;
  const auto q = LoadFirstFloats(d, query + i, left);
  s0 = QuickFma(d, q, LoadFirstFloats(d, r0 + i, left), s0);
  s1 = QuickFma(d, q, LoadFirstFloats(d, r1 + i, left), s1);
  s2 = QuickFma(d, q, LoadFirstFloats(d, r2 + i, left), s2);
  s3 = QuickFma(d, q, LoadFirstFloats(d, r3 + i, left), s3);
}

// Adds partials first, first + 1, ... of four rows.
HWY_INLINE void AddDotPartials(size_t first, size_t dim, const float* query, const float* r0,
                               const float* r1, const float* r2, const float* r3, DotRowVector& s0,
                               DotRowVector& s1, DotRowVector& s2, DotRowVector& s3) {
  auto p0 = s0, p1 = s0, p2 = s0, p3 = s0;
  DotPartials(first, dim, query, r0, r1, r2, r3, p0, p1, p2, p3);
  s0 = hn::Add(s0, p0);
  s1 = hn::Add(s1, p1);
  s2 = hn::Add(s2, p2);
  s3 = hn::Add(s3, p3);
}

// The partial sums of four rows that are left for the lanes of a vector: the tree of
// simd/rerank.h, whose steps 8 and 4 go across vectors where these are shorter.
HWY_INLINE void PartialsOfFourRows(size_t dim, const float* query, const float* r0, const float* r1,
                                   const float* r2, const float* r3, DotRowVector& s0,
                                   DotRowVector& s1, DotRowVector& s2, DotRowVector& s3) {
  DotPartials(0, dim, query, r0, r1, r2, r3, s0, s1, s2, s3);
  if constexpr (kDotRowLanes <= 8) {
    AddDotPartials(8, dim, query, r0, r1, r2, r3, s0, s1, s2, s3);
  }
  if constexpr (kDotRowLanes <= 4) {
    auto t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    DotPartials(4, dim, query, r0, r1, r2, r3, t0, t1, t2, t3);
    AddDotPartials(12, dim, query, r0, r1, r2, r3, t0, t1, t2, t3);
    s0 = hn::Add(s0, t0);
    s1 = hn::Add(s1, t1);
    s2 = hn::Add(s2, t2);
    s3 = hn::Add(s3, t3);
  }
}

// The scores of rows ids[0], ids[1], ... in order. Steps 8 and 4 of the tree that are left, 2 and 1
// go across lanes.
HWY_INLINE DotRowVector ScoresOfRows(const RowsView<float>& table, const int32_t* ids,
                                     const float* query) {
  const DotRowTag d;
  const auto row = [&](size_t r) { return table.row(static_cast<size_t>(ids[r])); };
  const size_t dim = table.width;
#if HWY_HAVE_SCALABLE
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  PartialsOfFourRows(dim, query, row(0), row(1), row(2), row(3), s0, s1, s2, s3);
  return SumsOfFourLanes<float>(d, s0, s1, s2, s3);
#else
  return SumsOfRows(
      d, [&](size_t r0, size_t r1, size_t r2, size_t r3, DotRowVector & s0, DotRowVector & s1,
             DotRowVector & s2, DotRowVector & s3) HWY_ATTR __attribute__((always_inline)) {
        PartialsOfFourRows(dim, query, row(r0), row(r1), row(r2), row(r3), s0, s1, s2, s3);
      });
#endif
}

HWY_INLINE void PrefetchFloatRow(const float* row, size_t dim) {
  constexpr size_t kLineFloats = 16;
  for (size_t i = 0; i < dim; i += kLineFloats) hwy::Prefetch(row + i);
  hwy::Prefetch(row + dim - 1);  // one line more when the row is not aligned
}

void TableRowScores(const RowsView<float>& table, IdsView ids, const float* query, float* scores) {
  const DotRowTag d;
  const size_t count = ids.count;
  const auto fetch = [&](size_t first, size_t end) {
    for (size_t i = first; i < HWY_MIN(end, count); ++i) {
      PrefetchFloatRow(table.row(static_cast<size_t>(ids.data[i])), table.width);
    }
  };
  fetch(0, kDotRowsAhead);
  size_t i = 0;
  for (; i + kDotRowsTogether <= count; i += kDotRowsTogether) {
    fetch(i + kDotRowsAhead, i + kDotRowsAhead + kDotRowsTogether);
    hn::StoreU(ScoresOfRows(table, ids.data + i, query), d, scores + i);
  }
  if (i == count) return;
  int32_t rest[kDotRowsTogether];
  for (size_t r = 0; r < kDotRowsTogether; ++r) rest[r] = ids.data[HWY_MIN(i + r, count - 1)];
  HWY_ALIGN float last[kDotRowsTogether];
  hn::Store(ScoresOfRows(table, rest, query), d, last);
  std::copy_n(last, count - i, scores + i);
}

HWY_INLINE bool PositionsAscend(const int32_t* positions, size_t count) {
  const hn::CappedTag<int32_t, 16> d;
  const size_t N = hn::Lanes(d);
  size_t i = 0;
  for (; i + N < count; i += N) {
    if (!hn::AllTrue(d, hn::Lt(hn::LoadU(d, positions + i), hn::LoadU(d, positions + i + 1)))) {
      return false;
    }
  }
  for (; i + 1 < count; ++i) {
    if (positions[i] >= positions[i + 1]) return false;
  }
  return true;
}

// Ranks a shortlist that may be in any order by keys that hold the positions.
void RankShortlistByKeys(const int32_t* positions, const float* scores, size_t length, size_t keep,
                         const TopKOptions& options, uint64_t* keys, int32_t* best_positions,
                         float* best_scores) {
  for (size_t i = 0; i < length; ++i) {
    keys[i] = ScoreKey(scores[i], static_cast<uint32_t>(positions[i]), options.ties);
  }
  const auto better = std::greater<uint64_t>();
  if (keep < length) std::nth_element(keys, keys + keep, keys + length, better);
  if (options.order == ResultOrder::kSorted) std::sort(keys, keys + keep, better);
  for (size_t i = 0; i < keep; ++i) best_positions[i] = PositionOfKey(keys[i], options.ties);
  if (best_scores == nullptr) return;
  for (size_t i = 0; i < keep; ++i) {
    best_scores[i] =
        scores[std::find(positions, positions + length, best_positions[i]) - positions];
  }
}

void ShortlistTopK(const Shortlists& lists, const TopKOptions& options, void* scratch,
                   const TopKResult<float>& result) {
  const size_t keep = HWY_MIN(options.k, lists.length);
  ScratchPieces pieces(scratch);
  const FloatSelectScratch select(lists.length, kFloatGroup, pieces);
  FloatSelector selector(lists.length, options, select);
  ScoreSet sets[kFloatGroup];
  size_t count = 0;
  for (size_t q = 0; q < lists.queries; ++q) {
    const int32_t* positions = lists.positions + q * lists.position_stride;
    const float* scores = lists.scores + q * lists.score_stride;
    const auto [best, values] = result.from(q, options.k);
    if (PositionsAscend(positions, lists.length)) {
      sets[count++] = {scores, positions, best, values};
    } else {
      RankShortlistByKeys(positions, scores, lists.length, keep, options, select.work.keys, best,
                          values);
    }
    if (count == kFloatGroup) {
      selector.Select<kFloatGroup>(sets);
      count = 0;
    }
  }
  for (size_t i = 0; i < count; ++i) selector.Select<1>(sets + i);
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(TableRowScores);
HWY_EXPORT(ShortlistTopK);

void DotRows(const RowsView<float>& table, IdsView ids, const float* query, float* scores) {
  ETA_SIMD_REQUIRE(AreRows(table) && AreIds(ids, table.count));
  if (ids.count == 0) return;
  HWY_DYNAMIC_DISPATCH(TableRowScores)(table, ids, query, scores);
}

size_t RerankTopKScratchBytes(size_t length) {
  if (length > kMaxRankedRows) return kNoScratch;
  ScratchPieces pieces(nullptr);
  FloatSelectScratch(length, kFloatGroup, pieces);
  return pieces.bytes();
}

size_t RerankTopK(const Shortlists& shortlists, const TopKOptions& options, ScratchView scratch,
                  const TopKResult<float>& result) {
  ETA_SIMD_REQUIRE(options.k >= 1 && shortlists.position_stride >= shortlists.length);
  ETA_SIMD_REQUIRE(shortlists.length <= kMaxRankedRows);
  ETA_SIMD_REQUIRE(scratch.bytes >= RerankTopKScratchBytes(shortlists.length));
  const size_t keep = std::min(options.k, shortlists.length);
  if (keep == 0 || shortlists.queries == 0) return keep;
  HWY_DYNAMIC_DISPATCH(ShortlistTopK)(shortlists, options, scratch.data, result);
  return keep;
}

}  // namespace eta::simd
#endif  // HWY_ONCE
