// SPDX-License-Identifier: Apache-2.0
// simd/activations.h against the library's functions in double, on every target.
#include "simd/activations.h"

#include <cmath>

#include "core/reference/attention.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kSizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000};

class ActivationsTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(ActivationsTest);

TEST_P(ActivationsTest, ExpKeepsItsRelativeErrorBound) {
  std::vector<float> x;
  // Every 1,009th float, a prime, from the smallest on: all exponents and all of their fractions.
  for (uint32_t bits = 1; std::bit_cast<float>(bits) <= -simd::kExpLowest; bits += 1009) {
    x.push_back(-std::bit_cast<float>(bits));
  }
  // About the points where the rounded exponent changes.
  for (int n = 0; n < 126; ++n) {
    float value = -static_cast<float>((n + 0.5) * std::log(2.0));
    for (int i = 0; i < 40; ++i) value = std::nextafter(value, -INFINITY);
    for (int i = 0; i < 80; ++i) x.push_back(value = std::nextafter(value, 0.0f));
  }
  ASSERT_GT(x.size(), 1000000u);
  std::vector<float> y = x;
  simd::Exp(y.data(), y.size());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    worst = std::max(worst, std::abs(static_cast<double>(y[i]) / exact - 1));
  }
  EXPECT_LE(worst, static_cast<double>(simd::kExpError));
  EXPECT_GT(worst, 1e-8);  // not by comparing with itself
}

TEST_P(ActivationsTest, ExpAtTheEnds) {
  float x[] = {0.0f, -0.0f, std::nextafter(simd::kExpLowest, -INFINITY), -1e30f, -INFINITY, NAN};
  simd::Exp(x, std::size(x));
  EXPECT_EQ(x[0], 1.0f);
  EXPECT_EQ(x[1], 1.0f);
  for (size_t i = 2; i < 5; ++i) EXPECT_EQ(x[i], 0.0f) << i;
  EXPECT_TRUE(std::isnan(x[5]));
}

TEST_P(ActivationsTest, SoftmaxOfAllSizes) {
  Rng rng(1);
  for (const size_t n : kSizes) {
    for (const float scale : {1.0f, 30.0f, 1000.0f}) {
      Buffer<float> values(MakeFloats(n, [&] { return scale * BellFloat(rng); }), n % 5);
      const auto expected =
          reference::Softmax(reference::Vector(values.span().begin(), values.span().end()));
      simd::Softmax(values.data(), n);
      for (size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(values[i], expected[i], 1e-6) << "n=" << n << " scale=" << scale << " i=" << i;
      }
    }
  }
}

TEST_P(ActivationsTest, SoftmaxOfEqualAndOfInfiniteValues) {
  float equal[] = {-3e38f, -3e38f, -3e38f, -3e38f, -3e38f};
  simd::Softmax(equal, std::size(equal));
  for (const float value : equal) EXPECT_FLOAT_EQ(value, 0.2f);
  float one[] = {-INFINITY, 5.0f, -INFINITY};
  simd::Softmax(one, std::size(one));
  EXPECT_EQ(one[0], 0.0f);
  EXPECT_EQ(one[1], 1.0f);
  EXPECT_EQ(one[2], 0.0f);
}

TEST_P(ActivationsTest, SigmoidAndTanh) {
  Rng rng(2);
  for (const size_t n : kSizes) {
    for (const float scale : {1e-4f, 1.0f, 20.0f, 1e30f}) {
      const auto x = MakeFloats(n, [&] { return scale * BellFloat(rng); });
      Buffer<float> sigmoid(std::span<const float>(x), n % 3);
      Buffer<float> tanh(std::span<const float>(x), n % 3);
      simd::Sigmoid(sigmoid.data(), n);
      simd::Tanh(tanh.data(), n);
      for (size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(sigmoid[i], reference::Sigmoid(static_cast<double>(x[i])), 1e-6) << x[i];
        EXPECT_NEAR(tanh[i], std::tanh(static_cast<double>(x[i])), 1e-6) << x[i];
      }
    }
  }
}

}  // namespace
}  // namespace eta::test
