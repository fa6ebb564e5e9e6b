// SPDX-License-Identifier: Apache-2.0
// simd/cross_features.h against its scalar twin, bit for bit.
#include "simd/cross_features.h"

#include "core/reference/cross_features.h"
#include "core/reference/linear_i8.h"
#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

struct Case {
  explicit Case(Input& in)
      : rows(in.Between(0, 12)),
        dim(in.Size(1, 150)),
        parts(in.Between(1, 4)),
        items(in.Between(1, 20)),
        gap(in.Between(0, 3)),
        offset(in.Between(0, 7)),
        table(in.Floats(items * dim)),
        given(in.Floats(rows * parts * dim)),
        weights(in.Floats(parts)),
        ids(in.Ids(rows, items)) {}

  size_t width() const { return 2 * parts * dim; }
  size_t stride() const { return width() + gap; }

  size_t rows, dim, parts, items, gap, offset;
  std::vector<float> table, given, weights;
  std::vector<int32_t> ids;
};

// The features of all rows, without the products.
Buffer<float> Given(const Case& c) {
  Buffer<float> features(c.rows == 0 ? 0 : (c.rows - 1) * c.stride() + c.width(), c.offset, 8);
  for (size_t i = 0; i < c.given.size(); ++i) {
    const size_t r = i / (c.parts * c.dim), p = i / c.dim % c.parts;
    features[r * c.stride() + 2 * p * c.dim + i % c.dim] = c.given[i];
  }
  return features;
}

void Check(const Case& c) {
  const size_t width = c.width(), stride = c.stride();
  Buffer<float> table(test::WithStride<float>(c.table, c.dim, c.dim + c.gap, 1e30f), c.offset);
  Buffer<int32_t> ids(c.ids, c.offset);
  Buffer<float> weights(c.weights, c.offset), features = Given(c), again = Given(c);
  Buffer<float> sums(c.rows, c.offset, 8), sums_again(c.rows, c.offset, 8);
  Buffer<uint8_t> bytes(features.size(), c.offset, 8);
  Buffer<float> scales(c.rows, c.offset, 8);
  const simd::RowsView<float> rows = {table.data(), c.items, c.dim, c.dim + c.gap};
  simd::CrossFeatures(rows, ids.data(), {features.data(), c.rows, stride, c.parts}, weights.data(),
                      sums.data());
  simd::CrossFeaturesToU8(rows, ids.data(), {again.data(), c.rows, stride, c.parts}, weights.data(),
                          sums_again.data(), {bytes.data(), scales.data(), stride});
  for (size_t r = 0; r < c.rows; ++r) {
    const float* item = c.table.data() + static_cast<size_t>(c.ids[r]) * c.dim;
    const auto twin = reference::CrossFeatures(
        {item, c.dim}, {c.given.data() + r * c.parts * c.dim, c.parts * c.dim}, c.weights);
    ASSERT_TRUE(test::SameValues<float>({features.data() + r * stride, width}, twin.features));
    ASSERT_TRUE(test::SameValues<float>({again.data() + r * stride, width}, twin.features));
    ASSERT_TRUE(test::Same(sums[r], twin.sum)) << "row " << r;
    ASSERT_TRUE(test::Same(sums_again[r], twin.sum)) << "row " << r;
    const auto quantised = reference::QuantizeU8(twin.features, width, false);
    ASSERT_TRUE(test::Same(scales[r], quantised.scales[0])) << "row " << r;
    ASSERT_TRUE(test::SameValues<uint8_t>({bytes.data() + r * stride, width}, quantised.values));
    if (r + 1 == c.rows) break;
    ASSERT_TRUE(features.Untouched(r * stride + width, (r + 1) * stride));
    ASSERT_TRUE(bytes.Untouched(r * stride + width, (r + 1) * stride));
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
