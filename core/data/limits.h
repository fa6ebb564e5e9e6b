// SPDX-License-Identifier: Apache-2.0
// The largest sizes that any part of the project accepts.
#pragma once

#include <cstddef>

namespace eta {

inline constexpr size_t kMaxBits = 4096;  // of a code: 512 bytes, and distances fit 16 bits
inline constexpr size_t kMaxDim = 4096;  // of an embedding: what the int8 and Hadamard kernels take

}  // namespace eta
