// SPDX-License-Identifier: Apache-2.0
// Exponentials in float32 and the activations made of them: Exp, Softmax, Sigmoid, Tanh. All work
// in place on `n` values of any alignment, n = 0 included, and agree across targets within their
// errors.
#pragma once

#include <cstddef>

#include "simd/export.h"

namespace eta::simd {

// Bound of the relative error of Exp. The largest seen over every 211th float was 1.8e-7, on AVX2,
// SSE4 and EMU128.
inline constexpr float kExpError = 2.5e-7f;
// Exp is 0 below this value, whose exponential is about the smallest normal float.
inline constexpr float kExpLowest = -87.33f;
// What each value adds to the error bound of Softmax. A sum is kept in at least four lanes of
// float32, so n values are n / 4 additions, and each rounds by up to 2^-24 of the sum. A fuzzer
// found 3.3e-6 for some 300 weights of about 1e-7 beside one of nearly 1.
inline constexpr float kSoftmaxErrorPerValue = 1.5e-8f;

// values[i] = exp(values[i]) for values <= 0, within a relative error of kExpError; 0 for values
// below kExpLowest, exactly 1 for 0. NaN stays NaN. Values above 0 are not allowed. The method is a
// Cody-Waite reduction and a polynomial of degree 5.
ETA_SIMD_API void Exp(float* values, size_t n);

// values[i] = exp(values[i] - largest) / sum of these, within 1e-6 + n * kSoftmaxErrorPerValue. No
// value may be NaN or +infinity, and not all may be -infinity.
ETA_SIMD_API void Softmax(float* values, size_t n);

// values[i] = 1 / (1 + exp(-values[i])), within 1e-6. Computed from e = exp(-|x|), which cannot
// overflow, as 1 / (1 + e) or e / (1 + e). Infinities give 0 and 1, NaN stays NaN.
ETA_SIMD_API void Sigmoid(float* values, size_t n);

// values[i] = tanh(values[i]), within 1e-6 (absolute: small results have a larger relative error).
// Computed as (1 - e) / (1 + e) with e = exp(-2 |x|) and the sign of x. Infinities give -1 and 1,
// NaN stays NaN.
ETA_SIMD_API void Tanh(float* values, size_t n);

}  // namespace eta::simd
