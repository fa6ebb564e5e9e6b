// SPDX-License-Identifier: Apache-2.0
// The largest sizes that any part of the project accepts.
#pragma once

#include <cstddef>

namespace eta {

inline constexpr size_t kMaxBits = 4096;
inline constexpr size_t kMaxDim = 4096;

}  // namespace eta
