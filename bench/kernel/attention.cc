// SPDX-License-Identifier: Apache-2.0
// Rows for what serves a CTR model: layers, exponentials and the forms of target attention.
#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/kernel/kernel_bench.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/reference/attention.h"
#include "simd/activations.h"
#include "simd/attention_all.h"
#include "simd/attention_heads.h"
#include "simd/attention_rows.h"
#include "simd/linear.h"

namespace eta::bench {
namespace {

constexpr size_t kRows = 66;  // candidates that core/ctr/model.h scores together
constexpr size_t kDim = 64;
constexpr size_t kHeads = 4;
constexpr size_t kPart = kDim / kHeads;

bool IsNear(std::span<const float> values, const reference::Vector& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!(std::abs(static_cast<double>(values[i]) - expected[i]) <= 1e-4)) return false;
  }
  return true;
}

reference::Vector VectorOf(const float* values, size_t n) {
  return reference::Vector(values, values + n);
}

void Run(benchmark::State& state, size_t items, double multiply_adds,
         const std::function<void()>& kernel) {
  const double share = ShareOfFmaLimit(multiply_adds, kernel);
  for (auto _ : Counted(state)) {
    kernel();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(items));
  state.counters["of_limit"] = share;
}

void Layer(benchmark::State& state, size_t in, size_t out) {
  const auto x = RandomNormals(kRows * in, 1);
  auto weight = RandomNormals(in * out, 2);
  for (float& value : weight) value *= 0.1f;
  AlignedVector<float> packed(simd::PackedLinearSize(in, out)), y(kRows * out);
  simd::PackLinear(simd::DenseRows(weight.data(), in, out), packed.data());
  const auto kernel = [&] {
    simd::Linear(simd::DenseRows(x.data(), kRows, in), {packed.data(), out}, y.data(), out);
  };
  kernel();
  const auto last = reference::Linear(VectorOf(x.data() + (kRows - 1) * in, in), {weight, out}, {});
  if (!IsNear({y.data() + (kRows - 1) * out, out}, last)) {
    return state.SkipWithError("differs from the reference");
  }
  Run(state, kRows, static_cast<double>(kRows * in * out), kernel);
}

// Scores by query and weighted sums of rows, as one softmax; the last head of the last query.
reference::Vector Attend(const float* query, const std::vector<const float*>& keys,
                         const std::vector<const float*>& values, size_t key_size,
                         size_t value_size) {
  reference::Vector scores, sum(value_size);
  for (const float* key : keys) {
    double score = 0;
    for (size_t d = 0; d < key_size; ++d) score += static_cast<double>(query[d]) * key[d];
    scores.push_back(score);
  }
  const reference::Vector weights = reference::Softmax(scores);
  for (size_t l = 0; l < values.size(); ++l) {
    for (size_t d = 0; d < value_size; ++d) sum[d] += weights[l] * values[l][d];
  }
  return sum;
}

void ChosenRows(benchmark::State& state, size_t items, size_t k) {
  const auto table = RandomNormals(items * kDim, 1);
  auto queries = RandomNormals(kRows * kHeads * kDim, 2);
  for (float& value : queries) value *= 0.2f;
  std::vector<int32_t> ids(kRows * k), counts(kRows, static_cast<int32_t>(k));
  Random random(3);
  for (int32_t& id : ids) id = static_cast<int32_t>(random.Below(static_cast<uint32_t>(items)));
  AlignedVector<uint8_t> scratch(simd::AttendRowsScratchBytes(k, kDim, kHeads));
  AlignedVector<float> sums(kRows * kHeads * kDim);
  const auto kernel = [&] {
    const auto rows = simd::DenseRows(table.data(), items, kDim);
    simd::AttendRows({rows, ids.data(), counts.data(), k}, kHeads,
                     {queries.data(), kRows * kHeads, kDim}, scratch.data(), {sums.data(), kDim});
  };
  kernel();
  std::vector<const float*> rows;
  for (size_t j = 0; j < k; ++j) {
    rows.push_back(table.data() + static_cast<size_t>(ids[(kRows - 1) * k + j]) * kDim);
  }
  const size_t last = (kRows * kHeads - 1) * kDim;
  if (!IsNear({sums.data() + last, kDim}, Attend(queries.data() + last, rows, rows, kDim, kDim))) {
    return state.SkipWithError("differs from the reference");
  }
  Run(state, kRows, static_cast<double>(2 * kRows * kHeads * k * kDim), kernel);
}

// Random keys, values and queries have no order: only the check must know their columns.
void ChosenHeads(benchmark::State& state, size_t items, size_t k) {
  constexpr simd::HeadLayout kLayout = {kHeads, kPart};
  static_assert(kLayout.columns() == kDim);
  const auto table = RandomNormals(items * 2 * kDim, 1);
  auto queries = RandomNormals(kRows * kDim, 2);
  for (float& value : queries) value *= 0.2f;
  std::vector<int32_t> ids(kRows * k), counts(kRows, static_cast<int32_t>(k));
  Random random(3);
  for (int32_t& id : ids) id = static_cast<int32_t>(random.Below(static_cast<uint32_t>(items)));
  AlignedVector<uint8_t> scratch(simd::AttendHeadsScratchBytes(k));
  AlignedVector<float> out(kRows * kDim);
  const auto kernel = [&] {
    const auto rows = simd::DenseRows(table.data(), items, 2 * kDim);
    simd::AttendHeads({rows, ids.data(), counts.data(), k}, kLayout, {queries.data(), kRows, kDim},
                      scratch.data(), {out.data(), kDim});
  };
  kernel();
  // The last query's last head.
  const size_t query = (kRows - 1) * kDim;
  const auto head_of = [&](const float* from) {
    std::vector<float> head;
    for (size_t i = 0; i < kPart; ++i) head.push_back(from[kLayout.column(kHeads - 1, i)]);
    return head;
  };
  std::vector<std::vector<float>> keys, values;
  std::vector<const float*> key_rows, value_rows;
  for (size_t j = 0; j < k; ++j) {
    const float* row = table.data() + static_cast<size_t>(ids[(kRows - 1) * k + j]) * 2 * kDim;
    keys.push_back(head_of(row));
    values.push_back(head_of(row + kDim));
  }
  for (const auto& key : keys) key_rows.push_back(key.data());
  for (const auto& value : values) value_rows.push_back(value.data());
  if (!IsNear(head_of(out.data() + query),
              Attend(head_of(queries.data() + query).data(), key_rows, value_rows, kPart, kPart))) {
    return state.SkipWithError("differs from the reference");
  }
  Run(state, kRows, static_cast<double>(2 * kRows * k * kDim), kernel);
}

void AllRows(benchmark::State& state, size_t n) {
  const auto keys = RandomNormals(n * kDim, 1), values = RandomNormals(n * kDim, 2);
  auto queries = RandomNormals(kRows * kDim, 3);
  for (float& value : queries) value *= 0.2f;
  AlignedVector<float> packed_keys(kHeads * simd::PackedLinearSize(kPart, n));
  AlignedVector<float> packed_values(kHeads * simd::PackedLinearSize(n, kPart));
  simd::PackProjectedRows(simd::DenseRows(keys.data(), n, kDim),
                          simd::DenseRows(values.data(), n, kDim), kHeads, packed_keys.data(),
                          packed_values.data());
  AlignedVector<uint8_t> scratch(simd::AttendAllScratchBytes(n));
  AlignedVector<float> out(kRows * kDim);
  const auto kernel = [&] {
    simd::AttendAll({packed_keys.data(), packed_values.data(), n, kHeads, kPart},
                    {queries.data(), kRows, kDim}, scratch.data(), {out.data(), kDim});
  };
  kernel();
  const size_t column = kDim - kPart, row = (kRows - 1) * kDim;
  std::vector<const float*> key_rows, value_rows;
  for (size_t l = 0; l < n; ++l) {
    key_rows.push_back(keys.data() + l * kDim + column);
    value_rows.push_back(values.data() + l * kDim + column);
  }
  if (!IsNear({out.data() + row + column, kPart},
              Attend(queries.data() + row + column, key_rows, value_rows, kPart, kPart))) {
    return state.SkipWithError("differs from the reference");
  }
  Run(state, kRows, static_cast<double>(2 * kRows * n * kDim), kernel);
}

void Exponentials(benchmark::State& state, size_t n) {
  auto source = RandomNormals(n, 1);
  for (float& value : source) value = -std::abs(value) * 5.0f;
  AlignedVector<float> values(n);
  const auto kernel = [&] {
    std::ranges::copy(source, values.begin());
    simd::Exp(values.data(), n);
  };
  kernel();
  for (size_t i = 0; i < n; ++i) {
    const double expected = std::exp(static_cast<double>(source[i]));
    if (std::abs(static_cast<double>(values[i]) / expected - 1) > simd::kExpError) {
      return state.SkipWithError("differs from the library's exp");
    }
  }
  constexpr double kMultiplyAdds = 8;  // 5 of the polynomial, 2 of the reduction, 1 by the power
  Run(state, n, kMultiplyAdds * static_cast<double>(n), kernel);
}

}  // namespace

void RegisterAttention() {
  for (const auto& [in, out] : {std::pair<size_t, size_t>{320, 200}, {200, 80}, {64, 64}}) {
    RegisterPerTarget(Cat("linear/rows:", kRows, "/in:", in, "/out:", out),
                      [in = in, out = out](benchmark::State& state) { Layer(state, in, out); });
  }
  for (const size_t k : {16, 64, 256}) {
    RegisterPerTarget(Cat("attend_rows/queries:", kRows, "/heads:4/dim:64/K:", k),
                      [=](benchmark::State& state) { ChosenRows(state, 1024, k); });
  }
  for (const size_t k : {16, 64, 256}) {
    RegisterPerTarget(Cat("attend_heads/queries:", kRows, "/heads:4/dim:64/K:", k),
                      [=](benchmark::State& state) { ChosenHeads(state, 1024, k); });
  }
  for (const size_t n : {16, 1024}) {
    RegisterPerTarget(Cat("attend_all/queries:", kRows, "/heads:4/dim:64/L:", n),
                      [=](benchmark::State& state) { AllRows(state, n); });
  }
  RegisterPerTarget("exp/n:1024", [](benchmark::State& state) { Exponentials(state, 1024); });
}

}  // namespace eta::bench
