// SPDX-License-Identifier: Apache-2.0
#include "simd/rerank.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "simd/code_blocks.h"
#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/rerank.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/float_select-inl.h"
#include "simd/internal/panel-inl.h"

#ifndef ETA_SIMD_RERANK_TYPES_
#define ETA_SIMD_RERANK_TYPES_
namespace eta::simd {

inline constexpr size_t kPartials = 16;

struct DotRowsArguments {
  const float* rows;
  size_t stride;
  const int32_t* ids;
  size_t count;
  size_t dim;
  const float* query;
  float* scores;

  const float* row(size_t i) const { return rows + static_cast<size_t>(ids[i]) * stride; }
};

struct RerankTopKArguments {
  Shortlists lists;
  size_t num_queries;
  size_t k;
  TieOrder ties;
  ResultOrder order;
  void* scratch;
  int32_t* positions;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_RERANK_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

// Lanes that divide the 16 partial sums; of SVE's vectors, however long, 4 lanes.
#if HWY_HAVE_SCALABLE
using RowTag = hn::FixedTag<float, 4>;
inline constexpr size_t kRowLanes = 4;
#else
using RowTag = PanelTag;
inline constexpr size_t kRowLanes = hn::MaxLanes(RowTag());
#endif
using RowVector = hn::Vec<RowTag>;
using FourTag = hn::FixedTag<float, 4>;
using FourVector = hn::Vec<FourTag>;
static_assert(kRowLanes == 4 || kRowLanes == 8 || kRowLanes == 16);

// Rows scored together. Their chains of FMA hide each other's latency, they share the loads of the
// query, and the last steps of their trees share instructions.
inline constexpr size_t kRowsTogether = 4;

// Rows come from all over a table. Prefetched this far ahead they are there in time.
inline constexpr size_t kRowsAhead = 8;

// The first `count` lanes from `from`, nothing behind them read; the others are 0.
HWY_INLINE RowVector LoadFirst(RowTag d, const float* from, size_t count) {
  if (count >= kRowLanes) return hn::LoadU(d, from);
  if (count == 0) return hn::Zero(d);
#if HWY_HAVE_SCALABLE || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2)
  return hn::MaskedLoad(hn::FirstN(d, count), d, from);
#else  // elsewhere a masked load reads all lanes
  HWY_ALIGN float lanes[kRowLanes] = {0};
  for (size_t i = 0; i < count; ++i) lanes[i] = from[i];
  return hn::Load(d, lanes);
#endif
}

// Partials first, first + 1, ... (a vector of them) of four rows.
HWY_INLINE void Partials(RowTag d, size_t first, size_t dim, const float* query, const float* r0,
                         const float* r1, const float* r2, const float* r3, RowVector& s0,
                         RowVector& s1, RowVector& s2, RowVector& s3) {
  s0 = s1 = s2 = s3 = hn::Zero(d);
  const size_t whole = dim / kPartials * kPartials;
  for (size_t i = first; i < whole; i += kPartials) {
    const auto q = hn::LoadU(d, query + i);
    s0 = FusedMulAdd(d, q, hn::LoadU(d, r0 + i), s0);
    s1 = FusedMulAdd(d, q, hn::LoadU(d, r1 + i), s1);
    s2 = FusedMulAdd(d, q, hn::LoadU(d, r2 + i), s2);
    s3 = FusedMulAdd(d, q, hn::LoadU(d, r3 + i), s3);
  }
  if (whole == dim) return;
  // A step even where nothing is left: it makes a partial of -0 to 0.
  const size_t i = whole + HWY_MIN(first, dim - whole);
  const size_t left = dim - i;
  const auto q = LoadFirst(d, query + i, left);
  s0 = FusedMulAdd(d, q, LoadFirst(d, r0 + i, left), s0);
  s1 = FusedMulAdd(d, q, LoadFirst(d, r1 + i, left), s1);
  s2 = FusedMulAdd(d, q, LoadFirst(d, r2 + i, left), s2);
  s3 = FusedMulAdd(d, q, LoadFirst(d, r3 + i, left), s3);
}

// Steps 8 and 4 of the tree for four rows: 4 sums a row remain.
HWY_INLINE void FourSums(size_t dim, const float* query, const float* r0, const float* r1,
                         const float* r2, const float* r3, FourVector& t0, FourVector& t1,
                         FourVector& t2, FourVector& t3) {
  const RowTag d;
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  Partials(d, 0, dim, query, r0, r1, r2, r3, s0, s1, s2, s3);
#if !HWY_HAVE_SCALABLE && HWY_MAX_BYTES >= 64
  const hn::Half<RowTag> d8;
  const auto fold = [=](RowVector s) HWY_ATTR {
    const auto half = hn::Add(hn::LowerHalf(d8, s), hn::UpperHalf(d8, s));
    return hn::Add(hn::LowerHalf(FourTag(), half), hn::UpperHalf(FourTag(), half));
  };
  t0 = fold(s0);
  t1 = fold(s1);
  t2 = fold(s2);
  t3 = fold(s3);
#else
  auto u0 = s0, u1 = s0, u2 = s0, u3 = s0;
  Partials(d, 8, dim, query, r0, r1, r2, r3, u0, u1, u2, u3);
  s0 = hn::Add(s0, u0);
  s1 = hn::Add(s1, u1);
  s2 = hn::Add(s2, u2);
  s3 = hn::Add(s3, u3);
#if !HWY_HAVE_SCALABLE && HWY_MAX_BYTES >= 32
  const auto fold = [=](RowVector s) HWY_ATTR {
    return hn::Add(hn::LowerHalf(FourTag(), s), hn::UpperHalf(FourTag(), s));
  };
  t0 = fold(s0);
  t1 = fold(s1);
  t2 = fold(s2);
  t3 = fold(s3);
#else
  auto v0 = s0, v1 = s0, v2 = s0, v3 = s0;
  Partials(d, 4, dim, query, r0, r1, r2, r3, u0, u1, u2, u3);
  Partials(d, 12, dim, query, r0, r1, r2, r3, v0, v1, v2, v3);
  t0 = hn::Add(s0, hn::Add(u0, v0));
  t1 = hn::Add(s1, hn::Add(u1, v1));
  t2 = hn::Add(s2, hn::Add(u2, v2));
  t3 = hn::Add(s3, hn::Add(u3, v3));
#endif
#endif
}

// Steps 2 and 1 of the tree: the scores of four rows, in order.
HWY_INLINE FourVector FourScores(FourVector t0, FourVector t1, FourVector t2, FourVector t3) {
  const FourTag d;
  const auto u01 = hn::Add(hn::ConcatLowerLower(d, t1, t0), hn::ConcatUpperUpper(d, t1, t0));
  const auto u23 = hn::Add(hn::ConcatLowerLower(d, t3, t2), hn::ConcatUpperUpper(d, t3, t2));
#if HWY_HAVE_SCALABLE
  // Highway 1.0.3 for SVE_256 takes ConcatEven and ConcatOdd over whole vectors, whatever the tag.
  HWY_ALIGN float lanes[2 * kRowsTogether];
  hn::Store(u01, d, lanes);
  hn::Store(u23, d, lanes + 4);
  for (size_t r = 0; r < kRowsTogether; ++r) lanes[r] = lanes[2 * r] + lanes[2 * r + 1];
  return hn::Load(d, lanes);
#else
  return hn::Add(hn::ConcatEven(d, u23, u01), hn::ConcatOdd(d, u23, u01));
#endif
}

HWY_INLINE void PrefetchRow(const float* row, size_t dim) {
  constexpr size_t kLineFloats = 16;
  for (size_t i = 0; i < dim; i += kLineFloats) hwy::Prefetch(row + i);
  hwy::Prefetch(row + dim - 1);  // one line more when the row is not aligned
}

void ScoreRows(const DotRowsArguments& args) {
  const FourTag d;
  const size_t count = args.count, dim = args.dim;
  for (size_t i = 0; i < HWY_MIN(kRowsAhead, count); ++i) PrefetchRow(args.row(i), dim);
  for (size_t i = 0; i < count; i += kRowsTogether) {
    const size_t ahead = HWY_MIN(i + kRowsAhead, count);
    for (size_t j = ahead; j < HWY_MIN(ahead + kRowsTogether, count); ++j) {
      PrefetchRow(args.row(j), dim);
    }
    const auto row = [&](size_t r) { return args.row(HWY_MIN(i + r, count - 1)); };
    auto t0 = hn::Zero(d), t1 = t0, t2 = t0, t3 = t0;
    FourSums(dim, args.query, row(0), row(1), row(2), row(3), t0, t1, t2, t3);
    const auto scores = FourScores(t0, t1, t2, t3);
    if (i + kRowsTogether <= count) {
      hn::StoreU(scores, d, args.scores + i);
    } else {
      HWY_ALIGN float last[kRowsTogether];
      hn::Store(scores, d, last);
      std::copy_n(last, count - i, args.scores + i);
    }
  }
}

HWY_INLINE bool Ascends(const int32_t* positions, size_t count) {
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

// Of a shortlist in any order: all of it as keys, which hold the positions themselves.
void KeepBest(const RerankTopKArguments& args, const int32_t* positions, const float* scores,
              size_t keep, uint64_t* keys, int32_t* out) {
  const size_t count = args.lists.count;
  for (size_t i = 0; i < count; ++i) {
    keys[i] = ScoreKey(scores[i], static_cast<uint32_t>(positions[i]), args.ties);
  }
  const auto better = std::greater<uint64_t>();
  if (keep < count) std::nth_element(keys, keys + keep, keys + count, better);
  if (args.order == ResultOrder::kSorted) std::sort(keys, keys + keep, better);
  for (size_t i = 0; i < keep; ++i) {
    const auto tie = static_cast<uint32_t>(keys[i]);
    out[i] = static_cast<int32_t>(args.ties == TieOrder::kNewestFirst ? tie : ~tie);
  }
}

void SelectBest(const RerankTopKArguments& args) {
  const Shortlists& lists = args.lists;
  const size_t keep = HWY_MIN(args.k, lists.count);
  auto* keys = static_cast<uint64_t*>(AlignUp(args.scratch, sizeof(uint64_t)));
  FloatSelector selector(lists.count, args.k, args.ties, args.order, keys);
  for (size_t q = 0; q < args.num_queries; ++q) {
    const int32_t* positions = lists.positions + q * lists.position_stride;
    const float* scores = lists.scores + q * lists.score_stride;
    int32_t* out = args.positions + q * args.k;
    if (!Ascends(positions, lists.count)) {
      KeepBest(args, positions, scores, keep, keys, out);
      continue;
    }
    // Ties by index are ties by position.
    selector.Select(scores, out, nullptr);
    for (size_t i = 0; i < keep; ++i) out[i] = positions[out[i]];
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(ScoreRows);
HWY_EXPORT(SelectBest);

void DotRows(const float* rows, size_t stride, const int32_t* ids, size_t count, size_t dim,
             const float* query, float* scores) {
  HWY_DASSERT(dim >= 1 && stride >= dim);
  if (count == 0) return;
  HWY_DYNAMIC_DISPATCH(ScoreRows)({rows, stride, ids, count, dim, query, scores});
}

size_t RerankTopKScratchBytes(size_t count) {
  return sizeof(uint64_t) + FloatSelectScratchBytes(count);
}

size_t RerankTopK(const Shortlists& shortlists, size_t num_queries, size_t k, TieOrder ties,
                  ResultOrder order, void* scratch, int32_t* positions) {
  HWY_DASSERT(k >= 1);
  HWY_DASSERT(shortlists.count <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
  const size_t keep = std::min(k, shortlists.count);
  if (keep == 0 || num_queries == 0) return keep;
  HWY_DYNAMIC_DISPATCH(SelectBest)
  ({shortlists, num_queries, k, ties, order, scratch, positions});
  return keep;
}

}  // namespace eta::simd
#endif  // HWY_ONCE
