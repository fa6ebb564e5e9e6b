// SPDX-License-Identifier: Apache-2.0
// Exponentials in float32, and what is made of them. All work in place.
#pragma once

#include <cstddef>

namespace eta::simd {

// Relative error of Exp; 1.8e-7 at most on AVX2, SSE4 and EMU128, every 211th float.
inline constexpr float kExpError = 2.5e-7f;
// Below it Exp is 0: the smallest normal floats are near.
inline constexpr float kExpLowest = -87.33f;

// values[i] = exp(values[i]) for values <= 0, within a relative error of kExpError; 0 for values
// below kExpLowest, exactly 1 for 0. NaN stays NaN.
void Exp(float* values, size_t n);

// values[i] = exp(values[i] - largest) / sum of these. n = 0 is legal; no value may be NaN or
// +infinity, and not all -infinity.
void Softmax(float* values, size_t n);

// values[i] = 1 / (1 + exp(-values[i])), and tanh(values[i]); absolute errors below 1e-6.
void Sigmoid(float* values, size_t n);
void Tanh(float* values, size_t n);

}  // namespace eta::simd
