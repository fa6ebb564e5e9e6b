// SPDX-License-Identifier: Apache-2.0
// Rows for exact float32 scores and top-K.
#include <vector>

#include "baselines/faiss_kernels.h"
#include "bench/kernel/kernel_bench.h"
#include "bench/kernel/limits.h"
#include "core/base/check.h"
#include "core/reference/dot.h"
#include "simd/dot.h"

namespace eta::bench {
namespace {

struct DotShape {
  size_t length, dim, k, queries;
  bool repeats = false;  // rows as RepeatedRows
  std::string text() const { return Cat("L:", length, "/dim:", dim); }
  std::string top_k() const { return Cat("K:", k, repeats ? "/repeats" : ""); }
  AlignedVector<float> MakeRows() const {
    return repeats ? RepeatedRows(length, dim, 1) : RandomNormals(length * dim, 1);
  }
};

const DotShape kShapes[] = {{1024, 64, 64, 256},       {1024, 128, 64, 256},
                            {16384, 64, 64, 64},       {1024, 64, 64, 1},
                            {1024, 64, 64, 256, true}, {16384, 64, 64, 64, true}};

struct Fixture {
  explicit Fixture(const DotShape& s)
      : s(s),
        turn(s.queries),
        rows(s.MakeRows()),
        queries(RandomNormals(turn.all() * s.dim, 2)),
        blocks(simd::FloatBlocksSize(s.length, s.dim)),
        scores(s.queries * simd::PaddedRows(s.length)),
        scratch(simd::DotTopKScratchBytes(s.length, s.k)),
        positions(s.queries * s.k) {
    simd::PackFloatBlocks(simd::DenseRows(rows.data(), s.length, s.dim), blocks.data());
  }

  std::span<const float> asked() const {
    return std::span(queries).subspan(turn.first() * s.dim, s.queries * s.dim);
  }
  std::span<const float> query(size_t q) const { return asked().subspan(q * s.dim, s.dim); }

  void Scores() {
    simd::DotScores({blocks.data(), s.length, s.dim}, {asked().data(), s.queries, s.dim},
                    scores.data(), simd::PaddedRows(s.length));
  }

  void TopK(simd::ResultOrder order) {
    simd::DotTopK({blocks.data(), s.length, s.dim}, {asked().data(), s.queries, s.dim},
                  {s.k, simd::TieOrder::kNewestFirst, order}, scratch.data(), {positions.data()});
  }

  bool IsRight() {
    Scores();
    TopK(simd::ResultOrder::kSorted);
    const size_t q = s.queries - 1;
    const auto expected_scores = reference::DotScores(rows, query(q));
    const auto expected = reference::DotTopK(rows, query(q), s.k, simd::TieOrder::kNewestFirst);
    for (size_t i = 0; i < s.length; ++i) {
      if (scores[q * simd::PaddedRows(s.length) + i] != expected_scores[i]) return false;
    }
    for (size_t i = 0; i < expected.size(); ++i) {
      if (positions[q * s.k + i] != expected[i].position) return false;
    }
    return true;
  }

  DotShape s;
  QueryTurn turn;
  AlignedVector<float> rows, queries, blocks, scores;
  AlignedVector<uint8_t> scratch;
  std::vector<int32_t> positions;
};

void Report(benchmark::State& state, const DotShape& s) {
  const auto per_iteration = static_cast<int64_t>(s.queries * s.length);
  state.SetItemsProcessed(state.iterations() * per_iteration);
  state.SetBytesProcessed(state.iterations() * per_iteration *
                          static_cast<int64_t>(s.dim * sizeof(float)));
  state.counters["s_per_query"] = benchmark::Counter(
      static_cast<double>(s.queries),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void Scores(benchmark::State& state, const DotShape& s) {
  Fixture f(s);
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  const double share =
      ShareOfFmaLimit(static_cast<double>(s.queries * s.length * s.dim), [&] { f.Scores(); });
  for (auto _ : Counted(state)) {
    f.Scores();
    benchmark::ClobberMemory();
  }
  Report(state, s);
  state.counters["of_limit"] = share;
}

void TopK(benchmark::State& state, const DotShape& s, simd::ResultOrder order) {
  Fixture f(s);
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  FaissInnerProductSearch faiss(f.rows, s.dim);
  std::vector<int64_t> labels(f.positions.size());
  std::vector<float> scores(f.positions.size());
  const auto topk = f.turn.Before([&] { f.TopK(order); });
  const auto run_faiss = f.turn.Before([&] { faiss.Search(f.asked(), s.k, labels, scores); });
  const auto seconds = BestSeconds({topk, [&] { f.Scores(); }, run_faiss});
  for (auto _ : Counted(state)) {
    topk();
    benchmark::ClobberMemory();
  }
  Report(state, s);
  state.counters["x_scores"] = seconds[0] / seconds[1];
  state.counters["x_faiss"] = seconds[2] / seconds[0];
}

void FaissTopK(benchmark::State& state, const DotShape& s) {
  Fixture f(s);
  FaissInnerProductSearch faiss(f.rows, s.dim);
  std::vector<int64_t> labels(f.positions.size());
  std::vector<float> scores(f.positions.size());
  for (auto _ : Counted(state)) {
    f.turn.Next();
    faiss.Search(f.asked(), s.k, labels, scores);
  }
  Report(state, s);
}

void PackFloats(benchmark::State& state, size_t n, size_t dim) {
  const auto rows = RandomNormals(n * dim, 1);
  AlignedVector<float> blocks(simd::FloatBlocksSize(n, dim));
  for (auto _ : Counted(state)) {
    simd::PackFloatBlocks(simd::DenseRows(rows.data(), n, dim), blocks.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(n));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(n * dim * sizeof(float)));
}

}  // namespace

void RegisterDot() {
  for (const DotShape& s : kShapes) {
    const std::string size = Cat(s.text(), "/B:", s.queries);
    if (!s.repeats)
      RegisterPerTarget("dot_scores/" + size, [s](benchmark::State& state) { Scores(state, s); });
    RegisterPerTarget(Cat("dot_topk_any/", size, "/", s.top_k()),
                      [s](benchmark::State& state) { TopK(state, s, simd::ResultOrder::kAny); });
    RegisterPerTarget(Cat("dot_topk_sorted/", size, "/", s.top_k()),
                      [s](benchmark::State& state) { TopK(state, s, simd::ResultOrder::kSorted); });
    RegisterRow(Cat("dot_topk_sorted/", size, "/", s.top_k(), "/faiss"),
                [s](benchmark::State& state) { FaissTopK(state, s); });
  }
  RegisterPerTarget("pack_float_blocks/L:1024/dim:64",
                    [](benchmark::State& state) { PackFloats(state, 1024, 64); });
}

}  // namespace eta::bench
