// SPDX-License-Identifier: Apache-2.0
// Rows for the second step of eta:BITS+rerank:C and eta:BITS+rerank_i8:C: inner products with rows
// from all over a table, and the best of a shortlist.
#include <algorithm>
#include <vector>

#include "bench/kernel/kernel_bench.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/reference/rerank.h"
#include "simd/code_blocks.h"
#include "simd/dot_i8.h"
#include "simd/rerank.h"
#include "simd/rerank_i8.h"

namespace eta::bench {
namespace {

// `queries` shortlists of `count` rows, drawn from a table of `items`.
struct RerankShape {
  size_t items, count, dim, k, queries;
};

struct Fixture {
  explicit Fixture(const RerankShape& s)
      : s(s),
        table(RandomNormals(s.items * s.dim, 1)),
        queries(RandomNormals(s.queries * s.dim, 2)),
        scores(s.queries * simd::PaddedRows(s.count)),
        scratch(simd::RerankTopKScratchBytes(s.count)),
        best(s.queries * s.k) {
    Random random(3);
    for (size_t i = 0; i < s.queries * s.count; ++i) {
      ids.push_back(static_cast<int32_t>(random.Next32() % s.items));
      positions.push_back(static_cast<int32_t>(i % s.count));
    }
  }

  void Scores() {
    for (size_t q = 0; q < s.queries; ++q) {
      simd::DotRows(simd::DenseRows(table.data(), s.items, s.dim),
                    {ids.data() + q * s.count, s.count}, queries.data() + q * s.dim,
                    scores.data() + q * simd::PaddedRows(s.count));
    }
  }

  void TopK() {
    simd::RerankTopK(
        {positions.data(), s.count, scores.data(), simd::PaddedRows(s.count), s.count, s.queries},
        {s.k}, scratch.data(), {best.data()});
  }

  bool IsRight() {
    Scores();
    TopK();
    for (size_t q = 0; q < s.queries; ++q) {
      const auto expected =
          reference::DotRows(table, ids_of(q), {queries.data() + q * s.dim, s.dim});
      const float* actual = scores.data() + q * simd::PaddedRows(s.count);
      if (!std::equal(expected.begin(), expected.end(), actual)) return false;
      auto expected_best = reference::RerankTopK({positions.data() + q * s.count, s.count},
                                                 expected, s.k, simd::TieOrder::kNewestFirst);
      std::vector<int32_t> row(best.begin() + static_cast<ptrdiff_t>(q * s.k),
                               best.begin() + static_cast<ptrdiff_t>((q + 1) * s.k));
      std::ranges::sort(expected_best);
      std::ranges::sort(row);
      if (row != expected_best) return false;
    }
    return true;
  }

  std::span<const int32_t> ids_of(size_t q) const { return {ids.data() + q * s.count, s.count}; }

  RerankShape s;
  AlignedVector<float> table, queries, scores;
  AlignedVector<uint8_t> scratch;
  std::vector<int32_t> ids, positions, best;
};

// The same rows and queries in int8.
struct I8Fixture {
  explicit I8Fixture(const Fixture& f)
      : f(f),
        table(f.table.size()),
        queries(f.queries.size()),
        table_scales(f.s.items),
        query_scales(f.s.queries),
        scores(f.s.queries * f.s.count) {
    const size_t dim = f.s.dim;
    simd::QuantizeI8(simd::DenseRows(f.table.data(), f.s.items, dim), table.data(), dim,
                     table_scales.data());
    simd::QuantizeI8(simd::DenseRows(f.queries.data(), f.s.queries, dim), queries.data(), dim,
                     query_scales.data());
  }

  void Scores() {
    for (size_t q = 0; q < f.s.queries; ++q) {
      simd::DotI8Rows({table.data(), table_scales.data(), f.s.items, f.s.dim, f.s.dim},
                      {f.ids_of(q).data(), f.s.count},
                      {queries.data() + q * f.s.dim, query_scales[q]},
                      scores.data() + q * f.s.count);
    }
  }

  bool IsRight() {
    Scores();
    const reference::I8Matrix rows{{table.begin(), table.end()},
                                   {table_scales.begin(), table_scales.end()}};
    const reference::I8Matrix all{{queries.begin(), queries.end()},
                                  {query_scales.begin(), query_scales.end()}};
    for (size_t q = 0; q < f.s.queries; ++q) {
      const auto expected = reference::DotI8Rows(rows, f.ids_of(q), all, q, f.s.dim);
      if (!std::equal(expected.begin(), expected.end(), scores.data() + q * f.s.count)) {
        return false;
      }
    }
    return true;
  }

  const Fixture& f;
  AlignedVector<int8_t> table, queries;
  AlignedVector<float> table_scales, query_scales, scores;
};

void Report(benchmark::State& state, const RerankShape& s) {
  const auto per_iteration = static_cast<int64_t>(s.queries * s.count);
  state.SetItemsProcessed(state.iterations() * per_iteration);
  state.counters["s_per_row"] = benchmark::Counter(
      static_cast<double>(per_iteration),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void Rows(benchmark::State& state, const RerankShape& s) {
  Fixture f(s);
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  for (auto _ : Counted(state)) {
    f.Scores();
    benchmark::ClobberMemory();
  }
  Report(state, s);
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(s.queries * s.count * s.dim * sizeof(float)));
}

void I8Rows(benchmark::State& state, const RerankShape& s) {
  Fixture floats(s);
  I8Fixture f(floats);
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  const auto seconds = BestSeconds({[&] { f.Scores(); }, [&] { floats.Scores(); }});
  for (auto _ : Counted(state)) {
    f.Scores();
    benchmark::ClobberMemory();
  }
  Report(state, s);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(s.queries * s.count * s.dim));
  state.counters["x_float"] = seconds[1] / seconds[0];
}

void TopK(benchmark::State& state, const RerankShape& s) {
  Fixture f(s);
  if (!f.IsRight()) return state.SkipWithError("differs from the reference");
  for (auto _ : Counted(state)) {
    f.TopK();
    benchmark::ClobberMemory();
  }
  Report(state, s);
}

}  // namespace

void RegisterRerank() {
  // The items of one history, in the L2 cache; and rows of a table of 256 MiB.
  const RerankShape history = {1024, 128, 64, 64, 256}, table = {1 << 20, 128, 64, 64, 256};
  RegisterPerTarget("dot_rows/count:128/dim:64",
                    [=](benchmark::State& state) { Rows(state, history); });
  RegisterPerTarget("dot_rows_of_table/items:1048576/count:128/dim:64",
                    [=](benchmark::State& state) { Rows(state, table); });
  RegisterPerTarget("dot_i8_rows/count:128/dim:64",
                    [=](benchmark::State& state) { I8Rows(state, history); });
  RegisterPerTarget("dot_i8_rows_of_table/items:1048576/count:128/dim:64",
                    [=](benchmark::State& state) { I8Rows(state, table); });
  for (const size_t count : {size_t{128}, size_t{512}}) {
    const RerankShape s = {1024, count, 64, 64, 256};
    RegisterPerTarget(Cat("rerank_topk_any/count:", count, "/K:64"),
                      [=](benchmark::State& state) { TopK(state, s); });
  }
}

}  // namespace eta::bench
