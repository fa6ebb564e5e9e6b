// SPDX-License-Identifier: Apache-2.0
// Scratch for one call of a kernel, with its size.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/retrieval/refillable.h"
#include "simd/views.h"

namespace eta {

// `bytes` bytes of `buffer`, of which kernels that check refuse too few.
inline simd::ScratchView ScratchFor(ScratchBuffer& buffer, size_t bytes) {
  return {buffer.Get<uint8_t>(bytes), bytes};
}

}  // namespace eta
