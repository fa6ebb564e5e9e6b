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

// Rows that share the loads of the centroids.
inline constexpr size_t kPq4Rows = 4;

}  // namespace eta::simd
#endif  // ETA_SIMD_PQ4_ENCODE_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// Lanes are centroids: one vector of 16, or several shorter ones.
using CentroidTag = hn::CappedTag<float, kPq4Centroids>;
using CentroidVector = hn::Vec<CentroidTag>;

// One subspace of one codebook: its centroids for dims [0, dims) and what sums begin with.
struct Subspace {
  const float* centroids;
  const float* start;  // null for 0
  size_t dims;
};

// scores[16 r + m] = start[m] + sum_d x_r[d] * centroid_m[d] for kPq4Rows rows.
HWY_INLINE void SubspaceScores(const float* HWY_RESTRICT x, size_t stride, const Subspace& s,
                               float* HWY_RESTRICT scores) {
  const CentroidTag d;
  for (size_t m = 0; m < kPq4Centroids; m += hn::Lanes(d)) {
    auto sum0 = s.start == nullptr ? hn::Zero(d) : hn::LoadU(d, s.start + m);
    auto sum1 = sum0, sum2 = sum0, sum3 = sum0;
    for (size_t i = 0; i < s.dims; ++i) {
      const auto c = hn::LoadU(d, s.centroids + i * kPq4Centroids + m);
      sum0 = QuickFma(d, hn::Set(d, x[i]), c, sum0);
      sum1 = QuickFma(d, hn::Set(d, x[stride + i]), c, sum1);
      sum2 = QuickFma(d, hn::Set(d, x[2 * stride + i]), c, sum2);
      sum3 = QuickFma(d, hn::Set(d, x[3 * stride + i]), c, sum3);
    }
    hn::Store(sum0, d, scores + m);
    hn::Store(sum1, d, scores + kPq4Centroids + m);
    hn::Store(sum2, d, scores + 2 * kPq4Centroids + m);
    hn::Store(sum3, d, scores + 3 * kPq4Centroids + m);
  }
}

// The first of the largest of 16 scores. What is not above the lowest float counts as that, because
// MaxOfLanes of EMU128 returns nothing lower.
HWY_INLINE uint32_t FirstOfLargest(const float* HWY_RESTRICT scores) {
  const CentroidTag d;
  const auto lowest = hn::Set(d, std::numeric_limits<float>::lowest());
  const auto load = [&](size_t m) HWY_ATTR {
    const auto v = hn::Load(d, scores + m);
    return hn::IfThenElse(hn::Gt(v, lowest), v, lowest);
  };
  auto largest = load(0);
  for (size_t m = hn::Lanes(d); m < kPq4Centroids; m += hn::Lanes(d)) {
    largest = hn::Max(largest, load(m));
  }
  largest = hn::MaxOfLanes(d, largest);
  uint32_t bits = 0;
  for (size_t m = 0; m < kPq4Centroids; m += hn::Lanes(d)) {
    uint8_t bytes[8] = {0};  // StoreMaskBits may write 8 bytes
    hn::StoreMaskBits(d, hn::Eq(load(m), largest), bytes);
    bits |= (uint32_t{bytes[0]} | uint32_t{bytes[1]} << 8) << m;
  }
  return static_cast<uint32_t>(hwy::Num0BitsBelowLS1Bit_Nonzero32(bits));
}

HWY_INLINE Subspace SubspaceOf(const PackedPq4Codebooks& b, size_t s, bool with_start) {
  const size_t first = Pq4FirstDim(b.dim, b.subspaces, s);
  return {b.data + first * kPq4Centroids,
          with_start ? b.data + (b.dim + s) * kPq4Centroids : nullptr,
          Pq4FirstDim(b.dim, b.subspaces, s + 1) - first};
}

// Codes of kPq4Rows rows that start x_stride apart; `rows` of them are written.
HWY_INLINE void EncodeRows(const float* x, size_t x_stride, size_t rows,
                           const PackedPq4Codebooks& b, uint8_t* codes, size_t code_stride) {
  HWY_ALIGN float scores[kPq4Rows * kPq4Centroids];
  for (size_t s = 0; s < b.subspaces; ++s) {
    SubspaceScores(x + Pq4FirstDim(b.dim, b.subspaces, s), x_stride, SubspaceOf(b, s, true),
                   scores);
    for (size_t r = 0; r < rows; ++r) {
      uint8_t& byte = codes[r * code_stride + s / 2];
      const uint32_t code = FirstOfLargest(scores + r * kPq4Centroids);
      byte = static_cast<uint8_t>(s % 2 == 0 ? code : byte | code << 4);
    }
  }
}

void Pq4EncodeOnTarget(const RowsView<float>& x, const PackedPq4Codebooks& codebooks,
                       uint8_t* codes, size_t code_stride) {
  size_t r = 0;
  for (; r + kPq4Rows <= x.count; r += kPq4Rows) {
    EncodeRows(x.row(r), x.stride, kPq4Rows, codebooks, codes + r * code_stride, code_stride);
  }
  // One row stands in for four.
  for (; r < x.count; ++r) {
    EncodeRows(x.row(r), 0, 1, codebooks, codes + r * code_stride, code_stride);
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
  const CentroidTag d;
  HWY_ALIGN float scores[kPq4Rows * kPq4Centroids];
  TableRange range;
  auto not_finite = hn::Zero(d);  // NaN once a product is not finite
  for (size_t s = 0; s < b.subspaces; ++s) {
    SubspaceScores(query + Pq4FirstDim(b.dim, b.subspaces, s), 0, SubspaceOf(b, s, false), scores);
    auto largest = hn::Load(d, scores), smallest = largest;
    for (size_t m = 0; m < kPq4Centroids; m += hn::Lanes(d)) {
      const auto p = hn::Load(d, scores + m);
      largest = hn::Max(largest, p);
      smallest = hn::Min(smallest, p);
      not_finite = hn::Add(not_finite, hn::Sub(p, p));
      hn::StoreU(p, d, products + s * kPq4Centroids + m);
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
  const CentroidTag d;
  const hn::Rebind<int32_t, CentroidTag> di;
  const hn::Rebind<uint8_t, CentroidTag> d8;
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
        const auto p = hn::LoadU(d, products + s * kPq4Centroids + m);
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
