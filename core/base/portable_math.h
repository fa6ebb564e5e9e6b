// SPDX-License-Identifier: Apache-2.0
// log, exp and pow with the same bits on every platform; the C library's differ in the last place.
#pragma once

#include "core/base/export.h"

namespace eta {

// Each is made of + - * / alone, in one fixed order, and is accurate to about 1e-15 (relative), for
// pow times |y log x|. Results below the smallest normal number are flushed to 0.
ETA_CORE_API double PortableLog(double x);  // NaN for x < 0, -infinity for 0
ETA_CORE_API double PortableExp(double x);
ETA_CORE_API double PortablePow(double x, double y);  // x to the power of y, for x > 0

}  // namespace eta
