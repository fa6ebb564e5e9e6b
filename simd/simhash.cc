// SPDX-License-Identifier: Apache-2.0
#include "simd/simhash.h"

#include <algorithm>
#include <cstring>

#include "simd/internal/common.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/simhash.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "simd/internal/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace {

// The signs of two vectors of sums as bits, first lane lowest.
HWY_INLINE uint32_t SignsOfSums(PanelTag d, PanelVector sum0, PanelVector sum1) {
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

// Bytes [0, bytes) of the codes of up to kTileRows rows: their signs against one panel.
HWY_INLINE void SimHashEncodeTile(const RowsView<float>& tile, const float* panel, size_t bytes,
                                  uint8_t* codes, size_t code_stride) {
  const PanelTag d;
  const size_t chunk_bits = 2 * hn::Lanes(d);  // 8, 16 or 32
  for (size_t bit = 0; bit < bytes * 8; bit += chunk_bits) {
    const size_t chunk_bytes = chunk_bits / 8;
    const size_t take = HWY_MIN(chunk_bytes, bytes - bit / 8);
    TileProductOf(tile.count, d, tile.data, tile.stride, tile.width, panel + bit,
                  [&](size_t r, PanelVector sum0, PanelVector sum1) HWY_ATTR {
                    const uint32_t signs = SignsOfSums(d, sum0, sum1);
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

HWY_MAYBE_UNUSED void SimHashEncodeOfTarget(const RowsView<float>& x,
                                            const PackedHyperplanes& planes, uint8_t* codes,
                                            size_t code_stride) {
  const size_t code_bytes = CodeBytes(planes.bits);
  // Panels outside, rows inside: a panel (dim x 256 bytes) stays in the L1 cache.
  for (size_t first = 0; first < code_bytes; first += kPanelBits / 8) {
    const float* panel = planes.data + first * 8 * planes.dim;
    const size_t bytes = HWY_MIN(code_bytes - first, kPanelBits / 8);
    for (size_t r = 0; r < x.count; r += kTileRows) {
      const RowsView<float> tile = {x.row(r), HWY_MIN(kTileRows, x.count - r), x.width, x.stride};
      SimHashEncodeTile(tile, panel, bytes, codes + r * code_stride + first, code_stride);
    }
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eta::simd {

HWY_EXPORT(SimHashEncodeOfTarget);

void PackHyperplanes(const RowsView<float>& planes, float* packed) {
  for (size_t first = 0; first < planes.width; first += kPanelBits) {
    const size_t columns = std::min(kPanelBits, planes.width - first);
    for (size_t d = 0; d < planes.count; ++d) {
      std::fill_n(packed, kPanelBits, 0.0f);
      std::copy_n(planes.row(d) + first, columns, packed);
      packed += kPanelBits;
    }
  }
}

void SimHashEncode(const RowsView<float>& x, const PackedHyperplanes& planes, uint8_t* codes,
                   size_t code_stride) {
  ETA_SIMD_REQUIRE(planes.dim >= 1 && planes.bits >= 1);
  ETA_SIMD_REQUIRE(x.width == planes.dim && AreRows(x));
  ETA_SIMD_REQUIRE(code_stride >= CodeBytes(planes.bits));
  HWY_DYNAMIC_DISPATCH(SimHashEncodeOfTarget)(x, planes, codes, code_stride);
}

}  // namespace eta::simd
#endif  // HWY_ONCE
