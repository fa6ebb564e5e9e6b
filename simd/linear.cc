// SPDX-License-Identifier: Apache-2.0
#include "simd/linear.h"

#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/linear.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/linear-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// Biases [column, column + lanes) of `out`; 0 past the end.
template <class D>
HWY_INLINE hn::Vec<D> LoadBias(D d, const float* bias, size_t column, size_t out) {
  HWY_ALIGN float lanes[kLinearColumns] = {0};
  if (column >= out) return hn::Zero(d);
  std::memcpy(lanes, bias + column, HWY_MIN(hn::Lanes(d), out - column) * sizeof(float));
  return hn::Load(d, lanes);
}

// Bias and activation are looked up for each two vectors. One form of the product for each of their
// four combinations is faster by 0 to 2 %, and takes four times as long to compile: two minutes
// under AddressSanitizer.
HWY_MAYBE_UNUSED void LinearOfTarget(const RowsView<float>& x, const LinearLayer& layer, float* y,
                                     size_t y_stride) {
  const LinearPanels matrix = PackedLinearPanels(layer.packed, x.width, layer.out);
  ForEachProduct(x, matrix,
                 [=](auto d, size_t row, size_t column, auto first, auto second) HWY_ATTR {
                   if (column >= layer.out) return;
                   const size_t N = hn::Lanes(d);
                   if (layer.bias != nullptr) {
                     const float* bias = layer.bias + row * layer.bias_stride;
                     if (HWY_LIKELY(column + 2 * N <= layer.out)) {
                       first = hn::Add(first, hn::LoadU(d, bias + column));
                       second = hn::Add(second, hn::LoadU(d, bias + column + N));
                     } else {
                       first = hn::Add(first, LoadBias(d, bias, column, layer.out));
                       second = hn::Add(second, LoadBias(d, bias, column + N, layer.out));
                     }
                   }
                   if (layer.activation == Activation::kRelu) {
                     const auto zero = hn::Zero(d);
                     first = hn::IfThenElseZero(hn::Gt(first, zero), first);
                     second = hn::IfThenElseZero(hn::Gt(second, zero), second);
                   }
                   StoreColumns(d, first, second, layer.out - column, y + row * y_stride + column);
                 });
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(LinearOfTarget);

void PackLinear(const RowsView<float>& weight, float* packed) {
  for (size_t j = 0; j < PaddedColumns(weight.width); j += kLinearColumns) {
    const size_t columns = HWY_MIN(kLinearColumns, weight.width - j);
    for (size_t i = 0; i < weight.count; ++i, packed += kLinearColumns) {
      std::memcpy(packed, weight.row(i) + j, columns * sizeof(float));
      for (size_t c = columns; c < kLinearColumns; ++c) packed[c] = 0.0f;
    }
  }
}

void PackLinearTransposed(const RowsView<float>& weight, float* packed) {
  for (size_t j = 0; j < PaddedColumns(weight.count); j += kLinearColumns) {
    for (size_t i = 0; i < weight.width; ++i, packed += kLinearColumns) {
      for (size_t c = 0; c < kLinearColumns; ++c) {
        packed[c] = j + c < weight.count ? weight.row(j + c)[i] : 0.0f;
      }
    }
  }
}

void Linear(const RowsView<float>& x, const LinearLayer& layer, float* y, size_t y_stride) {
  ETA_SIMD_REQUIRE(AreRows(x) && layer.out >= 1 && y_stride >= layer.out);
  ETA_SIMD_REQUIRE(layer.bias_stride == 0 || layer.bias_stride >= layer.out);
  HWY_DYNAMIC_DISPATCH(LinearOfTarget)(x, layer, y, y_stride);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
