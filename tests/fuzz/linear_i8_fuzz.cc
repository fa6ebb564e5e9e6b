// SPDX-License-Identifier: Apache-2.0
// simd/linear_i8.h against its scalar twin, bit for bit.
#include "simd/linear_i8.h"

#include "core/reference/linear_i8.h"
#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using simd::Activation;
using test::Buffer;

struct Case {
  explicit Case(Input& in)
      : rows(in.Between(0, 20)),
        in_size(in.Between(0, 31) == 0 ? in.Between(1, simd::kLinearI8MaxIn) : in.Size(1, 300)),
        out(std::min(in.Size(1, 300), std::max<size_t>(1, 6000 / in_size))),
        gap(in.Between(0, 3)),
        offset(in.Between(0, 7)),
        is_transposed(in.Flag()),
        has_bias(in.Flag()),
        bias_items(in.Flag() ? in.Between(1, 5) : 0),
        activation(in.OneOf({Activation::kNone, Activation::kRelu})),
        zero_point(in.OneOf<uint8_t>({0, 128})),
        weight(in.Floats(in_size * out)),
        x(in.Any<uint8_t>(rows * in_size)),
        scales(in.Floats(rows)),
        bias(in.Floats(has_bias ? out : 0)),
        item_values(in.Any<int8_t>(bias_items * out)),
        item_scales(in.Floats(bias_items)),
        ids(in.Ids(rows, std::max<size_t>(bias_items, 1))),
        floats(in.Floats(std::min<size_t>(rows, 5) * in_size)),
        layer(reference::QuantizeLayer(weight, out)) {}

  bool is_relu() const { return activation == Activation::kRelu; }

  std::vector<float> Expected(size_t r) const {
    std::vector<float> of_row = bias;
    if (bias_items > 0) {
      const auto id = static_cast<size_t>(ids[r]);
      of_row = reference::AddBiasRow(bias, {item_values.data() + id * out, out}, item_scales[id]);
    }
    return reference::LinearI8({x.data() + r * in_size, in_size}, scales[r], zero_point, layer,
                               of_row, is_relu());
  }

  size_t rows, in_size, out, gap, offset;
  bool is_transposed;
  bool has_bias;
  size_t bias_items;  // 0: there are no rows of them
  Activation activation;
  uint8_t zero_point;
  std::vector<float> weight;
  std::vector<uint8_t> x;
  std::vector<float> scales, bias;
  std::vector<int8_t> item_values;
  std::vector<float> item_scales;
  std::vector<int32_t> ids;
  std::vector<float> floats;
  reference::I8Layer layer;
};

// `count` rows of bytes that a kernel wrote, against `expected`; nothing lies between them.
void ExpectBytes(Buffer<uint8_t>& values, Buffer<float>& scales, size_t width, size_t stride,
                 const reference::U8Matrix& expected) {
  ASSERT_TRUE(test::SameValues<float>(scales.span(), expected.scales));
  for (size_t r = 0; r < scales.size(); ++r) {
    ASSERT_TRUE(test::SameValues<uint8_t>({values.data() + r * stride, width},
                                          {expected.values.data() + r * width, width}))
        << "row " << r;
    ASSERT_TRUE(r + 1 == scales.size() || values.Untouched(r * stride + width, (r + 1) * stride));
  }
}

size_t SizeOf(size_t rows, size_t width, size_t stride) {
  return rows == 0 ? 0 : (rows - 1) * stride + width;
}

void CheckQuantizing(const Case& c) {
  const size_t width = c.in_size, stride = width + c.gap, rows = c.floats.size() / width;
  Buffer<float> x(test::WithStride<float>(c.floats, width, stride, 1e30f), c.offset);
  Buffer<uint8_t> values(SizeOf(rows, width, stride), c.offset, 8);
  Buffer<float> scales(rows, c.offset, 8);
  simd::QuantizeU8({x.data(), rows, width, stride}, c.activation,
                   {values.data(), scales.data(), stride});
  ExpectBytes(values, scales, width, stride, reference::QuantizeU8(c.floats, width, c.is_relu()));
}

Buffer<uint8_t> Pack(const Case& c) {
  std::vector<float> weight = c.weight;
  if (c.is_transposed) {
    for (size_t i = 0; i < c.weight.size(); ++i) {
      weight[i % c.out * c.in_size + i / c.out] = c.weight[i];
    }
  }
  const size_t count = c.is_transposed ? c.out : c.in_size;
  const size_t width = c.is_transposed ? c.in_size : c.out;
  Buffer<float> matrix(test::WithStride<float>(weight, width, width + c.gap, 1e30f), c.offset);
  Buffer<uint8_t> packed(simd::PackedLinearI8Bytes(c.in_size, c.out), c.offset);
  (c.is_transposed ? simd::PackLinearI8Transposed : simd::PackLinearI8)(
      {matrix.data(), count, width, width + c.gap}, packed.data());
  return packed;
}

void CheckLayer(const Case& c) {
  Buffer<uint8_t> packed = Pack(c);
  ASSERT_TRUE(test::SameValues<uint8_t>(packed.span(), reference::PackLinearI8(c.layer)));
  Buffer<uint8_t> x(test::WithStride<uint8_t>(c.x, c.in_size, c.in_size + c.gap, 0xEE), c.offset);
  Buffer<float> scales(c.scales, c.offset);
  Buffer<float> bias(c.bias, c.offset), item_scales(c.item_scales, c.offset);
  Buffer<int8_t> items(test::WithStride<int8_t>(c.item_values, c.out, c.out + c.gap, 0x5E),
                       c.offset);
  Buffer<int32_t> ids(c.ids, c.offset);
  auto scratch =
      test::MakeScratch(simd::LinearI8ScratchBytes(c.in_size, c.out), c.offset, c.in_size);
  const simd::U8RowsView rows = {x.data(),  scales.data(),     c.rows,
                                 c.in_size, c.in_size + c.gap, c.zero_point};
  simd::LinearI8Layer layer = {packed.data(), c.out, c.has_bias ? bias.data() : nullptr,
                               c.activation};
  if (c.bias_items > 0) {
    layer.bias_rows = {items.data(), item_scales.data(), ids.data(), c.out + c.gap};
  }
  const size_t stride = c.out + c.gap;
  Buffer<float> y(SizeOf(c.rows, c.out, stride), c.offset, 8);
  simd::LinearI8(rows, layer, {scratch.data(), scratch.size()}, y.data(), stride);
  std::vector<float> expected;
  for (size_t r = 0; r < c.rows; ++r) {
    const std::vector<float> row = c.Expected(r);
    ASSERT_TRUE(test::SameValues<float>({y.data() + r * stride, c.out}, row)) << "row " << r;
    ASSERT_TRUE(r + 1 == c.rows || y.Untouched(r * stride + c.out, (r + 1) * stride));
    expected.insert(expected.end(), row.begin(), row.end());
  }
  Buffer<uint8_t> bytes(y.size(), c.offset, 8);
  Buffer<float> byte_scales(c.rows, c.offset, 8);
  simd::LinearI8ToU8(rows, layer, {scratch.data(), scratch.size()},
                     {bytes.data(), byte_scales.data(), stride});
  ExpectBytes(bytes, byte_scales, c.out, stride,
              reference::QuantizeU8(expected, c.out, c.is_relu()));
}

void Run(Input in) {
  const Case c(in);
  OnTargets(in, [&] {
    CheckQuantizing(c);
    CheckLayer(c);
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
