// SPDX-License-Identifier: Apache-2.0
// Rows for Hamming distances and top-K, and for the limits they are measured against.
#include <algorithm>
#include <memory>
#include <vector>

#include "baselines/faiss_kernels.h"
#include "bench/kernel_bench.h"
#include "bench/kernel_bench_limits.h"
#include "core/check.h"
#include "core/reference/hamming.h"
#include "simd/hamming.h"

namespace eta::bench {
namespace {

// The shapes of the design (docs/architecture.md): typical requests, and what bounds them.
const Shape kShapes[] = {{64, 1024, 64, 256},   {64, 16384, 64, 64},  {128, 2048, 48, 128},
                         {256, 1024, 64, 256},  {256, 16384, 64, 32}, {1024, 100000, 100, 8},
                         {64, 100000, 100, 16}, {256, 256, 32, 256},  {32, 1024, 64, 256}};

struct Fixture {
  explicit Fixture(const Shape& shape)
      : shape(shape),
        codes(RandomBytes(shape.length * shape.code_bytes(), 1)),
        queries(RandomBytes(shape.queries * shape.code_bytes(), 2)),
        blocks(simd::CodeBlocksBytes(shape.length, shape.code_bytes())),
        scratch(simd::HammingTopKScratchBytes(shape.length, shape.code_bytes(), shape.k)),
        distances8(simd::PaddedRows(shape.length)),
        distances16(simd::PaddedRows(shape.length)),
        positions(shape.queries * shape.k),
        row_distances(shape.queries * shape.k) {
    simd::PackCodeBlocks(codes.data(), shape.length, shape.code_bytes(), shape.code_bytes(),
                         blocks.data());
  }

  std::span<const uint8_t> query(size_t q) const {
    return {queries.data() + q * shape.code_bytes(), shape.code_bytes()};
  }

  // Narrow codes give byte distances, as the top-K uses them.
  void Distances(size_t q) {
    if (shape.code_bytes() <= simd::kMaxByteDistanceCodeBytes) {
      simd::HammingDistances(blocks.data(), shape.length, shape.code_bytes(), query(q).data(),
                             distances8.data());
    } else {
      simd::HammingDistances(blocks.data(), shape.length, shape.code_bytes(), query(q).data(),
                             distances16.data());
    }
  }

  void AllDistances() {
    for (size_t q = 0; q < shape.queries; ++q) Distances(q);
  }

  void TopK(simd::ResultOrder order) {
    simd::HammingTopK(
        blocks.data(), shape.length, shape.code_bytes(), queries.data(), shape.queries,
        shape.code_bytes(), shape.k, simd::TieOrder::kNewestFirst, order, scratch.data(),
        {positions.data(), order == simd::ResultOrder::kSorted ? row_distances.data() : nullptr});
  }

  bool DistancesAreRight() {
    Distances(0);
    const auto expected = reference::HammingDistances(codes, query(0));
    for (size_t i = 0; i < shape.length; ++i) {
      const uint32_t found = shape.code_bytes() <= simd::kMaxByteDistanceCodeBytes
                                 ? uint32_t{distances8[i]}
                                 : uint32_t{distances16[i]};
      if (found != expected[i]) return false;
    }
    return true;
  }

  bool TopKIsRight() {
    TopK(simd::ResultOrder::kSorted);
    for (size_t q : {size_t{0}, shape.queries - 1}) {
      const auto expected =
          reference::HammingTopK(codes, query(q), shape.k, simd::TieOrder::kNewestFirst);
      for (size_t i = 0; i < expected.size(); ++i) {
        if (positions[q * shape.k + i] != expected[i].position) return false;
      }
    }
    return true;
  }

  size_t CodesPerIteration() const { return shape.length * shape.queries; }

  Shape shape;
  AlignedVector<uint8_t> codes, queries, blocks, scratch, distances8;
  AlignedVector<uint16_t> distances16;
  std::vector<int32_t> positions;
  std::vector<uint16_t> row_distances;
};

void ReportRates(benchmark::State& state, const Fixture& f) {
  const auto codes = static_cast<int64_t>(f.CodesPerIteration());
  state.SetItemsProcessed(state.iterations() * codes);
  state.SetBytesProcessed(state.iterations() * codes * static_cast<int64_t>(f.shape.code_bytes()));
  state.counters["s_per_query"] = benchmark::Counter(
      static_cast<double>(f.shape.queries),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void Distances(benchmark::State& state, const Shape& shape) {
  Fixture f(shape);
  if (!f.DistancesAreRight()) return state.SkipWithError("differs from the reference");
  uint64_t sink = 0;
  const auto seconds = BestSeconds({[&] {
                                      for (size_t q = 0; q < shape.queries; ++q) {
                                        sink += LimitPopcount(f.blocks.data(), f.blocks.size(),
                                                              static_cast<uint8_t>(q));
                                      }
                                    },
                                    [&] { f.AllDistances(); }});
  benchmark::DoNotOptimize(sink);
  for (auto _ : state) {
    f.AllDistances();
    benchmark::ClobberMemory();
  }
  ReportRates(state, f);
  state.counters["of_limit"] = seconds[0] / seconds[1];
}

// Best FAISS mode on the same codes and queries, in seconds for all queries.
struct FaissRival {
  explicit FaissRival(const Fixture& f)
      : queries(f.queries),
        k(f.shape.k),
        search(f.codes, f.shape.code_bytes()),
        labels(f.positions.size()),
        distances(f.positions.size()) {}
  void Run(FaissSearchMode mode) { search.Search(mode, queries, k, labels, distances); }

  std::span<const uint8_t> queries;
  size_t k;
  FaissBinarySearch search;
  std::vector<int64_t> labels;
  std::vector<int32_t> distances;
};

void TopK(benchmark::State& state, const Shape& shape, simd::ResultOrder order) {
  Fixture f(shape);
  if (!f.TopKIsRight()) return state.SkipWithError("differs from the reference");
  FaissRival faiss(f);
  const auto seconds = BestSeconds({[&] { f.TopK(order); }, [&] { f.AllDistances(); },
                                    [&] { faiss.Run(FaissSearchMode::kHeap); },
                                    [&] { faiss.Run(FaissSearchMode::kCounting); },
                                    [&] { faiss.Run(FaissSearchMode::kSingle); }});
  for (auto _ : state) {
    f.TopK(order);
    benchmark::ClobberMemory();
  }
  ReportRates(state, f);
  state.counters["x_distances"] = seconds[0] / seconds[1];
  state.counters["x_faiss"] = std::min({seconds[2], seconds[3], seconds[4]}) / seconds[0];
}

void FaissTopK(benchmark::State& state, const Shape& shape, FaissSearchMode mode) {
  Fixture f(shape);
  FaissRival faiss(f);
  for (auto _ : state) faiss.Run(mode);
  ReportRates(state, f);
}

}  // namespace

void RegisterHamming() {
  for (const Shape& shape : kShapes) {
    RegisterPerTarget("hamming_distances/" + shape.text(),
                      [shape](benchmark::State& state) { Distances(state, shape); });
    const std::string size = Cat(shape.text(), "/K:", shape.k);
    RegisterPerTarget("hamming_topk_any/" + size, [shape](benchmark::State& state) {
      TopK(state, shape, simd::ResultOrder::kAny);
    });
    RegisterPerTarget("hamming_topk_sorted/" + size, [shape](benchmark::State& state) {
      TopK(state, shape, simd::ResultOrder::kSorted);
    });
    for (FaissSearchMode mode : kFaissSearchModes) {
      const std::string name =
          Cat("hamming_topk_sorted/", size, "/faiss_", FaissSearchModeName(mode));
      benchmark::RegisterBenchmark(
          name.c_str(), [shape, mode](benchmark::State& state) { FaissTopK(state, shape, mode); });
    }
  }
}

void RegisterLimits() {
  for (size_t bytes : {size_t{8} << 10, size_t{128} << 10, size_t{4} << 20, size_t{64} << 20}) {
    const auto data = std::make_shared<AlignedVector<uint8_t>>();
    const auto fill = [data, bytes] {
      if (data->empty()) *data = RandomBytes(bytes, 3);
    };
    RegisterPerTarget(Cat("limit_load/bytes:", bytes), [=](benchmark::State& state) {
      fill();
      for (auto _ : state) benchmark::DoNotOptimize(LimitLoad(data->data(), bytes));
      state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
    });
    RegisterPerTarget(Cat("limit_popcount/bytes:", bytes), [=](benchmark::State& state) {
      fill();
      for (auto _ : state) benchmark::DoNotOptimize(LimitPopcount(data->data(), bytes, 0x5A));
      state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
    });
    RegisterPerTarget(Cat("limit_lookup/bytes:", bytes), [=](benchmark::State& state) {
      fill();
      for (auto _ : state) {
        benchmark::DoNotOptimize(LimitLookup(data->data(), bytes, data->data()));
      }
      state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
    });
  }
  RegisterPerTarget("limit_fma", [](benchmark::State& state) {
    float value = 1.0f;
    uint64_t multiply_adds = 0;
    for (auto _ : state) multiply_adds += LimitFma(10000, &value);
    benchmark::DoNotOptimize(value);
    state.counters["flops"] =
        benchmark::Counter(2.0 * static_cast<double>(multiply_adds), benchmark::Counter::kIsRate);
  });
}

}  // namespace eta::bench
