// SPDX-License-Identifier: Apache-2.0
#include "simd/linear.h"

#include <cstring>

#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/linear.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/linear-inl.h"

#ifndef ETA_SIMD_LINEAR_TYPES_
#define ETA_SIMD_LINEAR_TYPES_
namespace eta::simd {

struct LinearArguments {
  const float* x;
  size_t rows;
  size_t in;
  size_t x_stride;
  const float* packed;
  const float* bias;
  size_t bias_stride;
  size_t out;
  Activation activation;
  float* y;
  size_t y_stride;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_LINEAR_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

// `count` values from `from` in lanes, 0 behind them.
template <class D>
HWY_INLINE hn::Vec<D> LoadBias(D d, const float* from, size_t column, size_t out) {
  HWY_ALIGN float lanes[16] = {0};
  if (column >= out) return hn::Zero(d);
  std::memcpy(lanes, from + column, HWY_MIN(hn::Lanes(d), out - column) * sizeof(float));
  return hn::Load(d, lanes);
}

template <bool kHasBias, bool kIsRelu>
void Layer(const LinearArguments& args) {
  ForEachProduct(args.x, args.rows, args.in, args.x_stride, args.packed, args.in * kLinearColumns,
                 kLinearColumns, args.out,
                 [&args](auto d, size_t row, size_t column, auto first, auto second) HWY_ATTR {
                   const size_t N = hn::Lanes(d);
                   if constexpr (kHasBias) {
                     const float* bias = args.bias + row * args.bias_stride;
                     if (HWY_LIKELY(column + 2 * N <= args.out)) {
                       first = hn::Add(first, hn::LoadU(d, bias + column));
                       second = hn::Add(second, hn::LoadU(d, bias + column + N));
                     } else {
                       first = hn::Add(first, LoadBias(d, bias, column, args.out));
                       second = hn::Add(second, LoadBias(d, bias, column + N, args.out));
                     }
                   }
                   if constexpr (kIsRelu) {
                     const auto zero = hn::Zero(d);
                     first = hn::IfThenElseZero(hn::Gt(first, zero), first);
                     second = hn::IfThenElseZero(hn::Gt(second, zero), second);
                   }
                   if (column < args.out) {
                     StoreColumns(d, first, second, args.out - column,
                                  args.y + row * args.y_stride + column);
                   }
                 });
}

void RunLinear(const LinearArguments& args) {
  const bool is_relu = args.activation == Activation::kRelu;
  if (args.bias == nullptr) {
    is_relu ? Layer<false, true>(args) : Layer<false, false>(args);
  } else {
    is_relu ? Layer<true, true>(args) : Layer<true, false>(args);
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(RunLinear);

void PackLinear(const float* weight, size_t in, size_t out, size_t row_stride, size_t column_stride,
                float* packed) {
  for (size_t j = 0; j < PaddedColumns(out); j += kLinearColumns) {
    const size_t columns = HWY_MIN(kLinearColumns, out - j);
    for (size_t i = 0; i < in; ++i, packed += kLinearColumns) {
      const float* from = weight + i * row_stride + j * column_stride;
      size_t c = 0;
      if (column_stride == 1) {
        std::memcpy(packed, from, columns * sizeof(float));
        c = columns;
      }
      for (; c < columns; ++c) packed[c] = from[c * column_stride];
      for (; c < kLinearColumns; ++c) packed[c] = 0.0f;
    }
  }
}

void Linear(const float* x, size_t rows, size_t in, size_t x_stride, const float* packed,
            const float* bias, size_t bias_stride, size_t out, Activation activation, float* y,
            size_t y_stride) {
  HWY_DASSERT(in >= 1 && out >= 1 && x_stride >= in && y_stride >= out);
  HWY_DASSERT(bias_stride == 0 || bias_stride >= out);
  const LinearArguments args = {x,           rows, in,         x_stride, packed,  bias,
                                bias_stride, out,  activation, y,        y_stride};
  HWY_DYNAMIC_DISPATCH(RunLinear)(args);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
