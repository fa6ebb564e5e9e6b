// SPDX-License-Identifier: Apache-2.0
// Rows for codes with a factor (eta_norm, eta_asym), against the same scan without it.
#include <algorithm>
#include <vector>

#include "bench/kernel/kernel_bench.h"
#include "core/base/check.h"
#include "core/reference/factors.h"
#include "core/reference/hamming.h"
#include "simd/asym.h"
#include "simd/code_blocks.h"
#include "simd/factors.h"
#include "simd/hamming.h"

namespace eta::bench {
namespace {

// Those of asym.cc.
const Shape kShapes[] = {{64, 1024, 64, 256},
                         {64, 16384, 64, 64},
                         {128, 2048, 48, 128},
                         {256, 1024, 64, 256},
                         {256, 16384, 64, 32}};

// Random codes and factors, and random candidates in the form of codes and of weights.
struct Fixture {
  explicit Fixture(const Shape& s)
      : s(s),
        turn(s.queries),
        codes(RandomBytes(s.length * s.code_bytes(), 1)),
        rows(RandomBytes(s.length * row_bytes(), 2)),
        blocks(simd::CodeBlocksBytes(s.length, s.code_bytes())),
        factor_blocks(simd::CodeBlocksBytes(s.length, row_bytes())),
        query_codes(RandomBytes(turn.all() * s.code_bytes(), 3)),
        weights(turn.all() * width()),
        scratch(std::max({simd::NormTopKScratchBytes(s.length, s.bits, s.k),
                          simd::AsymFactorTopKScratchBytes(s.length, s.bits, s.k),
                          simd::HammingTopKScratchBytes(s.length, s.code_bytes(), s.k),
                          simd::AsymTopKScratchBytes(s.length, s.code_bytes(), s.k)})),
        values(simd::PaddedRows(s.length)),
        positions(s.queries * s.k) {
    for (size_t i = 0; i < s.length; ++i) {
      std::copy_n(codes.data() + i * s.code_bytes(), s.code_bytes(), rows.data() + i * row_bytes());
    }
    simd::PackCodeBlocks(simd::DenseRows(codes.data(), s.length, s.code_bytes()), blocks.data());
    simd::PackCodeBlocks(simd::DenseRows(rows.data(), s.length, row_bytes()), factor_blocks.data());
    const auto projections = RandomNormals(turn.all() * s.bits, 4);
    for (size_t q = 0; q < turn.all(); ++q) {
      simd::QuantizeProjections(projections.data() + q * s.bits, s.bits,
                                weights.data() + q * width());
    }
  }

  size_t row_bytes() const { return simd::FactorCodeBytes(s.bits); }
  size_t width() const { return simd::WeightBytes(s.code_bytes()); }
  simd::CodeBlocksView plain() const { return {blocks.data(), s.length, s.code_bytes()}; }
  simd::FactorBlocksView with_factors() const { return {factor_blocks.data(), s.length, s.bits}; }
  simd::Queries<uint8_t> code_queries() const {
    return {query_codes.data() + turn.first() * s.code_bytes(), s.queries, s.code_bytes()};
  }
  simd::Queries<int8_t> weight_queries() const {
    return {weights.data() + turn.first() * width(), s.queries, width()};
  }

  Shape s;
  QueryTurn turn;
  AlignedVector<uint8_t> codes, rows, blocks, factor_blocks, query_codes;
  AlignedVector<int8_t> weights;
  AlignedVector<uint8_t> scratch, values;
  std::vector<int32_t> positions;
};

// The calls of a method, with and without factors, and its twin.
struct Norm {
  static void Distances(Fixture& f, size_t q) {
    simd::NormDistances(f.with_factors(), f.code_queries().query(q), f.values.data());
  }
  static void TopK(Fixture& f, const simd::TopKOptions& options) {
    simd::NormTopK(f.with_factors(), f.code_queries(), options, f.scratch.data(),
                   {f.positions.data()});
  }
  static void PlainTopK(Fixture& f, const simd::TopKOptions& options) {
    simd::HammingTopK(f.plain(), f.code_queries(), options, f.scratch.data(), {f.positions.data()});
  }
  static std::vector<uint32_t> Expected(const Fixture& f, size_t q) {
    return reference::NormDistances(f.rows, f.s.bits,
                                    {f.code_queries().query(q), f.s.code_bytes()});
  }
};

struct Asym {
  static void Distances(Fixture& f, size_t q) {
    simd::AsymFactorDistances(f.with_factors(), f.weight_queries().query(q), f.values.data());
  }
  static void TopK(Fixture& f, const simd::TopKOptions& options) {
    simd::AsymFactorTopK(f.with_factors(), f.weight_queries(), options, f.scratch.data(),
                         {f.positions.data()});
  }
  static void PlainTopK(Fixture& f, const simd::TopKOptions& options) {
    simd::AsymTopK(f.plain(), f.weight_queries(), options, f.scratch.data(), {f.positions.data()});
  }
  static std::vector<uint32_t> Expected(const Fixture& f, size_t q) {
    return reference::AsymFactorDistances(f.rows, f.s.bits,
                                          {f.weight_queries().query(q), f.width()});
  }
};

template <class Method>
bool IsRight(Fixture& f) {
  Method::TopK(f, {.k = f.s.k, .order = simd::ResultOrder::kSorted});
  for (const size_t q : {size_t{0}, f.s.queries - 1}) {
    const auto expected = Method::Expected(f, q);
    const auto nearest = reference::NearestOf(expected, f.s.k, simd::TieOrder::kNewestFirst);
    for (size_t i = 0; i < nearest.size(); ++i) {
      if (f.positions[q * f.s.k + i] != nearest[i].position) return false;
    }
    Method::Distances(f, q);
    if (!std::equal(expected.begin(), expected.end(), f.values.begin())) return false;
  }
  return true;
}

void Report(benchmark::State& state, const Shape& s) {
  const auto codes = static_cast<int64_t>(s.queries * s.length);
  state.SetItemsProcessed(state.iterations() * codes);
  state.SetBytesProcessed(state.iterations() * codes *
                          static_cast<int64_t>(simd::FactorCodeBytes(s.bits)));
  state.counters["s_per_query"] = benchmark::Counter(
      static_cast<double>(s.queries),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

template <class Method>
void Distances(benchmark::State& state, const Shape& s) {
  Fixture f(s);
  if (!IsRight<Method>(f)) return state.SkipWithError("differs from the reference");
  for (auto _ : Counted(state)) {
    for (size_t q = 0; q < s.queries; ++q) Method::Distances(f, q);
    benchmark::ClobberMemory();
  }
  Report(state, s);
}

template <class Method>
void TopK(benchmark::State& state, const Shape& s, simd::ResultOrder order) {
  Fixture f(s);
  if (!IsRight<Method>(f)) return state.SkipWithError("differs from the reference");
  const simd::TopKOptions options{.k = s.k, .order = order};
  const auto topk = f.turn.Before([&] { Method::TopK(f, options); });
  const auto plain_topk = f.turn.Before([&] { Method::PlainTopK(f, options); });
  const auto seconds = BestSeconds({topk, plain_topk});
  for (auto _ : Counted(state)) {
    topk();
    benchmark::ClobberMemory();
  }
  Report(state, s);
  state.counters["x_plain"] = seconds[0] / seconds[1];
}

template <class Method>
void Register(const std::string& name) {
  for (const Shape& s : kShapes) {
    const std::string size = Cat(s.text(), "/K:", s.k);
    RegisterPerTarget(Cat(name, "_distances/", s.text()),
                      [s](benchmark::State& state) { Distances<Method>(state, s); });
    RegisterPerTarget(Cat(name, "_topk_any/", size), [s](benchmark::State& state) {
      TopK<Method>(state, s, simd::ResultOrder::kAny);
    });
    RegisterPerTarget(Cat(name, "_topk_sorted/", size), [s](benchmark::State& state) {
      TopK<Method>(state, s, simd::ResultOrder::kSorted);
    });
  }
}

}  // namespace

void RegisterFactors() {
  Register<Norm>("norm");
  Register<Asym>("asym_factor");
}

}  // namespace eta::bench
