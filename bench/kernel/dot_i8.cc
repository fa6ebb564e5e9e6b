// SPDX-License-Identifier: Apache-2.0
// Rows for int8 scores and top-K, with the float32 kernels at the same shapes beside them.
#include <algorithm>
#include <vector>

#include "bench/kernel/kernel_bench.h"
#include "bench/kernel/limits_i8.h"
#include "core/base/check.h"
#include "core/reference/dot_i8.h"
#include "simd/dot.h"
#include "simd/dot_i8.h"

namespace eta::bench {
namespace {

struct I8Shape {
  size_t length, dim, k, queries;
  bool repeats = false;  // rows as RepeatedRows
  std::string text() const { return Cat("L:", length, "/dim:", dim); }
  std::string top_k() const { return Cat("K:", k, repeats ? "/repeats" : ""); }
  AlignedVector<float> MakeRows() const {
    return repeats ? RepeatedRows(length, dim, 1) : RandomNormals(length * dim, 1);
  }
};

// Those of bench/kernel/dot.cc.
const I8Shape kShapes[] = {{1024, 64, 64, 256},       {1024, 128, 64, 256},
                           {16384, 64, 64, 64},       {1024, 64, 64, 1},
                           {1024, 64, 64, 256, true}, {16384, 64, 64, 64, true}};

AlignedVector<int8_t> QuantizeRows(const AlignedVector<float>& rows, size_t dim,
                                   AlignedVector<float>& scales) {
  AlignedVector<int8_t> values(rows.size());
  scales.resize(rows.size() / dim);
  simd::QuantizeI8(simd::DenseRows(rows.data(), scales.size(), dim), values.data(), dim,
                   scales.data());
  return values;
}

struct Fixture {
  explicit Fixture(const I8Shape& s)
      : s(s),
        turn(s.queries),
        float_rows(s.MakeRows()),
        float_queries(RandomNormals(turn.all() * s.dim, 2)),
        rows(QuantizeRows(float_rows, s.dim, row_scales)),
        queries(QuantizeRows(float_queries, s.dim, query_scales)),
        blocks(simd::I8BlocksBytes(s.length, s.dim)),
        block_scales(simd::PaddedRows(s.length)),
        float_blocks(simd::FloatBlocksSize(s.length, s.dim)),
        scores(s.queries * simd::PaddedRows(s.length)),
        scratch(std::max(simd::DotI8TopKScratchBytes(s.length, s.k),
                         simd::DotTopKScratchBytes(s.length, s.k))),
        positions(s.queries * s.k) {
    simd::PackI8Blocks({rows.data(), row_scales.data(), s.length, s.dim, s.dim}, blocks.data(),
                       block_scales.data());
    simd::PackFloatBlocks(simd::DenseRows(float_rows.data(), s.length, s.dim), float_blocks.data());
  }

  simd::I8BlocksView i8_rows() const {
    return {blocks.data(), block_scales.data(), s.length, s.dim};
  }
  simd::FloatBlocksView blocks_of_floats() const { return {float_blocks.data(), s.length, s.dim}; }
  simd::Queries<float> queries_of_floats() const {
    return {float_queries.data() + turn.first() * s.dim, s.queries, s.dim};
  }
  simd::I8Queries i8_queries() const {
    return {queries.data() + turn.first() * s.dim, query_scales.data() + turn.first(), s.queries,
            s.dim};
  }

  void Scores() {
    simd::DotI8Scores(i8_rows(), i8_queries(), scratch.data(), scores.data(),
                      simd::PaddedRows(s.length));
  }

  void TopK(simd::ResultOrder order) {
    simd::DotI8TopK(i8_rows(), i8_queries(), {s.k, simd::TieOrder::kNewestFirst, order},
                    scratch.data(), {positions.data()});
  }

  void FloatScores() {
    simd::DotScores(blocks_of_floats(), queries_of_floats(), scores.data(),
                    simd::PaddedRows(s.length));
  }

  void FloatTopK(simd::ResultOrder order) {
    simd::DotTopK(blocks_of_floats(), queries_of_floats(),
                  {s.k, simd::TieOrder::kNewestFirst, order}, scratch.data(), {positions.data()});
  }

  bool IsRight() {
    Scores();
    TopK(simd::ResultOrder::kSorted);
    const auto expected_rows = reference::QuantizeI8(float_rows, s.dim);
    const auto expected_queries = reference::QuantizeI8(float_queries, s.dim);
    const size_t q = s.queries - 1, asked = turn.first() + q;
    const auto expected_scores =
        reference::DotI8Scores(expected_rows, expected_queries, asked, s.dim);
    const auto expected = reference::DotI8TopK(expected_rows, expected_queries, asked, s.dim, s.k,
                                               simd::TieOrder::kNewestFirst);
    for (size_t i = 0; i < s.length; ++i) {
      if (scores[q * simd::PaddedRows(s.length) + i] != expected_scores[i]) return false;
    }
    for (size_t i = 0; i < expected.size(); ++i) {
      if (positions[q * s.k + i] != expected[i].position) return false;
    }
    return true;
  }

  I8Shape s;
  QueryTurn turn;
  AlignedVector<float> float_rows, float_queries;
  AlignedVector<float> row_scales, query_scales;  // before the rows, which fill them
  AlignedVector<int8_t> rows, queries;
  AlignedVector<uint8_t> blocks;
  AlignedVector<float> block_scales, float_blocks, scores;
  AlignedVector<uint8_t> scratch;
  std::vector<int32_t> positions;
};

void Report(benchmark::State& state, const I8Shape& s) {
  const auto per_iteration = static_cast<int64_t>(s.queries * s.length);
  state.SetItemsProcessed(state.iterations() * per_iteration);
  state.SetBytesProcessed(state.iterations() * per_iteration * static_cast<int64_t>(s.dim));
  state.counters["s_per_query"] = benchmark::Counter(
      static_cast<double>(s.queries),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void Scores(benchmark::State& state, const I8Shape& s) {
  Fixture f(s);
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  int32_t value = 1;
  uint64_t done = 0;
  const auto seconds = BestSeconds(
      {[&] { done = LimitI8Dot(20000, &value); }, [&] { f.Scores(); }, [&] { f.FloatScores(); }});
  benchmark::DoNotOptimize(value);
  for (auto _ : Counted(state)) {
    f.Scores();
    benchmark::ClobberMemory();
  }
  Report(state, s);
  state.counters["of_limit"] = static_cast<double>(s.queries * s.length * s.dim) / seconds[1] *
                               seconds[0] / static_cast<double>(done);
  state.counters["x_float"] = seconds[2] / seconds[1];
}

void TopK(benchmark::State& state, const I8Shape& s, simd::ResultOrder order) {
  Fixture f(s);
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  const auto topk = f.turn.Before([&] { f.TopK(order); });
  const auto float_topk = f.turn.Before([&] { f.FloatTopK(order); });
  const auto seconds = BestSeconds({topk, [&] { f.Scores(); }, float_topk});
  for (auto _ : Counted(state)) {
    topk();
    benchmark::ClobberMemory();
  }
  Report(state, s);
  state.counters["x_scores"] = seconds[0] / seconds[1];
  state.counters["x_float"] = seconds[2] / seconds[0];
}

void Limit(benchmark::State& state) {
  int32_t value = 1;
  int64_t done = 0;
  for (auto _ : Counted(state)) {
    done += static_cast<int64_t>(LimitI8Dot(20000, &value));
    benchmark::DoNotOptimize(value);
  }
  state.SetItemsProcessed(done);  // multiply-adds
}

void Quantize(benchmark::State& state, size_t n, size_t dim) {
  const auto rows = RandomNormals(n * dim, 1);
  AlignedVector<int8_t> values(n * dim);
  AlignedVector<float> scales(n);
  for (auto _ : Counted(state)) {
    simd::QuantizeI8(simd::DenseRows(rows.data(), n, dim), values.data(), dim, scales.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(n));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(n * dim * sizeof(float)));
}

void PackI8(benchmark::State& state, size_t n, size_t dim) {
  AlignedVector<float> scales, block_scales(simd::PaddedRows(n));
  const auto values = QuantizeRows(RandomNormals(n * dim, 1), dim, scales);
  AlignedVector<uint8_t> blocks(simd::I8BlocksBytes(n, dim));
  for (auto _ : Counted(state)) {
    simd::PackI8Blocks({values.data(), scales.data(), n, dim, dim}, blocks.data(),
                       block_scales.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(n));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(n * dim));
}

}  // namespace

void RegisterDotI8() {
  RegisterPerTarget("limit_i8dot", Limit);
  for (const I8Shape& s : kShapes) {
    const std::string size = Cat(s.text(), "/B:", s.queries);
    if (!s.repeats)
      RegisterPerTarget("dot_i8_scores/" + size,
                        [s](benchmark::State& state) { Scores(state, s); });
    RegisterPerTarget(Cat("dot_i8_topk_any/", size, "/", s.top_k()),
                      [s](benchmark::State& state) { TopK(state, s, simd::ResultOrder::kAny); });
    RegisterPerTarget(Cat("dot_i8_topk_sorted/", size, "/", s.top_k()),
                      [s](benchmark::State& state) { TopK(state, s, simd::ResultOrder::kSorted); });
  }
  RegisterPerTarget("quantize_i8/L:1024/dim:64",
                    [](benchmark::State& state) { Quantize(state, 1024, 64); });
  RegisterPerTarget("pack_i8_blocks/L:1024/dim:64",
                    [](benchmark::State& state) { PackI8(state, 1024, 64); });
}

}  // namespace eta::bench
