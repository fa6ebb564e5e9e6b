// SPDX-License-Identifier: Apache-2.0
#include "bench/kernel/limits_i8.h"

#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/kernel/limits_i8.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/capabilities-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using SumTag = hn::CappedTag<int32_t, 16>;
using SumVector = hn::Vec<SumTag>;

// One step of a chain. Each product takes its own chain's sum as an operand: of constants alone the
// compiler would take the product out of the loop, or one for all chains.
ETA_SIMD_VNNI_ATTR HWY_INLINE SumVector AddProducts(SumTag d, SumVector sum, SumVector factor,
                                                    SumVector& rest) {
#if ETA_SIMD_HAS_VNNI
  (void)d;
  (void)rest;
  return SumVector{_mm512_dpbusd_epi32(sum.raw, factor.raw, factor.raw)};
#else
  const hn::Repartition<int16_t, SumTag> d16;
  sum =
      hn::ReorderWidenMulAccumulate(d, hn::BitCast(d16, sum), hn::BitCast(d16, factor), sum, rest);
#if ETA_SIMD_HAS_X86_VECTORS && HWY_COMPILER_GCC_ACTUAL
  __asm__("" : "+x"(sum.raw));  // against the spills that simd/internal/dot_i8-inl.h tells of
#endif
  return sum;
#endif
}

ETA_SIMD_VNNI_ATTR uint64_t I8Dot(size_t rounds, int32_t* result) {
  const SumTag d;
  const auto factor = hn::Set(d, *result);
  // Chains that start alike would be merged into one by the compiler. Twelve, with the factor and a
  // product, still fit 16 registers.
  auto s0 = hn::Set(d, *result), s1 = hn::Set(d, *result + 1), s2 = hn::Set(d, *result + 2);
  auto s3 = hn::Set(d, *result + 3), s4 = hn::Set(d, *result + 4), s5 = hn::Set(d, *result + 5);
  auto s6 = hn::Set(d, *result + 6), s7 = hn::Set(d, *result + 7), s8 = hn::Set(d, *result + 8);
  auto s9 = hn::Set(d, *result + 9), s10 = hn::Set(d, *result + 10);
  auto s11 = hn::Set(d, *result + 11), rest = hn::Zero(d);
  for (size_t i = 0; i < rounds; ++i) {
    s0 = AddProducts(d, s0, factor, rest), s1 = AddProducts(d, s1, factor, rest);
    s2 = AddProducts(d, s2, factor, rest), s3 = AddProducts(d, s3, factor, rest);
    s4 = AddProducts(d, s4, factor, rest), s5 = AddProducts(d, s5, factor, rest);
    s6 = AddProducts(d, s6, factor, rest), s7 = AddProducts(d, s7, factor, rest);
    s8 = AddProducts(d, s8, factor, rest), s9 = AddProducts(d, s9, factor, rest);
    s10 = AddProducts(d, s10, factor, rest), s11 = AddProducts(d, s11, factor, rest);
  }
  const auto sum = hn::Add(
      hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), hn::Add(hn::Add(s4, s5), hn::Add(s6, s7))),
      hn::Add(hn::Add(hn::Add(s8, s9), hn::Add(s10, s11)), rest));
  *result = hn::GetLane(sum) | 1;
  constexpr size_t kProductsPerLane = ETA_SIMD_HAS_VNNI ? 4 : 2;
  return rounds * 12 * hn::Lanes(d) * kProductsPerLane;
}

}  // namespace eta::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::bench {

HWY_EXPORT(I8Dot);

uint64_t LimitI8Dot(size_t rounds, int32_t* result) {
  return HWY_DYNAMIC_DISPATCH(I8Dot)(rounds, result);
}

}  // namespace eta::bench
#endif  // HWY_ONCE
