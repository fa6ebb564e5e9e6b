// SPDX-License-Identifier: Apache-2.0
#include "bench/kernel/limits_i8.h"

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/kernel/limits_i8.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/dot_i8-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

using SumTag = hn::CappedTag<int32_t, 16>;
using SumVector = hn::Vec<SumTag>;

// One step of a chain. Each product has its own chain's sum as an operand, because the compiler
// would move a product of constants out of the loop, or share it among the chains.
ETA_SIMD_VNNI_ATTR HWY_INLINE SumVector AddI8ChainProducts(SumTag d, SumVector sum,
                                                           SumVector factor, SumVector& rest) {
#if ETA_SIMD_HAS_VNNI
  (void)d;
  (void)rest;
  return SumVector{_mm512_dpbusd_epi32(sum.raw, factor.raw, factor.raw)};
#else
  const hn::Repartition<int16_t, SumTag> d16;
  sum =
      hn::ReorderWidenMulAccumulate(d, hn::BitCast(d16, sum), hn::BitCast(d16, factor), sum, rest);
#if ETA_SIMD_HAS_X86_VECTORS && HWY_COMPILER_GCC_ACTUAL
  __asm__("" : "+x"(sum.raw));  // against the spills of simd/internal/dot_i8-inl.h
#endif
  return sum;
#endif
}

ETA_SIMD_VNNI_ATTR uint64_t I8DotChains(size_t rounds, int32_t* result) {
  const SumTag d;
  const auto factor = hn::Set(d, *result);
  // Each chain starts from another value, because the compiler would merge equal ones. Twelve fit
  // 16 registers with the factor and a product.
  auto s0 = hn::Set(d, *result), s1 = hn::Set(d, *result + 1), s2 = hn::Set(d, *result + 2);
  auto s3 = hn::Set(d, *result + 3), s4 = hn::Set(d, *result + 4), s5 = hn::Set(d, *result + 5);
  auto s6 = hn::Set(d, *result + 6), s7 = hn::Set(d, *result + 7), s8 = hn::Set(d, *result + 8);
  auto s9 = hn::Set(d, *result + 9), s10 = hn::Set(d, *result + 10);
  auto s11 = hn::Set(d, *result + 11), rest = hn::Zero(d);
  for (size_t i = 0; i < rounds; ++i) {
    s0 = AddI8ChainProducts(d, s0, factor, rest), s1 = AddI8ChainProducts(d, s1, factor, rest);
    s2 = AddI8ChainProducts(d, s2, factor, rest), s3 = AddI8ChainProducts(d, s3, factor, rest);
    s4 = AddI8ChainProducts(d, s4, factor, rest), s5 = AddI8ChainProducts(d, s5, factor, rest);
    s6 = AddI8ChainProducts(d, s6, factor, rest), s7 = AddI8ChainProducts(d, s7, factor, rest);
    s8 = AddI8ChainProducts(d, s8, factor, rest), s9 = AddI8ChainProducts(d, s9, factor, rest);
    s10 = AddI8ChainProducts(d, s10, factor, rest), s11 = AddI8ChainProducts(d, s11, factor, rest);
  }
  const auto sum = hn::Add(
      hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), hn::Add(hn::Add(s4, s5), hn::Add(s6, s7))),
      hn::Add(hn::Add(hn::Add(s8, s9), hn::Add(s10, s11)), rest));
  *result = hn::GetLane(sum) | 1;
  constexpr size_t kProductsPerLane = ETA_SIMD_HAS_VNNI ? 4 : 2;
  return rounds * 12 * hn::Lanes(d) * kProductsPerLane;
}

}  // namespace
}  // namespace eta::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::bench {

HWY_EXPORT(I8DotChains);

uint64_t LimitI8Dot(size_t rounds, int32_t* result) {
  return HWY_DYNAMIC_DISPATCH(I8DotChains)(rounds, result);
}

}  // namespace eta::bench
#endif  // HWY_ONCE
