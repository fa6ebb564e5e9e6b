// SPDX-License-Identifier: Apache-2.0
// Rows for asymmetric penalties and top-K (eta_asym), with Hamming distances of the same codes
// beside them.
#include <algorithm>
#include <vector>

#include "bench/kernel/kernel_bench.h"
#include "bench/kernel/limits.h"
#include "core/base/check.h"
#include "core/reference/asym.h"
#include "simd/asym.h"
#include "simd/code_blocks.h"
#include "simd/hamming.h"

namespace eta::bench {
namespace {

// Some of the shapes of hamming.cc.
const Shape kShapes[] = {{64, 1024, 64, 256},
                         {64, 16384, 64, 64},
                         {128, 2048, 48, 128},
                         {256, 1024, 64, 256},
                         {256, 16384, 64, 32}};

struct Fixture {
  explicit Fixture(const Shape& s)
      : s(s),
        turn(s.queries),
        codes(RandomBytes(s.length * s.code_bytes(), 1)),
        blocks(simd::CodeBlocksBytes(s.length, s.code_bytes())),
        projections(RandomNormals(turn.all() * s.bits, 2)),
        weights(turn.all() * stride()),
        query_codes(RandomBytes(turn.all() * s.code_bytes(), 3)),
        scratch(std::max(simd::AsymTopKScratchBytes(s.length, s.code_bytes(), s.k),
                         simd::HammingTopKScratchBytes(s.length, s.code_bytes(), s.k))),
        values8(simd::PaddedRows(s.length)),
        values16(simd::PaddedRows(s.length)),
        positions(s.queries * s.k),
        row_penalties(s.queries * s.k) {
    simd::PackCodeBlocks(simd::DenseRows(codes.data(), s.length, s.code_bytes()), blocks.data());
    for (size_t q = 0; q < turn.all(); ++q) {
      simd::QuantizeProjections(projections.data() + q * s.bits, s.bits, query(q));
    }
  }

  simd::CodeBlocksView rows() const { return {blocks.data(), s.length, s.code_bytes()}; }
  size_t stride() const { return simd::WeightBytes(s.code_bytes()); }
  int8_t* query(size_t q) { return weights.data() + (turn.first() + q) * stride(); }
  const uint8_t* query_code(size_t q) const {
    return query_codes.data() + (turn.first() + q) * s.code_bytes();
  }
  bool in_bytes() const { return s.code_bytes() <= simd::kMaxBytePenaltyCodeBytes; }

  void Penalties(size_t q) {
    if (in_bytes()) {
      simd::AsymPenalties(rows(), query(q), values8.data());
    } else {
      simd::AsymPenalties(rows(), query(q), values16.data());
    }
  }

  void AllPenalties() {
    for (size_t q = 0; q < s.queries; ++q) Penalties(q);
  }

  void AllHammingDistances() {
    for (size_t q = 0; q < s.queries; ++q) {
      const uint8_t* code = query_code(q);
      if (s.code_bytes() <= simd::kMaxByteDistanceCodeBytes) {
        simd::HammingDistances(rows(), code, values8.data());
      } else {
        simd::HammingDistances(rows(), code, values16.data());
      }
    }
  }

  void TopK(simd::ResultOrder order) {
    simd::AsymTopK(
        rows(), {query(0), s.queries, stride()}, {.k = s.k, .order = order}, scratch.data(),
        {positions.data(), order == simd::ResultOrder::kSorted ? row_penalties.data() : nullptr});
  }

  void HammingTopK(simd::ResultOrder order) {
    simd::HammingTopK(
        rows(), {query_code(0), s.queries, s.code_bytes()}, {.k = s.k, .order = order},
        scratch.data(),
        {positions.data(), order == simd::ResultOrder::kSorted ? row_penalties.data() : nullptr});
  }

  bool PenaltiesAreRight() {
    for (const size_t q : {size_t{0}, s.queries - 1}) {
      const auto expected_weights =
          reference::QuantizeProjections({projections.data() + q * s.bits, s.bits});
      const auto expected = reference::AsymPenalties(codes, expected_weights);
      Penalties(q);
      for (size_t i = 0; i < s.length; ++i) {
        if ((in_bytes() ? uint32_t{values8[i]} : uint32_t{values16[i]}) != expected[i]) {
          return false;
        }
      }
    }
    return true;
  }

  bool TopKIsRight() {
    TopK(simd::ResultOrder::kSorted);
    for (const size_t q : {size_t{0}, s.queries - 1}) {
      const auto expected =
          reference::AsymTopK(codes, {query(q), stride()}, s.k, simd::TieOrder::kNewestFirst);
      for (size_t i = 0; i < expected.size(); ++i) {
        if (positions[q * s.k + i] != expected[i].position) return false;
      }
    }
    return true;
  }

  Shape s;
  QueryTurn turn;
  AlignedVector<uint8_t> codes, blocks;
  AlignedVector<float> projections;
  AlignedVector<int8_t> weights;
  AlignedVector<uint8_t> query_codes, scratch, values8;
  AlignedVector<uint16_t> values16;
  std::vector<int32_t> positions;
  std::vector<uint16_t> row_penalties;
};

void Report(benchmark::State& state, const Shape& s) {
  const auto codes = static_cast<int64_t>(s.queries * s.length);
  state.SetItemsProcessed(state.iterations() * codes);
  state.SetBytesProcessed(state.iterations() * codes * static_cast<int64_t>(s.code_bytes()));
  state.counters["s_per_query"] = benchmark::Counter(
      static_cast<double>(s.queries),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void Penalties(benchmark::State& state, const Shape& s) {
  Fixture f(s);
  if (!f.PenaltiesAreRight()) return state.SkipWithError("differs from the reference");
  uint64_t sink = 0;
  const auto seconds = BestSeconds({[&] {
                                      for (size_t q = 0; q < s.queries; ++q) {
                                        sink += LimitLookup(f.blocks.data(), f.blocks.size(),
                                                            f.codes.data() + q % 8);
                                      }
                                    },
                                    [&] { f.AllPenalties(); }, [&] { f.AllHammingDistances(); }});
  benchmark::DoNotOptimize(sink);
  for (auto _ : Counted(state)) {
    f.AllPenalties();
    benchmark::ClobberMemory();
  }
  Report(state, s);
  const double limit = seconds[0], penalties = seconds[1], hamming = seconds[2];
  state.counters["of_limit"] = limit / penalties;
  state.counters["x_hamming"] = penalties / hamming;
}

void TopK(benchmark::State& state, const Shape& s, simd::ResultOrder order) {
  Fixture f(s);
  if (!f.TopKIsRight()) return state.SkipWithError("differs from the reference");
  const auto topk = f.turn.Before([&] { f.TopK(order); });
  const auto hamming_topk = f.turn.Before([&] { f.HammingTopK(order); });
  const auto seconds = BestSeconds({topk, [&] { f.AllPenalties(); }, hamming_topk});
  for (auto _ : Counted(state)) {
    topk();
    benchmark::ClobberMemory();
  }
  Report(state, s);
  state.counters["x_penalties"] = seconds[0] / seconds[1];
  state.counters["x_hamming"] = seconds[0] / seconds[2];
}

void Quantize(benchmark::State& state, size_t bits) {
  const auto projections = RandomNormals(bits, 1);
  AlignedVector<int8_t> weights(simd::WeightBytes((bits + 7) / 8));
  const auto expected = reference::QuantizeProjections(projections);
  simd::QuantizeProjections(projections.data(), bits, weights.data());
  if (!std::ranges::equal(weights, expected)) {
    return state.SkipWithError("differs from the reference");
  }
  for (auto _ : Counted(state)) {
    simd::QuantizeProjections(projections.data(), bits, weights.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}

}  // namespace

void RegisterAsym() {
  for (const Shape& s : kShapes) {
    RegisterPerTarget("asym_penalties/" + s.text(),
                      [s](benchmark::State& state) { Penalties(state, s); });
    const std::string size = Cat(s.text(), "/K:", s.k);
    RegisterPerTarget("asym_topk_any/" + size,
                      [s](benchmark::State& state) { TopK(state, s, simd::ResultOrder::kAny); });
    RegisterPerTarget("asym_topk_sorted/" + size,
                      [s](benchmark::State& state) { TopK(state, s, simd::ResultOrder::kSorted); });
  }
  for (const size_t bits : {size_t{64}, size_t{256}}) {
    // The same code on every target.
    RegisterRow(Cat("quantize_projections/bits:", bits),
                [bits](benchmark::State& state) { Quantize(state, bits); });
  }
}

}  // namespace eta::bench
