// SPDX-License-Identifier: Apache-2.0
#include "simd/pq4_encode.h"

#include <algorithm>
#include <limits>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/pq4_encode.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/panel-inl.h"

#ifndef ETA_SIMD_PQ4_ENCODE_TYPES_
#define ETA_SIMD_PQ4_ENCODE_TYPES_
namespace eta::simd {

// The largest entry of a table, and what the largest entries of up to 32 subspaces may add up to
// before rounding (pq4_encode.h).
inline constexpr float kPq4Levels = 63, kPq4Reach = 406;
inline constexpr size_t kPq4MaxByteSubspaces = 32;

// Rows that are encoded together have a lane each. So many of their dimensions lie in lanes at a
// time.
inline constexpr size_t kPq4MaxLanes = 16;
inline constexpr size_t kPq4PanelDims = 64;

}  // namespace eta::simd
#endif  // ETA_SIMD_PQ4_ENCODE_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// Lanes are rows when they are encoded. For tables they are centroids: one vector of 16, or several
// shorter ones.
using Pq4Tag = hn::CappedTag<float, kPq4MaxLanes>;
using Pq4Vector = hn::Vec<Pq4Tag>;

// As many rows as a vector has lanes, or fewer: then the last one fills the other lanes.
struct Pq4RowGroup {
  const float* x;
  size_t stride;
  size_t rows;
};

// lanes[i * N + r] = element first + i of row r, for i < dims.
HWY_INLINE void LoadPanel(const Pq4RowGroup& group, size_t first, size_t dims,
                          float* HWY_RESTRICT lanes) {
  const size_t N = hn::Lanes(Pq4Tag());
  const float* rows[kPq4MaxLanes];
  for (size_t r = 0; r < N; ++r) {
    rows[r] = group.x + HWY_MIN(r, group.rows - 1) * group.stride + first;
  }
  for (size_t i = 0; i < dims; ++i) {
    for (size_t r = 0; r < N; ++r) lanes[i * N + r] = rows[r][i];
  }
}

// Dimensions of a subspace: all, or those in one panel.
struct Pq4Segment {
  const float* lanes;
  const float* centroids;
  size_t dims;
  const float* start;  // what the 16 sums begin with; null where they go on from `sums`
  float* sums;         // 16 vectors
  bool is_last;        // of its subspace
};

HWY_INLINE Pq4Vector SumBefore(const Pq4Segment& s, size_t m) {
  const Pq4Tag d;
  return s.start == nullptr ? hn::Load(d, s.sums + m * hn::Lanes(d)) : hn::Set(d, s.start[m]);
}

// Takes centroid m, the last so far, where its score is larger than that of the best before, which
// begins with the lowest float. A choice by a vector takes AVX2 three operations.
HWY_INLINE void TakeLarger(Pq4Vector score, size_t m, Pq4Vector& best, Pq4Vector& nearest) {
  const Pq4Tag d;
  const auto number = hn::Set(d, static_cast<float>(m));
  const auto is_larger = hn::Gt(score, best);
#if ETA_SIMD_HAS_MASK_REGISTERS
  nearest = hn::IfThenElse(is_larger, number, nearest);
#else
  nearest = hn::Max(nearest, hn::IfThenElseZero(is_larger, number));
#endif
#if ETA_SIMD_HAS_X86_VECTORS
  best = hn::Max(score, best);  // MAXPS: the second one where one is NaN
#else
  best = hn::IfThenElse(is_larger, score, best);
#endif
}

// Adds a segment's products to the sums of all centroids. At the end of a subspace `nearest` is the
// first centroid of the largest sum of each row.
HWY_INLINE void AddSegment(const Pq4Segment& s, Pq4Vector& nearest) {
  const Pq4Tag d;
  const size_t N = hn::Lanes(d);
  auto best = hn::Set(d, std::numeric_limits<float>::lowest());
  nearest = hn::Zero(d);
  for (size_t m = 0; m < kPq4Centroids; m += 4) {
    auto sum0 = SumBefore(s, m), sum1 = SumBefore(s, m + 1);
    auto sum2 = SumBefore(s, m + 2), sum3 = SumBefore(s, m + 3);
    for (size_t i = 0; i < s.dims; ++i) {
      const auto x = hn::Load(d, s.lanes + i * N);
      const float* HWY_RESTRICT c = s.centroids + i * kPq4Centroids + m;
      sum0 = QuickFma(d, x, hn::Set(d, c[0]), sum0);
      sum1 = QuickFma(d, x, hn::Set(d, c[1]), sum1);
      sum2 = QuickFma(d, x, hn::Set(d, c[2]), sum2);
      sum3 = QuickFma(d, x, hn::Set(d, c[3]), sum3);
    }
    if (s.is_last) {
      TakeLarger(sum0, m, best, nearest);
      TakeLarger(sum1, m + 1, best, nearest);
      TakeLarger(sum2, m + 2, best, nearest);
      TakeLarger(sum3, m + 3, best, nearest);
    } else {
      hn::Store(sum0, d, s.sums + m * N);
      hn::Store(sum1, d, s.sums + (m + 1) * N);
      hn::Store(sum2, d, s.sums + (m + 2) * N);
      hn::Store(sum3, d, s.sums + (m + 3) * N);
    }
  }
}

// Writes bytes of a group's codes from the centroids of two subspaces.
HWY_INLINE void WriteBytes(Pq4Vector low, Pq4Vector high, size_t rows, uint8_t* codes,
                           size_t code_stride) {
  const Pq4Tag d;
  const hn::RebindToSigned<Pq4Tag> di;
  const hn::Rebind<uint8_t, Pq4Tag> d8;
  HWY_ALIGN uint8_t bytes[kPq4MaxLanes];
  const auto both = hn::Add(hn::Mul(high, hn::Set(d, 16.0f)), low);  // exact
  hn::StoreU(hn::DemoteTo(d8, hn::ConvertTo(di, both)), d8, bytes);
  for (size_t r = 0; r < rows; ++r) codes[r * code_stride] = bytes[r];
}

HWY_INLINE void EncodeGroup(const Pq4RowGroup& group, const PackedPq4Codebooks& b, uint8_t* codes,
                            size_t code_stride) {
  const Pq4Tag d;
  HWY_ALIGN float lanes[kPq4PanelDims * kPq4MaxLanes];
  HWY_ALIGN float sums[kPq4Centroids * kPq4MaxLanes];
  auto even = hn::Zero(d);  // the centroids of the subspace before, for the low half of a byte
  size_t s = 0;
  for (size_t panel = 0; panel < b.dim; panel += kPq4PanelDims) {
    const size_t panel_end = HWY_MIN(panel + kPq4PanelDims, b.dim);
    LoadPanel(group, panel, panel_end - panel, lanes);
    for (size_t dim = panel; dim < panel_end;) {
      const size_t next = Pq4FirstDim(b.dim, b.subspaces, s + 1), end = HWY_MIN(next, panel_end);
      const bool is_first = dim == Pq4FirstDim(b.dim, b.subspaces, s);
      auto nearest = even;
      AddSegment({lanes + (dim - panel) * hn::Lanes(d), b.data + dim * kPq4Centroids, end - dim,
                  is_first ? b.data + (b.dim + s) * kPq4Centroids : nullptr, sums, end == next},
                 nearest);
      dim = end;
      if (end != next) continue;
      if (s % 2 == 0) {
        even = nearest;
      } else {
        WriteBytes(even, nearest, group.rows, codes + s / 2, code_stride);
      }
      ++s;
    }
  }
}

void Pq4EncodeOnTarget(const RowsView<float>& x, const PackedPq4Codebooks& codebooks,
                       uint8_t* codes, size_t code_stride) {
  const size_t N = hn::Lanes(Pq4Tag());
  for (size_t r = 0; r < x.count; r += N) {
    EncodeGroup({x.row(r), x.stride, HWY_MIN(N, x.count - r)}, codebooks, codes + r * code_stride,
                code_stride);
  }
}

// scores[m] = sum_d x[d] * centroid_m[d] in subspace s.
HWY_INLINE void SubspaceProducts(const float* HWY_RESTRICT x, const PackedPq4Codebooks& b, size_t s,
                                 float* HWY_RESTRICT products) {
  const Pq4Tag d;
  const size_t end = Pq4FirstDim(b.dim, b.subspaces, s + 1);
  for (size_t m = 0; m < kPq4Centroids; m += hn::Lanes(d)) {
    auto sum = hn::Zero(d);
    for (size_t i = Pq4FirstDim(b.dim, b.subspaces, s); i < end; ++i) {
      sum = QuickFma(d, hn::Set(d, x[i]), hn::LoadU(d, b.data + i * kPq4Centroids + m), sum);
    }
    hn::Store(sum, d, products + m);
  }
}

// What the entries of a query are made from.
struct TableRange {
  float sum = 0, most = 0;  // of max p - min p over the subspaces
  bool finite = true;
};

// Inner products of one query with all centroids, and their ranges.
HWY_INLINE TableRange QueryProducts(const float* query, const PackedPq4Codebooks& b,
                                    float* HWY_RESTRICT products, float* HWY_RESTRICT best) {
  const Pq4Tag d;
  TableRange range;
  auto not_finite = hn::Zero(d);  // NaN once a product is not finite
  for (size_t s = 0; s < b.subspaces; ++s) {
    float* of_subspace = products + s * kPq4Centroids;
    SubspaceProducts(query, b, s, of_subspace);
    auto largest = hn::Load(d, of_subspace), smallest = largest;
    for (size_t m = 0; m < kPq4Centroids; m += hn::Lanes(d)) {
      const auto p = hn::Load(d, of_subspace + m);
      largest = hn::Max(largest, p);
      smallest = hn::Min(smallest, p);
      not_finite = hn::Add(not_finite, hn::Sub(p, p));
    }
    best[s] = hn::GetLane(hn::MaxOfLanes(d, largest));
    const float width = best[s] - hn::GetLane(hn::MinOfLanes(d, smallest));
    range.sum += width;
    range.most = HWY_MAX(range.most, width);
  }
  range.finite = hn::AllTrue(d, hn::Eq(not_finite, hn::Zero(d)));
  return range;
}

HWY_INLINE float TableScale(const TableRange& range, size_t subspaces) {
  if (!range.finite || !(range.most > 0)) return 0;
  float scale = kPq4Levels / range.most;
  if (subspaces <= kPq4MaxByteSubspaces) scale = HWY_MIN(scale, kPq4Reach / range.sum);
  return scale <= std::numeric_limits<float>::max() ? scale : 0;
}

void Pq4TablesOnTarget(const RowsView<float>& queries, const PackedPq4Codebooks& codebooks,
                       uint8_t* tables, size_t table_stride) {
  const Pq4Tag d;
  const hn::Rebind<int32_t, Pq4Tag> di;
  const hn::Rebind<uint8_t, Pq4Tag> d8;
  HWY_ALIGN float products[kPq4MaxSubspaces * kPq4Centroids];
  float best[kPq4MaxSubspaces];
  const auto half = hn::Set(d, 0.5f);
  const auto most = hn::Set(di, static_cast<int32_t>(kPq4Levels));
  for (size_t q = 0; q < queries.count; ++q) {
    uint8_t* table = tables + q * table_stride;
    const TableRange range = QueryProducts(queries.row(q), codebooks, products, best);
    const float scale = TableScale(range, codebooks.subspaces);
    if (scale == 0) {
      std::fill_n(table, codebooks.subspaces * kPq4Centroids, uint8_t{0});
      continue;
    }
    const auto factor = hn::Set(d, scale);
    for (size_t s = 0; s < codebooks.subspaces; ++s) {
      const auto largest = hn::Set(d, best[s]);
      for (size_t m = 0; m < kPq4Centroids; m += hn::Lanes(d)) {
        const auto p = hn::Load(d, products + s * kPq4Centroids + m);
        const auto entry = FusedMulAdd(d, hn::Sub(largest, p), factor, half);
        const auto rounded = hn::Min(hn::ConvertTo(di, entry), most);
        hn::StoreU(hn::DemoteTo(d8, rounded), d8, table + s * kPq4Centroids + m);
      }
    }
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(Pq4EncodeOnTarget);
HWY_EXPORT(Pq4TablesOnTarget);

void PackPq4Codebooks(const RowsView<float>& centroids, size_t dim, size_t subspaces,
                      float* packed) {
  ETA_SIMD_REQUIRE(subspaces >= 1 && subspaces <= kPq4MaxSubspaces && subspaces <= dim);
  ETA_SIMD_REQUIRE(AreRows(centroids) && centroids.count == subspaces * kPq4Centroids);
  for (size_t s = 0; s < subspaces; ++s) {
    const size_t first = Pq4FirstDim(dim, subspaces, s);
    const size_t width = Pq4FirstDim(dim, subspaces, s + 1) - first;
    for (size_t m = 0; m < kPq4Centroids; ++m) {
      const float* centroid = centroids.row(s * kPq4Centroids + m);
      double square = 0;  // products of floats are exact in double: contraction changes nothing
      for (size_t i = 0; i < width; ++i) {
        packed[(first + i) * kPq4Centroids + m] = centroid[i];
        square += static_cast<double>(centroid[i]) * static_cast<double>(centroid[i]);
      }
      packed[(dim + s) * kPq4Centroids + m] = static_cast<float>(-0.5 * square);
    }
  }
}

void Pq4Encode(const RowsView<float>& x, const PackedPq4Codebooks& codebooks, uint8_t* codes,
               size_t code_stride) {
  ETA_SIMD_REQUIRE(codebooks.subspaces % 2 == 0 && codebooks.subspaces <= kPq4MaxSubspaces);
  ETA_SIMD_REQUIRE(AreRows(x) && x.width == codebooks.dim &&
                   code_stride >= codebooks.subspaces / 2);
  HWY_DYNAMIC_DISPATCH(Pq4EncodeOnTarget)(x, codebooks, codes, code_stride);
}

void Pq4Tables(const RowsView<float>& queries, const PackedPq4Codebooks& codebooks, uint8_t* tables,
               size_t table_stride) {
  ETA_SIMD_REQUIRE(codebooks.subspaces % 2 == 0 && codebooks.subspaces <= kPq4MaxSubspaces);
  ETA_SIMD_REQUIRE(AreRows(queries) && queries.width == codebooks.dim);
  ETA_SIMD_REQUIRE(table_stride >= codebooks.subspaces * kPq4Centroids);
  HWY_DYNAMIC_DISPATCH(Pq4TablesOnTarget)(queries, codebooks, tables, table_stride);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
