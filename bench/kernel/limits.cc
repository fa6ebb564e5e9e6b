// SPDX-License-Identifier: Apache-2.0
#include "bench/kernel/limits.h"

#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/kernel/limits.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eta::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

using ByteTag = hn::CappedTag<uint8_t, 64>;
using ByteVector = hn::Vec<ByteTag>;

// Applies step(sum, vector) to all bytes and adds up the sums. Eight independent chains hide the
// latency of each of the operations used below.
template <class Step>
HWY_INLINE uint64_t SumOverBytes(const uint8_t* HWY_RESTRICT data, size_t bytes, Step step) {
  const ByteTag d;
  const size_t N = hn::Lanes(d);
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  for (size_t i = 0; i + 8 * N <= bytes; i += 8 * N) {
    s0 = step(s0, hn::LoadU(d, data + i));
    s1 = step(s1, hn::LoadU(d, data + i + N));
    s2 = step(s2, hn::LoadU(d, data + i + 2 * N));
    s3 = step(s3, hn::LoadU(d, data + i + 3 * N));
    s4 = step(s4, hn::LoadU(d, data + i + 4 * N));
    s5 = step(s5, hn::LoadU(d, data + i + 5 * N));
    s6 = step(s6, hn::LoadU(d, data + i + 6 * N));
    s7 = step(s7, hn::LoadU(d, data + i + 7 * N));
  }
  const auto sum =
      hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), hn::Add(hn::Add(s4, s5), hn::Add(s6, s7)));
  HWY_ALIGN uint8_t lanes[64];
  hn::Store(sum, d, lanes);
  uint64_t total = 0;
  for (size_t i = 0; i < N; ++i) total += lanes[i];
  return total;
}

uint64_t LoadBytes(const uint8_t* data, size_t bytes) {
  return SumOverBytes(data, bytes,
                      [](ByteVector sum, ByteVector v) HWY_ATTR { return hn::Xor(sum, v); });
}

uint64_t PopcountBytes(const uint8_t* data, size_t bytes, uint8_t query) {
  const ByteTag d;
  const auto q = hn::Set(d, query);
  return SumOverBytes(data, bytes, [q](ByteVector sum, ByteVector v) HWY_ATTR {
    return hn::Add(sum, hn::PopulationCount(hn::Xor(v, q)));
  });
}

uint64_t LookUpNibbles(const uint8_t* data, size_t bytes, const uint8_t* tables) {
  const ByteTag d;
  const auto lower = hn::LoadDup128(d, tables), upper = hn::LoadDup128(d, tables + 16);
  const auto mask = hn::Set(d, uint8_t{0x0F});
  return SumOverBytes(data, bytes, [=](ByteVector sum, ByteVector v) HWY_ATTR {
    const auto low = hn::TableLookupBytes(lower, hn::And(v, mask));
    return hn::Add(sum, hn::Add(low, hn::TableLookupBytes(upper, hn::ShiftRight<4>(v))));
  });
}

uint64_t FmaChains(size_t rounds, float* result) {
  const hn::CappedTag<float, 16> d;
  const auto a = hn::Set(d, *result), b = hn::Set(d, 0.5f);
  // Each chain starts from another value, because the compiler would merge equal ones. Twelve hide
  // the latency of FMA (4 cycles, two a cycle) and fit, with both factors, 16 registers.
  const auto start = [&](int i) HWY_ATTR { return hn::Set(d, *result + static_cast<float>(i)); };
  auto s0 = start(0), s1 = start(1), s2 = start(2), s3 = start(3), s4 = start(4), s5 = start(5);
  auto s6 = start(6), s7 = start(7), s8 = start(8), s9 = start(9), s10 = start(10), s11 = start(11);
  for (size_t i = 0; i < rounds; ++i) {
    s0 = hn::MulAdd(s0, b, a), s1 = hn::MulAdd(s1, b, a), s2 = hn::MulAdd(s2, b, a);
    s3 = hn::MulAdd(s3, b, a), s4 = hn::MulAdd(s4, b, a), s5 = hn::MulAdd(s5, b, a);
    s6 = hn::MulAdd(s6, b, a), s7 = hn::MulAdd(s7, b, a), s8 = hn::MulAdd(s8, b, a);
    s9 = hn::MulAdd(s9, b, a), s10 = hn::MulAdd(s10, b, a), s11 = hn::MulAdd(s11, b, a);
  }
  const auto sum = hn::Add(
      hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), hn::Add(hn::Add(s4, s5), hn::Add(s6, s7))),
      hn::Add(hn::Add(s8, s9), hn::Add(s10, s11)));
  *result = hn::GetLane(sum) * 1e-9f;
  return rounds * 12 * hn::Lanes(d);
}

}  // namespace
}  // namespace eta::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::bench {

HWY_EXPORT(LoadBytes);
HWY_EXPORT(PopcountBytes);
HWY_EXPORT(LookUpNibbles);
HWY_EXPORT(FmaChains);

uint64_t LimitLoad(const uint8_t* data, size_t bytes) {
  return HWY_DYNAMIC_DISPATCH(LoadBytes)(data, bytes);
}

uint64_t LimitPopcount(const uint8_t* data, size_t bytes, uint8_t query) {
  return HWY_DYNAMIC_DISPATCH(PopcountBytes)(data, bytes, query);
}

uint64_t LimitLookup(const uint8_t* data, size_t bytes, const uint8_t* tables) {
  return HWY_DYNAMIC_DISPATCH(LookUpNibbles)(data, bytes, tables);
}

uint64_t LimitFma(size_t rounds, float* result) {
  return HWY_DYNAMIC_DISPATCH(FmaChains)(rounds, result);
}

uint64_t LimitRandomRead(const uint8_t* table, size_t row_bytes, const int32_t* ids, size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint8_t* row = table + static_cast<size_t>(ids[i]) * row_bytes;
    for (size_t b = 0; b < row_bytes; b += 64) {
      uint64_t word;
      std::memcpy(&word, row + b, sizeof(word));
      sum += word;
    }
  }
  return sum;
}

}  // namespace eta::bench
#endif  // HWY_ONCE
