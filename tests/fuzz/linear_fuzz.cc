// SPDX-License-Identifier: Apache-2.0
// simd/linear.h against the plain sum, bit for bit.
#include "simd/linear.h"

#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using simd::Activation;
using test::Buffer;

struct Case {
  explicit Case(Input& in)
      : rows(in.Between(0, 20)),
        in_size(in.Size(1, 200)),
        out(std::min(in.Size(1, 300), 3000 / in_size)),
        gap(in.Between(0, 3)),
        offset(in.Between(0, 7)),
        is_transposed(in.Flag()),
        biases(in.OneOf<size_t>({0, 1, 2}) == 2 ? std::max<size_t>(rows, 1) : in.Between(0, 1)),
        activation(in.OneOf({Activation::kNone, Activation::kRelu})),
        weight(in.Floats(in_size * out)),
        x(in.Floats(rows * in_size)),
        bias(in.Floats(biases * out)) {}

  // Weight of input i for output j.
  float w(size_t i, size_t j) const {
    return is_transposed ? weight[j * in_size + i] : weight[i * out + j];
  }
  // With one row a bias of its own is one that all share.
  size_t bias_stride() const { return biases > 1 ? out + gap : 0; }

  float Expected(size_t r, size_t j) const {
    float sum = 0.0f;
    for (size_t i = 0; i < in_size; ++i) sum = std::fma(x[r * in_size + i], w(i, j), sum);
    if (biases > 0) sum += bias[(biases > 1 ? r : 0) * out + j];
    if (activation == Activation::kRelu) sum = sum > 0.0f ? sum : 0.0f;
    return sum;
  }

  size_t rows, in_size, out, gap, offset;
  bool is_transposed;
  size_t biases;
  Activation activation;
  std::vector<float> weight, x, bias;
};

void Check(const Case& c) {
  const size_t weight_rows = c.is_transposed ? c.out : c.in_size;
  const size_t weight_cols = c.is_transposed ? c.in_size : c.out;
  Buffer<float> weight(test::WithStride<float>(c.weight, weight_cols, weight_cols + c.gap, 1e30f),
                       c.offset);
  const simd::RowsView<float> matrix = {weight.data(), weight_rows, weight_cols,
                                        weight_cols + c.gap};
  Buffer<float> packed(simd::PackedLinearSize(c.in_size, c.out), c.offset);
  (c.is_transposed ? simd::PackLinearTransposed : simd::PackLinear)(matrix, packed.data());
  for (size_t j = 0; j < simd::PaddedColumns(c.out); ++j) {
    for (size_t i = 0; i < c.in_size; ++i) {
      const float value = j < c.out ? c.w(i, j) : 0.0f;
      ASSERT_TRUE(test::Same(packed[((j / 16) * c.in_size + i) * 16 + j % 16], value));
    }
  }
  Buffer<float> x(test::WithStride<float>(c.x, c.in_size, c.in_size + c.gap, 1e30f), c.offset);
  Buffer<float> bias(test::WithStride<float>(c.bias, c.out, c.out + c.gap, 1e30f), c.offset);
  const size_t stride = c.out + c.gap;
  Buffer<float> y(c.rows == 0 ? 0 : (c.rows - 1) * stride + c.out, c.offset, 8);
  simd::Linear(
      {x.data(), c.rows, c.in_size, c.in_size + c.gap},
      {packed.data(), c.out, c.biases == 0 ? nullptr : bias.data(), c.bias_stride(), c.activation},
      y.data(), stride);
  for (size_t r = 0; r < c.rows; ++r) {
    for (size_t j = 0; j < c.out; ++j) {
      ASSERT_TRUE(test::Same(y[r * stride + j], c.Expected(r, j)))
          << r << ", " << j << ": " << y[r * stride + j] << ", expected " << c.Expected(r, j);
    }
    ASSERT_TRUE(r + 1 == c.rows || y.Untouched(r * stride + c.out, (r + 1) * stride));
  }
}

void Run(Input in) {
  const Case c(in);
  OnTargets(in, [&] { Check(c); });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
