// SPDX-License-Identifier: Apache-2.0
// log, exp and pow with the same bits on every platform; the C library's differ in the last place.
#pragma once

namespace eta {

// Each is made of + - * / alone, in one fixed order, and is accurate to about 1e-15 (relative), for
// pow times |y log x|. Results below the smallest normal number are flushed to 0.
double PortableLog(double x);  // NaN for x < 0, -infinity for 0
double PortableExp(double x);
double PortablePow(double x, double y);  // x to the power of y, for x > 0

}  // namespace eta
