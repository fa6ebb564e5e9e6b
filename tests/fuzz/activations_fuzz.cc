// SPDX-License-Identifier: Apache-2.0
// simd/activations.h against double, within the errors that it promises.
#include "simd/activations.h"

#include <limits>

#include "core/reference/attention.h"
#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

constexpr float kInf = std::numeric_limits<float>::infinity();

// Values of any kind, scaled to where the functions are not flat.
std::vector<float> Arguments(Input& in) {
  std::vector<float> values = in.Floats(in.Size(0, 300));
  const float scale = in.OneOf({1.0f, 0.01f, 8.0f, 40.0f});
  for (float& value : values) value *= scale;
  return values;
}

// Calls f on a copy that ends where its array ends.
template <class F>
std::vector<float> Apply(F f, const std::vector<float>& values, size_t offset) {
  Buffer<float> buffer(values, offset);
  f(buffer.data(), buffer.size());
  return {buffer.data(), buffer.data() + buffer.size()};
}

void CheckExp(const std::vector<float>& any, size_t offset) {
  std::vector<float> x = any;
  for (float& value : x) value = -std::abs(value);
  const auto y = Apply(simd::Exp, x, offset);
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(static_cast<double>(x[i]));
    if (std::isnan(x[i])) {
      ASSERT_TRUE(std::isnan(y[i])) << i;
    } else if (x[i] < simd::kExpLowest) {
      ASSERT_EQ(y[i], 0.0f) << x[i];
    } else {
      ASSERT_NEAR(y[i], expected, static_cast<double>(simd::kExpError) * expected) << x[i];
    }
  }
}

void CheckSoftmax(const std::vector<float>& any, size_t offset) {
  std::vector<float> x = any;
  for (float& value : x) {
    if (std::isnan(value) || value == kInf) value = 0;
  }
  if (x.empty() || *std::ranges::max_element(x) == -kInf) x.push_back(0);
  const auto y = Apply(simd::Softmax, x, offset);
  const auto expected = reference::Softmax({x.begin(), x.end()});
  const double tolerance =
      1e-6 + static_cast<double>(x.size()) * static_cast<double>(simd::kSoftmaxErrorPerValue);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], expected[i], tolerance) << x[i];
}

template <class F, class Exact>
void CheckEach(F f, Exact exact, const std::vector<float>& x, size_t offset) {
  const auto y = Apply(f, x, offset);
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i])) {
      ASSERT_TRUE(std::isnan(y[i])) << i;
    } else {
      ASSERT_NEAR(y[i], exact(static_cast<double>(x[i])), 1e-6) << x[i];
    }
  }
}

void Run(Input in) {
  const auto values = Arguments(in);
  const size_t offset = in.Between(0, 7);
  OnTargets(in, [&] {
    CheckExp(values, offset);
    CheckSoftmax(values, offset);
    CheckEach(simd::Sigmoid, reference::Sigmoid, values, offset);
    CheckEach(
        simd::Tanh, [](double x) { return std::tanh(x); }, values, offset);
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
