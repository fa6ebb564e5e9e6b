// SPDX-License-Identifier: Apache-2.0
// simd/linear_i8.h against its scalar twin, bit for bit, on every target.
#include "simd/linear_i8.h"

#include <array>
#include <limits>
#include <ostream>

#include "core/reference/linear_i8.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using simd::Activation;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

constexpr size_t kRows[] = {0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 25};
constexpr size_t kIns[] = {1, 3, 4, 5, 16, 63, 64, 65, 200};
constexpr size_t kOuts[] = {1,  3,  4,  7,  8,  9,  15, 16, 17, 24,  31,
                            32, 33, 47, 48, 49, 63, 64, 65, 80, 129, 200};

struct Case {
  size_t rows, in, out;
  enum { kNone, kShared, kOfRows, kBoth } bias;
  Activation activation;
  uint8_t zero_point;
  size_t gap;  // elements between rows
  size_t offset;

  friend std::ostream& operator<<(std::ostream& o, const Case& c) {
    return o << "target=" << simd::TargetName(simd::ActiveTarget()) << " rows=" << c.rows
             << " in=" << c.in << " out=" << c.out << " bias=" << c.bias
             << " relu=" << (c.activation == Activation::kRelu)
             << " zero=" << static_cast<int>(c.zero_point) << " gap=" << c.gap
             << " offset=" << c.offset;
  }
};

// What a layer and its rows are made of, in buffers of exact size with garbage between rows.
struct Problem {
  Problem(const Case& c, std::span<const float> weights, std::vector<uint8_t> bytes)
      : c(c),
        layer(reference::QuantizeLayer(weights, c.out)),
        dense(std::move(bytes)),
        packed(simd::PackedLinearI8Bytes(c.in, c.out), c.offset),
        x(WithStride<uint8_t>(dense, c.in, c.in + c.gap, 0xEE), c.offset),
        scales(c.rows, c.offset),
        scratch(MakeScratch(simd::LinearI8ScratchBytes(c.in, c.out), c.offset, c.rows + c.out)) {
    simd::PackLinearI8(simd::DenseRows(weights.data(), c.in, c.out), packed.data());
    EXPECT_TRUE(SameValues<uint8_t>(packed.span(), reference::PackLinearI8(layer)));
    Rng rng(c.rows + c.out);
    for (float& scale : scales.span()) scale = 0.01f * BellFloat(rng);
    if (has_bias()) bias = MakeFloats(c.out, [&] { return BellFloat(rng); });
    if (!has_bias_rows()) return;
    for (const uint8_t byte : RandomBytes(rng, kItems * c.out)) {
      items.push_back(static_cast<int8_t>(byte));
    }
    item_scales = MakeFloats(kItems, [&] { return 0.1f * BellFloat(rng); });
    ids = RandomIds(rng, c.rows, kItems);
  }

  bool has_bias() const { return c.bias == Case::kShared || c.bias == Case::kBoth; }
  bool has_bias_rows() const { return c.bias == Case::kOfRows || c.bias == Case::kBoth; }

  simd::U8RowsView view() const {
    return {x.data(), scales.data(), c.rows, c.in, c.in + c.gap, c.zero_point};
  }

  std::vector<float> Expected(size_t r) const {
    std::vector<float> of_row = bias;
    if (has_bias_rows()) {
      const auto id = static_cast<size_t>(ids[r]);
      of_row = reference::AddBiasRow(bias, {items.data() + id * c.out, c.out}, item_scales[id]);
    }
    return reference::LinearI8({dense.data() + r * c.in, c.in}, scales.data()[r], c.zero_point,
                               layer, of_row, c.activation == Activation::kRelu);
  }

  void Expect() {
    SCOPED_TRACE(c);
    Buffer<float> floats(bias, c.offset), value_scales(item_scales, c.offset);
    Buffer<int8_t> values(WithStride<int8_t>(items, c.out, c.out + c.gap, 0x5E), c.offset);
    Buffer<int32_t> item_ids(ids, c.offset);
    simd::LinearI8Layer packed_layer = {packed.data(), c.out};
    packed_layer.activation = c.activation;
    if (has_bias()) packed_layer.bias = floats.data();
    if (has_bias_rows()) {
      packed_layer.bias_rows = {values.data(), value_scales.data(), item_ids.data(), c.out + c.gap};
    }
    const size_t stride = c.out + c.gap, size = c.rows == 0 ? 0 : (c.rows - 1) * stride + c.out;
    Buffer<float> y(size, c.offset);
    simd::LinearI8(view(), packed_layer, {scratch.data(), scratch.size()}, y.data(), stride);
    Buffer<uint8_t> bytes(size, c.offset);
    Buffer<float> y_scales(c.rows, c.offset);
    simd::LinearI8ToU8(view(), packed_layer, {scratch.data(), scratch.size()},
                       {bytes.data(), y_scales.data(), stride});
    for (size_t r = 0; r < c.rows; ++r) {
      const std::vector<float> row = Expected(r);
      ASSERT_TRUE(SameValues<float>({y.data() + r * stride, c.out}, row)) << "row " << r;
      const auto quantised = reference::QuantizeU8(row, c.out, c.activation == Activation::kRelu);
      ASSERT_TRUE(Same(y_scales[r], quantised.scales[0])) << "row " << r;
      ASSERT_TRUE(SameValues<uint8_t>({bytes.data() + r * stride, c.out}, quantised.values))
          << "row " << r;
      if (r + 1 == c.rows) break;
      EXPECT_TRUE(y.Untouched(r * stride + c.out, (r + 1) * stride));
      EXPECT_TRUE(bytes.Untouched(r * stride + c.out, (r + 1) * stride));
    }
  }

  Case c;
  reference::I8Layer layer;
  std::vector<uint8_t> dense;
  Buffer<uint8_t> packed, x;
  Buffer<float> scales;
  Buffer<uint8_t> scratch;
  static constexpr size_t kItems = 9;
  std::vector<float> bias, item_scales;
  std::vector<int8_t> items;
  std::vector<int32_t> ids;
};

class LinearI8Test : public TargetTest {};
ETA_FOR_EVERY_TARGET(LinearI8Test);

TEST_P(LinearI8Test, IsTheTwin) {
  constexpr decltype(Case::bias) kBiases[] = {Case::kNone, Case::kShared, Case::kOfRows,
                                              Case::kBoth};
  size_t turn = 0;
  for (const size_t rows : kRows) {
    for (const size_t out : kOuts) {
      const size_t in = kIns[turn++ % std::size(kIns)];
      const auto activation = turn % 2 == 0 ? Activation::kNone : Activation::kRelu;
      const uint8_t zero_point = turn / 2 % 2 == 0 ? 0 : 128;
      const Case c = {rows,       in,         out,      kBiases[turn % std::size(kBiases)],
                      activation, zero_point, turn % 4, turn % 5};
      Rng rng(turn);
      const auto weights = MakeFloats(in * out, [&] { return BellFloat(rng); });
      Problem(c, weights, RandomBytes(rng, rows * in)).Expect();
    }
  }
}

// Where sums are largest: nothing saturates and nothing wraps.
TEST_P(LinearI8Test, ExtremeValuesAtTheWidestInput) {
  constexpr size_t kIn = simd::kLinearI8MaxIn, kOut = 3;
  for (const uint8_t zero_point : {uint8_t{0}, uint8_t{128}}) {
    for (const int byte : {0, 255}) {
      for (const float weight : {-1.0f, 1.0f}) {
        const Case c = {2, kIn, kOut, Case::kNone, Activation::kNone, zero_point, 0, 0};
        const std::vector<float> weights(kIn * kOut, weight);
        Problem(c, weights, std::vector<uint8_t>(2 * kIn, static_cast<uint8_t>(byte))).Expect();
      }
    }
  }
}

TEST_P(LinearI8Test, ExtremeValuesOfPairs) {
  // Pairs of products at the edges of 16 bits: 2 * 255 * 127 = 64,770.
  for (const size_t in : {2, 4, 7, 64}) {
    for (const float weight : {-1.0f, 1.0f}) {
      const Case c = {7, in, 33, Case::kShared, Activation::kNone, 0, 1, 1};
      Problem(c, std::vector<float>(in * 33, weight), std::vector<uint8_t>(7 * in, 255)).Expect();
    }
  }
}

TEST_P(LinearI8Test, TransposedWeightsPackTheSame) {
  Rng rng(1);
  for (const size_t in : {1, 5, 64}) {
    const size_t out = 33;
    const auto weights = MakeFloats(in * out, [&] { return BellFloat(rng); });
    std::vector<float> turned(in * out);
    for (size_t i = 0; i < in; ++i) {
      for (size_t j = 0; j < out; ++j) turned[j * in + i] = weights[i * out + j];
    }
    Buffer<uint8_t> a(simd::PackedLinearI8Bytes(in, out)), b(a.size(), 1);
    simd::PackLinearI8(simd::DenseRows(weights.data(), in, out), a.data());
    simd::PackLinearI8Transposed(simd::DenseRows(turned.data(), out, in), b.data());
    EXPECT_TRUE(SameValues<uint8_t>(a.span(), b.span()));
  }
}

TEST_P(LinearI8Test, QuantizesHardRows) {
  for (size_t width = 1; width < 140; width += width < 70 ? 1 : 23) {
    SCOPED_TRACE(width);
    Rng rng(width);
    constexpr size_t kCount = 9;
    const size_t gap = width % 3, offset = width % 5, size = (kCount - 1) * (width + gap) + width;
    auto dense = HardRows(rng, kCount - 2, width);
    for (size_t i = 0; i < width; ++i) dense.push_back(SmallInteger(rng, 127) + 0.5f);  // halves
    for (size_t i = 0; i < width; ++i) dense.push_back(i % 2 == 0 ? -0.0f : -kInf);
    Buffer<float> rows(WithStride<float>(dense, width, width + gap, kNan), offset);
    for (const bool is_relu : {false, true}) {
      Buffer<uint8_t> bytes(size, offset);
      Buffer<float> scales(kCount, offset);
      simd::QuantizeU8({rows.data(), kCount, width, width + gap},
                       is_relu ? Activation::kRelu : Activation::kNone,
                       {bytes.data(), scales.data(), width + gap});
      const auto expected = reference::QuantizeU8(dense, width, is_relu);
      ASSERT_TRUE(SameValues<float>(scales.span(), expected.scales));
      for (size_t r = 0; r < kCount; ++r) {
        const std::span<const uint8_t> row(expected.values.data() + r * width, width);
        ASSERT_TRUE(SameValues<uint8_t>({bytes.data() + r * (width + gap), width}, row)) << r;
        if (r + 1 < kCount) {
          EXPECT_TRUE(bytes.Untouched(r * (width + gap) + width, (r + 1) * (width + gap)));
        }
      }
    }
  }
}

// A row that overflowed is known by its scale, also behind layers.
TEST_P(LinearI8Test, WhatIsNotFiniteShows) {
  const std::vector<float> rows = {1.0f, kNan, 1.0f, kInf, -kInf, 1.0f, 0.0f, 0.0f};
  std::vector<uint8_t> bytes(8);
  std::vector<float> scales(4);
  simd::QuantizeU8(simd::DenseRows(rows.data(), 4, 2), Activation::kNone,
                   {bytes.data(), scales.data(), 2});
  EXPECT_EQ(bytes, std::vector<uint8_t>(8, 128));
  for (size_t r = 0; r < 3; ++r) EXPECT_TRUE(std::isnan(scales[r])) << r;
  EXPECT_EQ(scales[3], 0.0f);
  const float weights[] = {1.0f, 1.0f};
  std::vector<uint8_t> packed(simd::PackedLinearI8Bytes(2, 1)), out(4);
  simd::PackLinearI8(simd::DenseRows(weights, 2, 1), packed.data());
  std::vector<uint8_t> scratch(simd::LinearI8ScratchBytes(2, 1));
  std::vector<float> out_scales(4);
  simd::LinearI8ToU8({bytes.data(), scales.data(), 4, 2, 2, 128},
                     {packed.data(), 1, nullptr, Activation::kRelu}, scratch.data(),
                     {out.data(), out_scales.data(), 1});
  for (size_t r = 0; r < 3; ++r) EXPECT_TRUE(std::isnan(out_scales[r])) << r;
  EXPECT_EQ(out_scales[3], 0.0f);
}

TEST(LinearI8Sizes, StopAtTheLargest) {
  EXPECT_EQ(simd::LinearI8Groups(SIZE_MAX), SIZE_MAX / 4 + 1);
  EXPECT_EQ(simd::PackedLinearI8Bytes(SIZE_MAX, 1), SIZE_MAX);
  EXPECT_EQ(simd::PackedLinearI8Bytes(64, SIZE_MAX), SIZE_MAX);
  EXPECT_EQ(simd::LinearI8ScratchBytes(simd::kLinearI8MaxIn + 1, 1), SIZE_MAX);
  EXPECT_EQ(simd::LinearI8ScratchBytes(64, SIZE_MAX), SIZE_MAX);
  EXPECT_LT(simd::LinearI8ScratchBytes(simd::kLinearI8MaxIn, 1024), size_t{1} << 23);
}

}  // namespace
}  // namespace eta::test
