// SPDX-License-Identifier: Apache-2.0
// Rows for models in eight bits: layers and attention over tables, with the float32 kernels at the
// same shapes beside them.
#include <algorithm>
#include <numeric>
#include <vector>

#include "bench/kernel/kernel_bench.h"
#include "bench/kernel/limits_i8.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/reference/attention_i8.h"
#include "core/reference/cross_features.h"
#include "core/reference/linear_i8.h"
#include "simd/attention_all.h"
#include "simd/attention_all_i8.h"
#include "simd/attention_heads.h"
#include "simd/attention_heads_i8.h"
#include "simd/cross_features.h"
#include "simd/linear.h"
#include "simd/linear_i8.h"

namespace eta::bench {
namespace {

constexpr size_t kRows = 66;  // candidates that core/ctr/model.h scores together
constexpr size_t kHeads = 4, kPart = 16, kDim = kHeads * kPart;

// A layer with ReLU, in eight bits and in float32, over the same rows. With `has_items` the bias in
// eight bits has an item's row added to it, as the first layer's.
struct LayerFixture {
  LayerFixture(size_t in, size_t out, bool has_items)
      : in(in),
        out(out),
        has_items(has_items),
        x(RandomNormals(kRows * in, 1)),
        weight(RandomNormals(in * out, 2)),
        bias(RandomNormals(out, 3)),
        item_values(kBiasItems * out),
        item_scales(kBiasItems, 0.01f),
        ids(kRows),
        packed(simd::PackedLinearI8Bytes(in, out)),
        packed_floats(simd::PackedLinearSize(in, out)),
        bytes(kRows * in),
        scales(kRows),
        y(kRows * out),
        y_floats(kRows * out),
        y_bytes(kRows * out),
        y_scales(kRows),
        scratch(simd::LinearI8ScratchBytes(in, out)) {
    simd::PackLinearI8(simd::DenseRows(weight.data(), in, out), packed.data());
    simd::PackLinear(simd::DenseRows(weight.data(), in, out), packed_floats.data());
    Random random(4);
    for (int8_t& value : item_values) value = static_cast<int8_t>(random.Below(256));
    for (int32_t& id : ids) id = static_cast<int32_t>(random.Below(kBiasItems));
    Quantize();
  }

  void Quantize() {
    simd::QuantizeU8(simd::DenseRows(x.data(), kRows, in), simd::Activation::kNone,
                     {bytes.data(), scales.data(), in});
  }
  simd::U8RowsView rows() const { return {bytes.data(), scales.data(), kRows, in, in, 128}; }
  simd::LinearI8Layer layer() const {
    simd::I8BiasRows rows;
    if (has_items) rows = {item_values.data(), item_scales.data(), ids.data(), out};
    return {packed.data(), out, bias.data(), simd::Activation::kRelu, rows};
  }
  void ToFloats() { simd::LinearI8(rows(), layer(), scratch.data(), y.data(), out); }
  void ToBytes() {
    simd::LinearI8ToU8(rows(), layer(), scratch.data(), {y_bytes.data(), y_scales.data(), out});
  }
  void Floats() {
    simd::Linear(simd::DenseRows(x.data(), kRows, in),
                 {packed_floats.data(), out, bias.data(), 0, simd::Activation::kRelu},
                 y_floats.data(), out);
  }

  // The last row, as floats and as bytes.
  bool IsRight() {
    ToFloats();
    ToBytes();
    const size_t r = kRows - 1;
    const auto twin = reference::QuantizeU8({x.data() + r * in, in}, in, false);
    std::vector<float> of_row(bias.begin(), bias.end());
    if (has_items) {
      const auto id = static_cast<size_t>(ids[r]);
      of_row = reference::AddBiasRow(of_row, {item_values.data() + id * out, out}, item_scales[id]);
    }
    const auto expected = reference::LinearI8(twin.values, twin.scales[0], 128,
                                              reference::QuantizeLayer(weight, out), of_row, true);
    const auto expected_bytes = reference::QuantizeU8(expected, out, true);
    return std::equal(expected.begin(), expected.end(), y.begin() + r * out) &&
           std::ranges::equal(expected_bytes.values, std::span(y_bytes).last(out)) &&
           expected_bytes.scales[0] == y_scales[r];
  }

  static constexpr uint32_t kBiasItems = 1024;
  size_t in, out;
  bool has_items;
  AlignedVector<float> x, weight, bias;
  AlignedVector<int8_t> item_values;
  AlignedVector<float> item_scales;
  std::vector<int32_t> ids;
  AlignedVector<uint8_t> packed;
  AlignedVector<float> packed_floats;
  AlignedVector<uint8_t> bytes;
  AlignedVector<float> scales, y, y_floats;
  AlignedVector<uint8_t> y_bytes;
  AlignedVector<float> y_scales;
  AlignedVector<uint8_t> scratch;
};

void Layer(benchmark::State& state, size_t in, size_t out, bool to_bytes) {
  LayerFixture f(in, out, in == 256);
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  const auto kernel = [&] { to_bytes ? f.ToBytes() : f.ToFloats(); };
  int32_t value = 1;
  uint64_t done = 0;
  const auto seconds =
      BestSeconds({[&] { done = LimitI8Dot(20000, &value); }, kernel, [&] { f.Floats(); }});
  benchmark::DoNotOptimize(value);
  for (auto _ : Counted(state)) {
    kernel();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kRows));
  state.counters["of_limit"] =
      static_cast<double>(kRows * in * out) / seconds[1] * seconds[0] / static_cast<double>(done);
  state.counters["x_float"] = seconds[2] / seconds[1];
}

// Times calls that take `rows` rows each.
template <class Call>
void Repeat(benchmark::State& state, size_t rows, Call call) {
  for (auto _ : Counted(state)) {
    call();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(rows));
}

void Quantize(benchmark::State& state, size_t width) {
  LayerFixture f(width, 16, false);
  Repeat(state, kRows, [&] { f.Quantize(); });
}

// Two interests of each candidate of a table of `items`, crossed and quantised.
struct CrossFixture {
  static constexpr size_t kParts = 2, kWidth = 2 * kParts * kDim;

  explicit CrossFixture(size_t items)
      : items(items),
        table(RandomNormals(items * kDim, 1)),
        features(RandomNormals(kRows * kWidth, 2)),
        weights(RandomNormals(kParts, 3)),
        ids(kRows),
        sums(kRows),
        bytes(kRows * kWidth),
        scales(kRows) {
    Random random(4);
    for (int32_t& id : ids) id = static_cast<int32_t>(random.Below(static_cast<uint32_t>(items)));
  }

  simd::RowsView<float> rows() const { return simd::DenseRows<float>(table.data(), items, kDim); }
  simd::FeatureRows crossed() { return {features.data(), kRows, kWidth, kParts}; }

  void Cross() { simd::CrossFeatures(rows(), ids.data(), crossed(), weights.data(), sums.data()); }
  void CrossToBytes() {
    simd::CrossFeaturesToU8(rows(), ids.data(), crossed(), weights.data(), sums.data(),
                            {bytes.data(), scales.data(), kWidth});
  }

  // The last row. Crossed again it is the same, as what is given stays.
  bool IsRight() {
    CrossToBytes();
    const float sum_of_bytes = sums[kRows - 1];
    Cross();
    std::vector<float> given;
    const float* row = features.data() + (kRows - 1) * kWidth;
    for (size_t p = 0; p < kParts; ++p) {
      given.insert(given.end(), row + 2 * p * kDim, row + (2 * p + 1) * kDim);
    }
    const float* item = table.data() + static_cast<size_t>(ids[kRows - 1]) * kDim;
    const auto twin = reference::CrossFeatures({item, kDim}, given, weights);
    const auto expected = reference::QuantizeU8(twin.features, kWidth, false);
    return twin.sum == sums[kRows - 1] && twin.sum == sum_of_bytes &&
           std::equal(twin.features.begin(), twin.features.end(), row) &&
           expected.scales[0] == scales[kRows - 1] &&
           std::ranges::equal(expected.values, std::span(bytes).last(kWidth));
  }

  size_t items;
  AlignedVector<float> table, features, weights;
  std::vector<int32_t> ids;
  AlignedVector<float> sums;
  AlignedVector<uint8_t> bytes;
  AlignedVector<float> scales;
};

void Cross(benchmark::State& state, bool to_bytes) {
  CrossFixture f(1024);
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  Repeat(state, kRows, [&] { to_bytes ? f.CrossToBytes() : f.Cross(); });
}

// Attention over K rows a query of a table of `items`, with the float32 kernel's beside it.
struct HeadsFixture {
  HeadsFixture(size_t items, size_t k)
      : items(items),
        k(k),
        floats(RandomNormals(items * 2 * kDim, 1)),
        queries(RandomNormals(kRows * kDim, 2)),
        table(items * kLayout.row_bytes()),
        factors(items * 2),
        packed_queries(kRows * kLayout.columns()),
        query_factors(kRows * kHeads),
        positions(kRows * k),
        counts(kRows, static_cast<int32_t>(k)),
        ids(kRows * k),
        scratch(std::max(simd::AttendHeadsI8ScratchBytes(kLayout, k),
                         simd::AttendHeadsScratchBytes(k))),
        out(kRows * kDim) {
    for (float& value : queries) value *= 0.2f;
    Random random(3);
    for (int32_t& id : ids) id = static_cast<int32_t>(random.Below(static_cast<uint32_t>(items)));
    std::iota(positions.begin(), positions.end(), 0);
    Pack();
    PackQueries();
  }

  void PackQueries() {
    simd::PackHeadQueriesI8(simd::DenseRows<float>(queries.data(), kRows, kDim), kLayout,
                            {packed_queries.data(), query_factors.data(), kLayout.columns()});
  }

  void Pack() {
    simd::PackHeadsI8({floats.data(), items, kDim, 2 * kDim},
                      {floats.data() + kDim, items, kDim, 2 * kDim}, kLayout,
                      {table.data(), factors.data(), kLayout.row_bytes()});
  }

  void Attend() {
    simd::AttendHeadsI8({simd::DenseRows<uint8_t>(table.data(), items, kLayout.row_bytes()),
                         factors.data(),
                         {ids.data(), ids.size()},
                         positions.data(),
                         counts.data(),
                         k},
                        kLayout,
                        {simd::DenseRows<int8_t>(packed_queries.data(), kRows, kLayout.columns()),
                         query_factors.data(), positions.data(), kRows},
                        scratch.data(), {out.data(), kDim});
  }
  // The columns of the float kernel are in another order, which does not change its time.
  void AttendFloats() {
    simd::AttendHeads(
        {simd::DenseRows<float>(floats.data(), items, 2 * kDim), ids.data(), counts.data(), k},
        {kHeads, kPart}, {queries.data(), kRows, kDim}, scratch.data(), {out.data(), kDim});
  }

  // The last query.
  bool IsRight() {
    Attend();
    std::vector<float> keys, values;
    std::vector<int32_t> rows;
    for (size_t j = 0; j < k; ++j) {
      const auto row = static_cast<size_t>(ids[(kRows - 1) * k + j]);
      const float* at = floats.data() + row * 2 * kDim;
      keys.insert(keys.end(), at, at + kDim);
      values.insert(values.end(), at + kDim, at + 2 * kDim);
      rows.push_back(static_cast<int32_t>(j));
    }
    const auto expected =
        reference::AttendHeadsI8(std::span<const float>(queries).last(kDim), kHeads,
                                 reference::QuantizeHeads(keys, values, kDim), rows);
    return std::ranges::equal(expected, std::span<const float>(out).last(kDim));
  }

  static constexpr simd::I8HeadLayout kLayout = {kHeads, kPart};
  size_t items, k;
  AlignedVector<float> floats, queries;
  AlignedVector<uint8_t> table;
  AlignedVector<float> factors;
  AlignedVector<int8_t> packed_queries;
  AlignedVector<float> query_factors;
  std::vector<int32_t> positions, counts, ids;  // the ids are the list
  AlignedVector<uint8_t> scratch;
  AlignedVector<float> out;
};

// Attention of all queries to the same rows, with the float32 kernel's beside it.
struct AllFixture {
  explicit AllFixture(size_t rows)
      : rows(rows),
        keys(RandomNormals(rows * kDim, 1)),
        values(RandomNormals(rows * kDim, 2)),
        queries(RandomNormals(kRows * kDim, 3)),
        packed(simd::ProjectedI8Bytes(rows, kHeads, kPart)),
        packed_keys(kHeads * simd::PackedLinearSize(kPart, rows)),
        packed_values(kHeads * simd::PackedLinearSize(rows, kPart)),
        scratch(std::max(simd::AttendAllI8ScratchBytes(rows, kPart),
                         simd::AttendAllScratchBytes(rows))),
        out(kRows * kDim) {
    for (float& value : queries) value *= 0.2f;
    Pack();
    simd::PackProjectedRows(Rows(keys), Rows(values), kHeads, packed_keys.data(),
                            packed_values.data());
  }

  simd::RowsView<float> Rows(const AlignedVector<float>& of) const {
    return simd::DenseRows<float>(of.data(), rows, kDim);
  }
  void Pack() { simd::PackProjectedI8(Rows(keys), Rows(values), kHeads, packed.data()); }
  void Attend() {
    simd::AttendAllI8({packed.data(), rows, kHeads, kPart}, {queries.data(), kRows, kDim},
                      scratch.data(), {out.data(), kDim});
  }
  void AttendFloats() {
    simd::AttendAll({packed_keys.data(), packed_values.data(), rows, kHeads, kPart},
                    {queries.data(), kRows, kDim}, scratch.data(), {out.data(), kDim});
  }

  // The last query.
  bool IsRight() {
    Attend();
    const auto expected = reference::AttendAllI8(std::span<const float>(queries).last(kDim), kHeads,
                                                 keys, values, kDim);
    return std::ranges::equal(expected, std::span<const float>(out).last(kDim));
  }

  size_t rows;
  AlignedVector<float> keys, values, queries;
  AlignedVector<uint8_t> packed;
  AlignedVector<float> packed_keys, packed_values;
  AlignedVector<uint8_t> scratch;
  AlignedVector<float> out;
};

template <class Fixture>
void Attention(benchmark::State& state, Fixture f) {
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  const auto seconds = BestSeconds({[&] { f.Attend(); }, [&] { f.AttendFloats(); }});
  Repeat(state, kRows, [&] { f.Attend(); });
  state.counters["x_float"] = seconds[1] / seconds[0];
}

}  // namespace

void RegisterModelI8() {
  // The layers of a model of dim 64: MLP with the item's part and, where that is a table, without;
  // attention's.
  for (const auto& [in, out] :
       {std::pair<size_t, size_t>{320, 200}, {256, 200}, {200, 80}, {64, 64}}) {
    const std::string size = Cat("/rows:", kRows, "/in:", in, "/out:", out);
    RegisterPerTarget("linear_i8" + size, [in = in, out = out](benchmark::State& state) {
      Layer(state, in, out, false);
    });
    RegisterPerTarget("linear_i8_to_u8" + size, [in = in, out = out](benchmark::State& state) {
      Layer(state, in, out, true);
    });
  }
  RegisterPerTarget(Cat("quantize_u8/rows:", kRows, "/width:256"),
                    [](benchmark::State& state) { Quantize(state, 256); });
  for (const bool to_bytes : {false, true}) {
    RegisterPerTarget(Cat("cross_features", to_bytes ? "_to_u8" : "", "/rows:", kRows,
                          "/dim:64/parts:2/items:1024"),
                      [=](benchmark::State& state) { Cross(state, to_bytes); });
  }
  for (const size_t items : {size_t{1024}, size_t{1} << 18}) {  // in L2, in memory
    RegisterPerTarget(
        Cat("attend_heads_i8/queries:", kRows, "/heads:4/dim:64/items:", items, "/K:64"),
        [=](benchmark::State& state) { Attention(state, HeadsFixture(items, 64)); });
  }
  RegisterPerTarget(Cat("attend_all_i8/queries:", kRows, "/heads:4/dim:64/L:1024"),
                    [](benchmark::State& state) { Attention(state, AllFixture(1024)); });
  RegisterPerTarget("pack_projected_i8/heads:4/dim:64/L:1024", [](benchmark::State& state) {
    AllFixture f(1024);
    Repeat(state, 1024, [&] { f.Pack(); });
  });
  RegisterPerTarget("pack_heads_i8/items:1024/dim:64", [](benchmark::State& state) {
    HeadsFixture f(1024, 1);
    Repeat(state, 1024, [&] { f.Pack(); });
  });
  RegisterPerTarget(Cat("pack_head_queries_i8/rows:", kRows, "/dim:64"),
                    [](benchmark::State& state) {
                      HeadsFixture f(1, 1);
                      Repeat(state, kRows, [&] { f.PackQueries(); });
                    });
}

}  // namespace eta::bench
