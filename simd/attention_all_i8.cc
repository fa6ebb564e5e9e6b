// SPDX-License-Identifier: Apache-2.0
#include "simd/attention_all_i8.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/attention_all_i8.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/i8_rows-inl.h"
#include "simd/internal/panel_i8-inl.h"

#ifndef ETA_SIMD_ATTENTION_ALL_I8_TYPES_
#define ETA_SIMD_ATTENTION_ALL_I8_TYPES_
namespace eta::simd {
namespace {

constexpr size_t kAllI8MostQueries = 6;  // of a tile, on any target
constexpr size_t kAllI8MostWords = 2;    // of a group of components, on any target

// Keys and values of a head.
struct I8Head {
  I8Head(const ProjectedI8Rows& rows, size_t head)
      : padded(PaddedRows(rows.count)),
        key_factors(reinterpret_cast<const float*>(rows.packed)),
        keys(rows.packed + padded * sizeof(float) +
             head * ProjectedI8HeadBytes(rows.count, rows.part)),
        values(keys + I8BlocksBytes(rows.count, rows.part)),
        value_factors(values + padded * I8PaddedPart(rows.part)) {}

  size_t padded;             // rows
  const float* key_factors;  // of any alignment
  const uint8_t* keys;
  const uint8_t* values;
  const uint8_t* value_factors;  // floats of any alignment
};

// The scratch of a tile of queries.
struct AllI8Scratch {
  AllI8Scratch(void* aligned, size_t count, size_t part)
      : stride(PaddedRows(count)),
        weights(static_cast<float*>(aligned)),
        sums(weights + kAllI8MostQueries * stride),
        words(static_cast<int32_t*>(
            static_cast<void*>(sums + kAllI8MostQueries * I8PaddedPart(part)))),
        bytes(static_cast<uint8_t*>(
            static_cast<void*>(words + kAllI8MostQueries * kAllI8MostWords * I8Groups(part)))) {}

  static size_t Bytes(size_t count, size_t part) {
    const size_t of_part =
        (I8PaddedPart(part) + kAllI8MostWords * I8Groups(part)) * sizeof(float) + part;
    return SaturatingProduct(
        kAllI8MostQueries, SaturatingProduct(PaddedRows(count), sizeof(float)) > SIZE_MAX - of_part
                               ? SIZE_MAX
                               : PaddedRows(count) * sizeof(float) + of_part);
  }

  size_t stride;   // floats of a query's weights
  float* weights;  // scores first, then integers in the form of the target
  float* sums;     // of values, I8PaddedPart(part) for each query
  int32_t* words;  // the queries in the form of the target
  uint8_t* bytes;  // one query
};

}  // namespace
}  // namespace eta::simd
#endif  // ETA_SIMD_ATTENTION_ALL_I8_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Stores the scores of a block's rows (dot_i8-inl.h).
struct StoreWeights {
  float* scores;  // of the block, of the first query
  size_t stride;

#if ETA_SIMD_HAS_VNNI
  HWY_INLINE void Take(size_t q, __m512 s0, __m512 s1, __m512 s2, __m512 s3) const {
    float* to = scores + q * stride;
    _mm512_storeu_ps(to, s0), _mm512_storeu_ps(to + 16, s1);
    _mm512_storeu_ps(to + 32, s2), _mm512_storeu_ps(to + 48, s3);
  }
#else
  HWY_INLINE void Take(size_t q, size_t row, hn::Vec<hn::RebindToFloat<I8SumTag> > v) const {
    hn::StoreU(v, hn::RebindToFloat<I8SumTag>(), scores + q * stride + row);
  }
#endif
};

// The scores of up to kI8TileQueries queries with all rows, to the base of 2.
HWY_INLINE void ScoreAllI8(const I8Head& head, const Queries<float>& queries, size_t part,
                           const AllI8Scratch& scratch) {
  const size_t groups = I8Groups(part);
  int32_t starts[kAllI8MostQueries];
  float factors[kAllI8MostQueries];
  for (size_t q = 0; q < queries.count; ++q) {
    factors[q] = RoundToBytes<false>(queries.query(q), part, 0, scratch.bytes) * kLog2OfE;
    starts[q] = PrepareI8Query(reinterpret_cast<const int8_t*>(scratch.bytes), part,
                               scratch.words + q * groups * kI8WordsPerGroup);
  }
  for (size_t r = 0; r < head.padded; r += kBlockRows) {
    I8TileOf(
        queries.count,
        {head.keys + r * groups * 4, head.key_factors + r, groups, scratch.words, starts, factors},
        StoreWeights{scratch.weights + r, scratch.stride});
  }
}

// Writes 16-bit weights of rows, in place of their scores: with VNNI the lower and then the upper
// bytes of 16 rows, else the pairs of rows 0 and 2 and of rows 1 and 3 of each four in two words,
// and two more that nobody reads.
HWY_INLINE void StoreRowWeights(I8HeadSums weights, float* to) {
#if ETA_SIMD_HAS_VNNI
  auto* bytes = reinterpret_cast<__m128i*>(to);
  _mm_storeu_si128(bytes, _mm512_cvtepi32_epi8(weights.raw));
  _mm_storeu_si128(bytes + 1, _mm512_cvtepi32_epi8(_mm512_srli_epi32(weights.raw, 8)));
#else
  const I8HeadSumTag d;
  const auto pairs = hn::Or(weights, hn::ShiftLeft<16>(hn::Shuffle1032(weights)));
  hn::StoreU(pairs, d, reinterpret_cast<int32_t*>(to));
#endif
}

// Turns a query's scores of n rows into weights. Returns their sum: exact for each 512 rows.
HWY_INLINE float WeighAllI8(float* scores, size_t n, size_t padded) {
  const I8HeadTag d;
  const I8HeadSumTag d32;
  const size_t N = hn::Lanes(d);
  std::fill(scores + n, scores + padded, -HUGE_VALF);
  auto most = hn::LoadU(d, scores), more = hn::LoadU(d, scores + N);
  for (size_t i = 2 * N; i < padded; i += 2 * N) {
    most = hn::Max(most, hn::LoadU(d, scores + i));
    more = hn::Max(more, hn::LoadU(d, scores + i + N));
  }
  const auto largest = hn::MaxOfLanes(d, hn::Max(most, more));
  const auto steps = hn::Set(d, kI8WeightSteps);
  float total = 0.0f;
  for (size_t begin = 0; begin < padded; begin += kI8RowsSummed) {
    auto sum = hn::Zero(d32);
    for (size_t i = begin; i < HWY_MIN(begin + kI8RowsSummed, padded); i += N) {
      const auto e = Exp2OfNegative(d, hn::Sub(hn::LoadU(d, scores + i), largest));
      const auto weights = RoundTo32Bits(d, e, steps);
      sum = hn::Add(sum, weights);
      StoreRowWeights(weights, scores + i);
    }
    total += static_cast<float>(hn::GetLane(hn::SumOfLanes(d32, sum)));
  }
  return total;
}

// One head of up to kI8TileQueries queries. Query and out rows start at the head's columns.
HWY_INLINE void AttendHeadToAllI8(const ProjectedI8Rows& rows, const I8Head& head,
                                  const Queries<float>& queries, const AllI8Scratch& scratch,
                                  const OutputRows<float>& out) {
  const I8HeadTag d;
  const size_t part = rows.part, sums_stride = I8PaddedPart(part);
  ScoreAllI8(head, queries, part, scratch);
  float factors[kAllI8MostQueries];
  for (size_t q = 0; q < queries.count; ++q) {
    factors[q] = 1.0f / WeighAllI8(scratch.weights + q * scratch.stride, rows.count, head.padded);
  }
  for (size_t begin = 0; begin < head.padded; begin += kI8RowsSummed) {
    const size_t end = HWY_MIN(begin + kI8RowsSummed, head.padded);
    for (size_t c = 0; c < part; c += 16) {
      AddPanelOf(queries.count, scratch.weights, scratch.stride, head.values + c * head.padded,
                 begin, end, scratch.sums + c, sums_stride);
    }
  }
  for (size_t q = 0; q < queries.count; ++q) {
    for (size_t c = 0; c < part; c += hn::Lanes(d)) {
      const auto value_factors = LoadLanes(d, head.value_factors + c * sizeof(float));
      const auto sums = hn::LoadU(d, scratch.sums + q * sums_stride + c);
      const auto v = hn::Mul(hn::Mul(sums, value_factors), hn::Set(d, factors[q]));
      StoreFirst(d, v, part - c, out.row(q) + c);
    }
  }
}

HWY_MAYBE_UNUSED void AttendAllI8OfTarget(const ProjectedI8Rows& rows,
                                          const Queries<float>& queries, void* aligned_scratch,
                                          const OutputRows<float>& out) {
  if (rows.count == 0) {
    for (size_t b = 0; b < queries.count; ++b) {
      std::fill_n(out.row(b), rows.heads * rows.part, 0.0f);
    }
    return;
  }
  const AllI8Scratch scratch(aligned_scratch, rows.count, rows.part);
  for (size_t h = 0; h < rows.heads; ++h) {
    const I8Head head(rows, h);
    for (size_t b = 0; b < queries.count; b += kI8TileQueries) {
      Queries<float> tile = queries.part(b, HWY_MIN(kI8TileQueries, queries.count - b));
      tile.data += h * rows.part;
      AttendHeadToAllI8(rows, head, tile, scratch, {out.row(b) + h * rows.part, out.stride});
    }
  }
}

// The factors of 16 components of the values of a head, from column on, and what makes integers of
// them, over all rows.
HWY_INLINE void ScaleComponents(const RowsView<float>& values, size_t column, size_t count,
                                float* factors, float* inverses) {
  const I8HeadTag d;
  for (size_t c = 0; c < 16; c += hn::Lanes(d)) {
    auto most = hn::Zero(d);
    if (c < count) {
      for (size_t r = 0; r < values.count; ++r) {
        most = hn::Max(most, hn::Abs(LoadFirst(d, values.row(r) + column + c, count - c)));
      }
    }
    hn::StoreU(most, d, factors + c);
  }
  for (size_t c = 0; c < 16; ++c) {
    const RowScale scale(factors[c], 127.0f);
    factors[c] = scale.scale;
    inverses[c] = scale.factor;
  }
}

// 16 components of the values of a head, from column on, to a panel and their factors.
HWY_INLINE void PackPanel(const RowsView<float>& values, size_t column, size_t count,
                          uint8_t* panel, uint8_t* to_factors) {
  const I8HeadTag d;
  const I8HeadSumTag d32;
  HWY_ALIGN float factors[16], inverses[16];
  ScaleComponents(values, column, count, factors, inverses);
  std::memcpy(to_factors, factors, sizeof(factors));
  for (size_t r = 0; r < PaddedRows(values.count); r += 4) {
    for (size_t c = 0; c < 16; c += hn::Lanes(d)) {
      auto bytes = hn::Zero(d32);
      for (size_t k = 4; k-- > 0;) {
        auto v = hn::Zero(d);
        if (r + k < values.count && c < count) {
          v = LoadFirst(d, values.row(r + k) + column + c, count - c);
        }
        const auto integers = RoundTo32Bits(d, v, hn::LoadU(d, inverses + c));
        bytes = hn::Or(hn::ShiftLeft<8>(bytes), hn::And(integers, hn::Set(d32, 0xFF)));
      }
      hn::StoreU(bytes, d32, reinterpret_cast<int32_t*>(panel + r * 16 + c * 4));
    }
  }
}

HWY_MAYBE_UNUSED void PackProjectedI8OfTarget(const RowsView<float>& keys,
                                              const RowsView<float>& values, size_t heads,
                                              uint8_t* packed) {
  const size_t n = keys.count, part = keys.width / heads, groups = I8Groups(part);
  const size_t padded = PaddedRows(n), head_bytes = ProjectedI8HeadBytes(n, part);
  const size_t key_bytes = I8BlocksBytes(n, part);
  uint8_t* of_heads = packed + padded * sizeof(float);
  std::memset(packed, 0, padded * sizeof(float));
  for (size_t h = 0; h < heads; ++h) {
    uint8_t* head = of_heads + h * head_bytes;
    std::memset(head + (padded - kBlockRows) * groups * 4, 0, kBlockRows * groups * 4);
    uint8_t* head_values = head + key_bytes;
    for (size_t c = 0; c < part; c += 16) {
      PackPanel(values, h * part + c, part - c, head_values + c * padded,
                head_values + padded * I8PaddedPart(part) + c * sizeof(float));
    }
  }
  HWY_ALIGN uint8_t bytes[kI8MaxDim];
  std::memset(bytes, 128, groups * 4);  // past a head's part
  for (size_t r = 0; r < n; ++r) {
    // One factor for all heads, as of a table's rows: it takes a fourth of the time of four.
    const RowScale scale(LargestOfRow<false>(keys.row(r), keys.width), 127.0f);
    std::memcpy(packed + r * sizeof(float), &scale.scale, sizeof(float));
    for (size_t h = 0; h < heads; ++h) {
      RoundBy<false>(scale, keys.row(r) + h * part, part, 128, bytes);
      uint8_t* to =
          of_heads + h * head_bytes + r / kBlockRows * kBlockRows * groups * 4 + r % kBlockRows * 4;
      for (size_t g = 0; g < groups; ++g, to += kI8GroupBytes) std::memcpy(to, bytes + g * 4, 4);
    }
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(AttendAllI8OfTarget);
HWY_EXPORT(PackProjectedI8OfTarget);

void PackProjectedI8(const RowsView<float>& keys, const RowsView<float>& values, size_t heads,
                     uint8_t* packed) {
  ETA_SIMD_REQUIRE(heads >= 1 && keys.width % heads == 0 && keys.width / heads <= kI8MaxDim);
  ETA_SIMD_REQUIRE(keys.count == values.count && keys.width == values.width);
  if (keys.count == 0) return;  // the rows may be null
  ETA_SIMD_REQUIRE(AreRows(keys) && AreRows(values));
  HWY_DYNAMIC_DISPATCH(PackProjectedI8OfTarget)(keys, values, heads, packed);
}

size_t AttendAllI8ScratchBytes(size_t count, size_t part) {
  if (part == 0 || part > kI8MaxDim) return kNoScratch;
  const size_t bytes = AllI8Scratch::Bytes(count, part);
  return bytes > kNoScratch - kCacheLineBytes ? kNoScratch : bytes + kCacheLineBytes;
}

void AttendAllI8(const ProjectedI8Rows& rows, const Queries<float>& queries, ScratchView scratch,
                 const OutputRows<float>& out) {
  ETA_SIMD_REQUIRE(rows.heads >= 1 && rows.part >= 1 && rows.part <= kI8MaxDim);
  ETA_SIMD_REQUIRE(queries.stride >= rows.heads * rows.part &&
                   out.stride >= rows.heads * rows.part);
  ETA_SIMD_REQUIRE(scratch.bytes >= AttendAllI8ScratchBytes(rows.count, rows.part));
  HWY_DYNAMIC_DISPATCH(AttendAllI8OfTarget)
  (rows, queries, AlignUp(scratch.data, kCacheLineBytes), out);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
