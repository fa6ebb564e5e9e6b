// SPDX-License-Identifier: Apache-2.0
// The tables by which nibble_scan-inl.h sums asymmetric penalties.

// clang-format off
#if defined(ETA_SIMD_ASYM_TABLES_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_ASYM_TABLES_INL_H_
#undef ETA_SIMD_ASYM_TABLES_INL_H_
#else
#define ETA_SIMD_ASYM_TABLES_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

#ifndef ETA_SIMD_ASYM_TABLES_TYPES_
#define ETA_SIMD_ASYM_TABLES_TYPES_
namespace eta::simd {

// The longest code of asym.h.
inline constexpr size_t kMaxAsymCodeBytes = 512;

}  // namespace eta::simd
#endif  // ETA_SIMD_ASYM_TABLES_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// The tables of a query. Entry m of a table is the penalty of the four bits m: a bit that is not
// (weight > 0) adds |weight|. That is the sum of the positive weights, minus the weights whose bit
// is 1.
HWY_INLINE void MakePenaltyTables(const int8_t* HWY_RESTRICT weights, size_t code_bytes,
                                  uint8_t* HWY_RESTRICT tables) {
  const hn::FixedTag<uint8_t, 16> d;
  const auto entry = hn::Iota(d, 0);
  const auto has = [&](uint8_t bit) HWY_ATTR {
    return hn::VecFromMask(d, hn::Eq(hn::And(entry, hn::Set(d, bit)), hn::Set(d, bit)));
  };
  const auto has0 = has(1), has1 = has(2), has2 = has(4), has3 = has(8);
  for (size_t t = 0; t < 2 * code_bytes; ++t, weights += 4, tables += 16) {
    const int all = HWY_MAX(weights[0], 0) + HWY_MAX(weights[1], 0) + HWY_MAX(weights[2], 0) +
                    HWY_MAX(weights[3], 0);
    const auto weight = [&](size_t j)
                            HWY_ATTR { return hn::Set(d, static_cast<uint8_t>(weights[j])); };
    auto sum = hn::Set(d, static_cast<uint8_t>(all));
    sum = hn::Sub(sum, hn::And(has0, weight(0)));
    sum = hn::Sub(sum, hn::And(has1, weight(1)));
    sum = hn::Sub(sum, hn::And(has2, weight(2)));
    sum = hn::Sub(sum, hn::And(has3, weight(3)));
    hn::StoreU(sum, d, tables);
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
