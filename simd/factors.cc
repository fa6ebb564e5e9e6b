// SPDX-License-Identifier: Apache-2.0
#include "simd/factors.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "simd/internal/block_topk_layout.h"
#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/factors.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/block_topk-inl.h"
#include "simd/internal/code_scan-inl.h"

#ifndef ETA_SIMD_FACTORS_TYPES_
#define ETA_SIMD_FACTORS_TYPES_
namespace eta::simd {

inline constexpr size_t kMaxFactorBits = 8 * kMaxRankedCodeBytes;

constexpr size_t PlainCodeBytes(size_t bits) { return FactorCodeBytes(bits) - 1; }

// How the penalties of one query become distances, as factors.h has it.
struct FactorScale {
  uint8_t shift;       // of a byte penalty: t
  uint8_t wide_shift;  // of a 16-bit penalty, which is then multiplied: the upper half is e
  uint8_t middle;      // floor(V / 2)
  uint16_t divider;    // what it is multiplied by
  uint16_t gain;       // g
};

// `wide` says that penalties take 16 bits.
inline FactorScale MakeFactorScale(size_t most_penalty, size_t max_factor, bool wide) {
  FactorScale scale = {0, 0, 0, 0, 0};
  size_t most = most_penalty;  // V
  if (most <= 254) {
    for (; most != 0 && 2 * most <= 254; most *= 2) ++scale.shift;
    scale.wide_shift = 8;
    scale.divider = static_cast<uint16_t>(256u << scale.shift);
  } else if (wide) {
    scale.divider = static_cast<uint16_t>(254 * 65536 / most);
    most = 254;
  } else {
    most = 256;
  }
  const size_t largest = (max_factor * ((most + 1) / 2) + 1) / 2;  // Q
  const size_t gain = (127 * 65536 - 1) / std::max<size_t>(largest, 1);
  scale.gain = static_cast<uint16_t>(std::min<size_t>(gain, 32767));
  scale.middle = static_cast<uint8_t>(most / 2);
  return scale;
}

// A query as BlockTopK passes it on: its scale, then what the scan of penalties takes.
inline constexpr size_t kFactorHeaderBytes = kCacheLineBytes;
static_assert(sizeof(FactorScale) <= kFactorHeaderBytes);

// Queries prepared together: those that share a pass over the history.
inline constexpr size_t kFactorTile = BlockTopKLayout::kMaxTile;

inline CodeBlocksView CodesOf(const FactorBlocksView& rows) {
  return {rows.data, rows.n, FactorCodeBytes(rows.bits)};
}

// The planes of code blocks but the last, which holds the factors.
inline PlanesView CodePlanes(const CodeBlocksView& rows) {
  return {rows.data, NumBlocks(rows.n), rows.code_bytes - 1, rows.code_bytes * kBlockRows};
}

inline size_t FactorTopKScratchBytes(size_t n, size_t bits, size_t k, size_t query_bytes) {
  if (n > kMaxRankedRows || bits < 1 || bits > kMaxFactorBits) return kNoScratch;
  return kFactorTile * query_bytes +
         BlockTopKLayout(n, FactorCodeBytes(bits), k, 1, kMaxFactorDistance).bytes();
}

}  // namespace eta::simd
#endif  // ETA_SIMD_FACTORS_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using FactorTag = hn::CappedTag<uint8_t, kBlockRows>;
using FactorTag16 = hn::RepartitionToWide<FactorTag>;
using FactorTagI16 = hn::RebindToSigned<FactorTag16>;

// The largest factor of the history.
size_t MaxFactor(const CodeBlocksView& rows) {
  const FactorTag d;
  const size_t block_bytes = rows.code_bytes * kBlockRows;
  const uint8_t* plane = rows.data + block_bytes - kBlockRows;
  const size_t full = rows.n / kBlockRows, rest = rows.n % kBlockRows;
  auto most = hn::Zero(d);
  for (size_t b = 0; b < full; ++b, plane += block_bytes) {
    for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
      most = hn::Max(most, hn::LoadU(d, plane + lane));
    }
  }
  HWY_ALIGN uint8_t lanes[kBlockRows];
  hn::Store(most, d, lanes);
  uint8_t largest = *std::max_element(lanes, lanes + hn::Lanes(d));
  for (size_t i = 0; i < rest; ++i) largest = std::max(largest, plane[i]);
  return largest;
}

HWY_INLINE FactorScale ScaleOf(const uint8_t* query) {
  FactorScale scale;
  std::memcpy(&scale, query, sizeof(scale));
  return scale;
}

// Turns penalties into distances and stores them. The 16-bit products of the even rows of a vector
// are kept apart from those of the odd ones, so that no lane moves.
class FactorScaler {
 public:
  HWY_INLINE FactorScaler(const PlanesView& rows, const FactorScale& scale, uint8_t* distances)
      : factors_(rows.data + rows.code_bytes * kBlockRows),
        block_bytes_(rows.block_bytes),
        shift_(scale.shift),
        middle_(scale.middle),
        gain_(static_cast<int16_t>(scale.gain)),
        distances_(distances) {}

  // For penalties of the rows from `lane` on of block b.
  HWY_INLINE void operator()(hn::Vec<FactorTag> penalties, size_t b, size_t lane) const {
    const auto pairs = hn::BitCast(FactorTag16(), penalties);
    Store(hn::BitCast(FactorTag(), hn::ShiftLeftSame(pairs, shift_)), b, lane);
  }

  // The same for penalties that are bytes e already.
  HWY_INLINE void Store(hn::Vec<FactorTag> bytes, size_t b, size_t lane) const {
    const FactorTag d;
    const FactorTag16 d16;
    const auto factors = hn::BitCast(d16, hn::LoadU(d, factors_ + b * block_bytes_ + lane));
    const auto sums = hn::BitCast(d16, hn::Sub(bytes, hn::Set(d, middle_)));
    const auto half = hn::Set(d16, uint16_t{0x7F80}), upper = hn::Set(d16, uint16_t{0xFF00});
    // 2^8 * sum times 2^7 * factor: the upper half is half their product.
    const auto even = Scaled(hn::ShiftLeft<8>(sums), hn::And(hn::ShiftLeft<7>(factors), half));
    const auto odd = Scaled(hn::And(sums, upper), hn::And(hn::ShiftRight<1>(factors), half));
    const auto both = hn::Or(hn::AndNot(upper, even), hn::ShiftLeft<8>(odd));
    hn::StoreU(hn::Xor(hn::BitCast(d, both), hn::Set(d, uint8_t{128})), d,
               distances_ + b * kBlockRows + lane);
  }

 private:
  using V16 = hn::Vec<FactorTag16>;

  HWY_INLINE V16 Scaled(V16 sums, V16 factors) const {
    const FactorTagI16 di;
    const auto products = hn::MulHigh(hn::BitCast(di, sums), hn::BitCast(di, factors));
    return hn::BitCast(FactorTag16(), hn::MulHigh(products, hn::Set(di, gain_)));
  }

  const uint8_t* HWY_RESTRICT factors_;
  size_t block_bytes_;
  int shift_;
  uint8_t middle_;  // not vectors: a member cannot be one of SVE
  int16_t gain_;
  uint8_t* HWY_RESTRICT distances_;
};

// The distances of whole blocks whose penalties take 16 bits, which
// compute(planes of up to 4 blocks, penalties) computes.
template <class Compute>
HWY_INLINE void ScaleWide(const PlanesView& rows, const FactorScale& scale, uint8_t* distances,
                          Compute compute) {
  constexpr size_t kBatch = 4;  // blocks, which the kernels take together
  const FactorTag d;
  const FactorTag16 d16;
  const auto divider = hn::Set(d16, scale.divider);
  const int shift = scale.wide_shift;
  HWY_ALIGN uint16_t penalties[kBatch * kBlockRows];
  for (size_t b = 0; b < rows.num_blocks; b += kBatch) {
    const size_t count = HWY_MIN(kBatch, rows.num_blocks - b);
    const PlanesView some = {rows.data + b * rows.block_bytes, count, rows.code_bytes,
                             rows.block_bytes};
    compute(some, penalties);
    const FactorScaler scaler(some, scale, distances + b * kBlockRows);
    for (size_t i = 0; i < count * kBlockRows; i += hn::Lanes(d)) {
      hn::Vec<FactorTag16> even, odd;
      hn::LoadInterleaved2(d16, penalties + i, even, odd);
      even = hn::MulHigh(hn::ShiftLeftSame(even, shift), divider);
      odd = hn::MulHigh(hn::ShiftLeftSame(odd, shift), divider);
      const auto bytes = hn::Or(even, hn::ShiftLeft<8>(odd));
      scaler.Store(hn::BitCast(d, bytes), i / kBlockRows, i % kBlockRows);
    }
  }
}

// How the queries of a method are prepared, and what BlockTopK scans with.
struct NormScan {
  static constexpr bool kMaySaturate = false;
  static size_t MaxDistance(size_t) { return kMaxFactorDistance; }
  // Distances of up to 256 bits are bytes, of which 255 may stand for 256.
  static bool IsWide(size_t code_bytes) { return code_bytes > 32; }

  static size_t QueryBytes(size_t bits) { return kFactorHeaderBytes + PlainCodeBytes(bits); }
  static HWY_INLINE void Prepare(const uint8_t* code, size_t bits, size_t max_factor,
                                 uint8_t* query) {
    const FactorScale scale = MakeFactorScale(bits, max_factor, IsWide(PlainCodeBytes(bits)));
    std::memcpy(query, &scale, sizeof(scale));
    std::memcpy(query + kFactorHeaderBytes, code, PlainCodeBytes(bits));
  }

  static HWY_INLINE void Distances(const CodeBlocksView& rows, const uint8_t* query,
                                   uint8_t* distances) {
    const PlanesView planes = CodePlanes(rows);
    const uint8_t* code = query + kFactorHeaderBytes;
    if (IsWide(planes.code_bytes)) {
      ScaleWide(planes, ScaleOf(query), distances,
                [code](const PlanesView& some, uint16_t* penalties)
                    HWY_ATTR { BlockDistances(some, code, penalties); });
    } else {
      ForDistances(planes, code, FactorScaler(planes, ScaleOf(query), distances));
    }
  }
};

struct AsymFactorScan {
  static constexpr bool kMaySaturate = false;
  static size_t MaxDistance(size_t) { return kMaxFactorDistance; }
  static bool IsWide(size_t code_bytes) { return code_bytes > kMaxByteWeightPlanes; }

  static size_t QueryBytes(size_t bits) {
    return kFactorHeaderBytes + PlainCodeBytes(bits) * kNibbleTableBytes;
  }
  static HWY_INLINE void Prepare(const int8_t* weights, size_t bits, size_t max_factor,
                                 uint8_t* query) {
    size_t most = 0;
    for (size_t j = 0; j < bits; ++j) most += static_cast<size_t>(std::abs(weights[j]));
    const FactorScale scale = MakeFactorScale(most, max_factor, IsWide(PlainCodeBytes(bits)));
    std::memcpy(query, &scale, sizeof(scale));
    MakePenaltyTables(weights, PlainCodeBytes(bits), query + kFactorHeaderBytes);
  }

  static HWY_INLINE void Distances(const CodeBlocksView& rows, const uint8_t* query,
                                   uint8_t* distances) {
    const PlanesView planes = CodePlanes(rows);
    const uint8_t* tables = query + kFactorHeaderBytes;
    if (IsWide(planes.code_bytes)) {
      ScaleWide(planes, ScaleOf(query), distances,
                [tables](const PlanesView& some, uint16_t* penalties)
                    HWY_ATTR { NibbleSums(some, tables, penalties); });
    } else {
      ForNibbleSums(planes, tables, FactorScaler(planes, ScaleOf(query), distances));
    }
  }
};

template <class Scan, typename Value>
HWY_INLINE void ComputeDistances(const FactorBlocksView& rows, const Value* query,
                                 uint8_t* distances) {
  if (rows.n == 0) return;
  HWY_ALIGN uint8_t prepared[kFactorHeaderBytes + kMaxRankedCodeBytes * kNibbleTableBytes];
  Scan::Prepare(query, rows.bits, MaxFactor(CodesOf(rows)), prepared);
  Scan::Distances(CodesOf(rows), prepared, distances);
}

// Queries are taken a tile at a time, so that the scratch for what is prepared is bounded.
template <class Scan, typename Value>
HWY_INLINE void TopKOfScan(const FactorBlocksView& rows, const Queries<Value>& queries,
                           const TopKOptions& options, void* scratch,
                           const TopKResult<uint16_t>& result) {
  const CodeBlocksView codes = CodesOf(rows);
  const size_t max_factor = MaxFactor(codes), stride = Scan::QueryBytes(rows.bits);
  auto* prepared = static_cast<uint8_t*>(scratch);
  void* rest = prepared + kFactorTile * stride;
  for (size_t q = 0; q < queries.count; q += kFactorTile) {
    const size_t count = HWY_MIN(kFactorTile, queries.count - q);
    for (size_t i = 0; i < count; ++i) {
      Scan::Prepare(queries.query(q + i), rows.bits, max_factor, prepared + i * stride);
    }
    BlockTopK<uint8_t, Scan>(codes, {prepared, count, stride}, options, rest,
                             result.from(q, options.k))
        .Run();
  }
}

void NormDistancesOnTarget(const FactorBlocksView& rows, const uint8_t* query, uint8_t* distances) {
  ComputeDistances<NormScan>(rows, query, distances);
}

void AsymFactorDistancesOnTarget(const FactorBlocksView& rows, const int8_t* weights,
                                 uint8_t* distances) {
  ComputeDistances<AsymFactorScan>(rows, weights, distances);
}

void NormTopKOnTarget(const FactorBlocksView& rows, const Queries<uint8_t>& queries,
                      const TopKOptions& options, void* scratch,
                      const TopKResult<uint16_t>& result) {
  TopKOfScan<NormScan>(rows, queries, options, scratch, result);
}

void AsymFactorTopKOnTarget(const FactorBlocksView& rows, const Queries<int8_t>& weights,
                            const TopKOptions& options, void* scratch,
                            const TopKResult<uint16_t>& result) {
  TopKOfScan<AsymFactorScan>(rows, weights, options, scratch, result);
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(NormDistancesOnTarget);
HWY_EXPORT(AsymFactorDistancesOnTarget);
HWY_EXPORT(NormTopKOnTarget);
HWY_EXPORT(AsymFactorTopKOnTarget);

namespace {

double SquaredLength(const float* row, size_t dim) {
  double sum = 0;
  for (size_t d = 0; d < dim; ++d) sum += static_cast<double>(row[d]) * row[d];
  return sum;
}

HWY_MAYBE_UNUSED bool IsTopKCall(const FactorBlocksView& rows, const TopKOptions& options) {
  return rows.bits >= 1 && rows.bits <= kMaxFactorBits && options.k >= 1 &&
         rows.n <= kMaxRankedRows;
}

}  // namespace

float NormFactor(const float* row, size_t dim) {
  return static_cast<float>(std::sqrt(SquaredLength(row, dim)));
}

float AsymFactor(const float* row, size_t dim, const float* projections, size_t bits) {
  double sum = 0;
  for (size_t j = 0; j < bits; ++j) sum += std::abs(static_cast<double>(projections[j]));
  return sum > 0 ? static_cast<float>(SquaredLength(row, dim) / sum) : 0.0f;
}

uint8_t QuantizeFactor(float factor, float unit) {
  ETA_SIMD_REQUIRE(unit > 0);
  const double units = static_cast<double>(factor) / unit;
  if (!(units > 0)) return 0;
  return static_cast<uint8_t>(std::floor(std::min(units, 255.0) + 0.5));
}

void NormDistances(const FactorBlocksView& rows, const uint8_t* query, uint8_t* distances) {
  ETA_SIMD_REQUIRE(rows.bits >= 1 && rows.bits <= kMaxFactorBits);
  HWY_DYNAMIC_DISPATCH(NormDistancesOnTarget)(rows, query, distances);
}

void AsymFactorDistances(const FactorBlocksView& rows, const int8_t* weights, uint8_t* distances) {
  ETA_SIMD_REQUIRE(rows.bits >= 1 && rows.bits <= kMaxFactorBits);
  HWY_DYNAMIC_DISPATCH(AsymFactorDistancesOnTarget)(rows, weights, distances);
}

size_t NormTopKScratchBytes(size_t n, size_t bits, size_t k) {
  return FactorTopKScratchBytes(n, bits, k, kFactorHeaderBytes + PlainCodeBytes(bits));
}

size_t AsymFactorTopKScratchBytes(size_t n, size_t bits, size_t k) {
  return FactorTopKScratchBytes(n, bits, k,
                                kFactorHeaderBytes + PlainCodeBytes(bits) * kNibbleTableBytes);
}

size_t NormTopK(const FactorBlocksView& rows, const Queries<uint8_t>& queries,
                const TopKOptions& options, ScratchView scratch,
                const TopKResult<uint16_t>& result) {
  ETA_SIMD_REQUIRE(IsTopKCall(rows, options) && queries.stride >= PlainCodeBytes(rows.bits));
  ETA_SIMD_REQUIRE(scratch.bytes >= NormTopKScratchBytes(rows.n, rows.bits, options.k));
  if (!AnsweredWithoutScan(rows.n, queries.count, options, result)) {
    HWY_DYNAMIC_DISPATCH(NormTopKOnTarget)(rows, queries, options, scratch.data, result);
  }
  return std::min(options.k, rows.n);
}

size_t AsymFactorTopK(const FactorBlocksView& rows, const Queries<int8_t>& weights,
                      const TopKOptions& options, ScratchView scratch,
                      const TopKResult<uint16_t>& result) {
  ETA_SIMD_REQUIRE(IsTopKCall(rows, options) && weights.stride >= PlainCodeBytes(rows.bits) * 8);
  ETA_SIMD_REQUIRE(scratch.bytes >= AsymFactorTopKScratchBytes(rows.n, rows.bits, options.k));
  if (!AnsweredWithoutScan(rows.n, weights.count, options, result)) {
    HWY_DYNAMIC_DISPATCH(AsymFactorTopKOnTarget)(rows, weights, options, scratch.data, result);
  }
  return std::min(options.k, rows.n);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
