// SPDX-License-Identifier: Apache-2.0
// simd/linear.h against the plain sum, bit for bit, on every target.
#include "simd/linear.h"

#include <array>
#include <cmath>
#include <limits>
#include <ostream>

#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using simd::Activation;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

constexpr size_t kRows[] = {0, 1, 2, 3, 5, 6, 7, 11, 12, 13};
constexpr size_t kIns[] = {1, 2, 15, 16, 17, 64};
constexpr size_t kOuts[] = {1, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 80, 200};

struct Case {
  size_t rows, in, out;
  enum { kNone, kShared, kOfRows } bias;
  Activation activation;
  size_t gap;  // elements between rows
  size_t offset;

  friend std::ostream& operator<<(std::ostream& o, const Case& c) {
    return o << "target=" << simd::TargetName(simd::ActiveTarget()) << " rows=" << c.rows
             << " in=" << c.in << " out=" << c.out << " bias=" << c.bias
             << " relu=" << (c.activation == Activation::kRelu) << " gap=" << c.gap
             << " offset=" << c.offset;
  }
};

// Element (i, j) of the weights is weight[j * in + i] where `is_transposed`.
void ExpectLayer(const Case& c, bool is_transposed) {
  SCOPED_TRACE(c);
  Rng rng(c.rows * 1000 + c.in * 10 + c.out);
  const auto bell = [&] { return BellFloat(rng); };
  const auto dense = MakeFloats(c.rows * c.in, bell);
  const auto weight = MakeFloats(c.in * c.out, bell);
  const size_t bias_stride = c.bias == Case::kOfRows ? c.out + c.gap : 0;
  const size_t biases = c.bias == Case::kNone ? 0 : c.bias == Case::kShared ? 1 : c.rows;
  const auto dense_bias = MakeFloats(biases * c.out, bell);
  Buffer<float> bias(WithStride<float>(dense_bias, c.out, c.out + c.gap, kNan), c.offset);
  const size_t row_stride = is_transposed ? 1 : c.out, column_stride = is_transposed ? c.in : 1;
  Buffer<float> packed(simd::PackedLinearSize(c.in, c.out), c.offset);
  if (is_transposed) {
    simd::PackLinearTransposed(simd::DenseRows(weight.data(), c.out, c.in), packed.data());
  } else {
    simd::PackLinear(simd::DenseRows(weight.data(), c.in, c.out), packed.data());
  }
  Buffer<float> x(WithStride<float>(dense, c.in, c.in + c.gap, kNan), c.offset);
  const size_t y_stride = c.out + c.gap;
  Buffer<float> y(c.rows == 0 ? 0 : (c.rows - 1) * y_stride + c.out, c.offset);
  const simd::LinearLayer layer = {packed.data(), c.out,
                                   c.bias == Case::kNone ? nullptr : bias.data(), bias_stride,
                                   c.activation};
  simd::Linear({x.data(), c.rows, c.in, c.in + c.gap}, layer, y.data(), y_stride);
  for (size_t r = 0; r < c.rows; ++r) {
    for (size_t j = 0; j < c.out; ++j) {
      float sum = 0.0f;
      for (size_t i = 0; i < c.in; ++i) {
        sum = std::fma(dense[r * c.in + i], weight[i * row_stride + j * column_stride], sum);
      }
      if (c.bias != Case::kNone) sum += dense_bias[(c.bias == Case::kOfRows ? r : 0) * c.out + j];
      if (c.activation == Activation::kRelu) sum = sum > 0.0f ? sum : 0.0f;
      ASSERT_TRUE(Same(y[r * y_stride + j], sum))
          << r << ", " << j << ": " << y[r * y_stride + j] << ", expected " << sum;
    }
    if (r + 1 < c.rows) {
      EXPECT_TRUE(y.Untouched(r * y_stride + c.out, (r + 1) * y_stride));
    }
  }
}

class LinearTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(LinearTest);

TEST_P(LinearTest, IsThePlainSum) {
  size_t turn = 0;
  for (const size_t rows : kRows) {
    for (const size_t out : kOuts) {
      const size_t in = kIns[turn++ % std::size(kIns)];
      const auto activation = turn % 2 == 0 ? Activation::kNone : Activation::kRelu;
      const Case c = {rows,       in,
                      out,        std::array{Case::kNone, Case::kShared, Case::kOfRows}[turn % 3],
                      activation, turn % 4,
                      turn % 5};
      ExpectLayer(c, turn % 7 < 3);
    }
  }
}

TEST_P(LinearTest, ReluOfNanIsZero) {
  const float x[] = {kNan, 1.0f};
  float packed[simd::PackedLinearSize(1, 1)];
  const float weight = 2.0f;
  simd::PackLinear(simd::DenseRows(&weight, 1, 1), packed);
  float y[2];
  simd::Linear(simd::DenseRows(x, 2, 1), {packed, 1, nullptr, 0, Activation::kRelu}, y, 1);
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[1], 2.0f);
}

}  // namespace
}  // namespace eta::test
