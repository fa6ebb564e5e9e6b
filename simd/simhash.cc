// SPDX-License-Identifier: Apache-2.0
#include "simd/simhash.h"

#include <algorithm>
#include <cstring>

#include "simd/internal/highway_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/simhash.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {

// The signs of two vectors of sums as bits, first lane lowest.
HWY_INLINE uint32_t SignBits(PanelTag d, PanelVector sum0, PanelVector sum1) {
  const auto zero = hn::Zero(d);
  uint8_t bytes0[8] = {0};  // StoreMaskBits may write 8 bytes
  uint8_t bytes1[8] = {0};
  hn::StoreMaskBits(d, hn::Gt(sum0, zero), bytes0);
  hn::StoreMaskBits(d, hn::Gt(sum1, zero), bytes1);
  uint32_t bits0 = 0, bits1 = 0;
  std::memcpy(&bits0, bytes0, 2);
  std::memcpy(&bits1, bytes1, 2);
  return bits0 | (bits1 << hn::Lanes(d));
}

// Codes of up to kTileRows rows against one panel; the panel's bits are bytes
// [0, min(8, bytes_left)) of each code.
HWY_INLINE void EncodeTile(PanelTag d, const float* x, size_t rows, size_t dim, size_t x_stride,
                           const float* panel, uint8_t* codes, size_t code_stride,
                           size_t bytes_left) {
  const size_t chunk_bits = 2 * hn::Lanes(d);  // 8, 16 or 32
  const size_t bytes = HWY_MIN(bytes_left, kPanelBits / 8);
  for (size_t bit = 0; bit < bytes * 8; bit += chunk_bits) {
    const size_t chunk_bytes = chunk_bits / 8;
    const size_t take = HWY_MIN(chunk_bytes, bytes - bit / 8);
    TileProductOf(rows, d, x, x_stride, dim, panel + bit,
                  [&](size_t r, PanelVector sum0, PanelVector sum1) HWY_ATTR {
                    const uint32_t signs = SignBits(d, sum0, sum1);
                    uint8_t* out = codes + r * code_stride + bit / 8;
                    // A size known to the compiler is one store, any other a call.
                    if (HWY_LIKELY(take == chunk_bytes)) {
                      std::memcpy(out, &signs, chunk_bytes);
                    } else {
                      std::memcpy(out, &signs, take);
                    }
                  });
  }
}

void Encode(const float* x, size_t rows, size_t dim, size_t x_stride, const float* packed,
            size_t bits, uint8_t* codes, size_t code_stride) {
  const PanelTag d;
  const size_t code_bytes = CodeBytes(bits);
  // Panels outside, rows inside: a panel (dim x 256 bytes) stays in the L1 cache.
  for (size_t first = 0; first < code_bytes; first += kPanelBits / 8) {
    const float* panel = packed + first * 8 * dim;
    for (size_t r = 0; r < rows; r += kTileRows) {
      EncodeTile(d, x + r * x_stride, HWY_MIN(kTileRows, rows - r), dim, x_stride, panel,
                 codes + r * code_stride + first, code_stride, code_bytes - first);
    }
  }
}

}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(Encode);

void PackHyperplanes(const float* planes, size_t dim, size_t bits, size_t stride, float* packed) {
  for (size_t first = 0; first < bits; first += kPanelBits) {
    const size_t columns = std::min(kPanelBits, bits - first);
    for (size_t d = 0; d < dim; ++d) {
      std::fill_n(packed, kPanelBits, 0.0f);
      std::copy_n(planes + d * stride + first, columns, packed);
      packed += kPanelBits;
    }
  }
}

void SimHashEncode(const float* x, size_t rows, size_t dim, size_t x_stride, const float* packed,
                   size_t bits, uint8_t* codes, size_t code_stride) {
  HWY_DASSERT(dim >= 1 && bits >= 1);
  HWY_DASSERT(x_stride >= dim && code_stride >= CodeBytes(bits));
  HWY_DYNAMIC_DISPATCH(Encode)(x, rows, dim, x_stride, packed, bits, codes, code_stride);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
