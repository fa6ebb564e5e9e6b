// SPDX-License-Identifier: Apache-2.0
// Rows for Hamming distances and top-K, and for the limits they are measured against.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "baselines/faiss_kernels.h"
#include "bench/kernel/kernel_bench.h"
#include "bench/kernel/limits.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/data/generator.h"
#include "core/reference/hamming.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/hyperplanes.h"
#include "simd/code_blocks.h"
#include "simd/hamming.h"

namespace eta::bench {
namespace {

// Typical requests and the largest ones; docs/kernels.md has six of them as S1 to S6.
const Shape kShapes[] = {{64, 1024, 64, 256},   {64, 16384, 64, 64},  {128, 2048, 48, 128},
                         {256, 1024, 64, 256},  {256, 16384, 64, 32}, {1024, 100000, 100, 8},
                         {64, 100000, 100, 16}, {256, 256, 32, 256},  {32, 1024, 64, 256}};

// Also run on codes of generated embeddings: on random codes nearly every query has the same K-th
// distance, which makes first limits easy to judge.
const Shape kGeneratedShapes[] = {{64, 1024, 64, 256}, {256, 1024, 64, 256}, {128, 2048, 48, 128}};

// All candidates of a request in one call.
const Shape kBatchShapes[] = {{256, 16384, 64, 256}, {1024, 100000, 100, 256}};

struct Codes {
  AlignedVector<uint8_t> history, queries;
};

Codes RandomCodes(const Shape& shape) {
  return {RandomBytes(shape.length * shape.code_bytes(), 1),
          RandomBytes(kQuerySets * shape.queries * shape.code_bytes(), 2)};
}

constexpr size_t kHeldOut = 8;  // as retrieval_bench does by default

const Bundle& GeneratedData(size_t length) {
  static std::map<size_t, Bundle> data;
  const auto found = data.find(length);
  if (found != data.end()) return found->second;
  GeneratorOptions options;
  options.users = 16;
  options.fixed_length = length + kHeldOut;
  return data.emplace(length, GenerateBundle(options)).first->second;
}

// SimHash codes of a user's history; queries are the behaviours held out of it and items drawn by
// their number of occurrences in all histories.
Codes GeneratedCodes(const Shape& shape) {
  const Bundle& data = GeneratedData(shape.length);
  const auto history = data.histories[0];
  std::vector<int32_t> items(history.begin(), history.end());
  Random random(5);
  const size_t wanted = shape.length + kQuerySets * shape.queries;
  while (items.size() < wanted) {
    const auto at = random.Below(static_cast<uint32_t>(data.histories.items.size()));
    items.push_back(data.histories.items[at]);
  }
  const CodeTable table(
      data.items, Hyperplanes::Make(HyperplaneKind::kGaussian, data.items.dim(), shape.bits, 1));
  Codes codes;
  for (size_t i = 0; i < wanted; ++i) {
    const auto code = table.row(static_cast<size_t>(items[i]));
    auto& to = i < shape.length ? codes.history : codes.queries;
    to.insert(to.end(), code.begin(), code.end());
  }
  return codes;
}

struct Fixture {
  explicit Fixture(const Shape& shape) : Fixture(shape, RandomCodes(shape)) {}
  Fixture(const Shape& shape, Codes given)
      : shape(shape),
        turn(shape.queries),
        codes(std::move(given.history)),
        queries(std::move(given.queries)),
        blocks(simd::CodeBlocksBytes(shape.length, shape.code_bytes())),
        scratch(simd::HammingTopKScratchBytes(shape.length, shape.code_bytes(), shape.k)),
        distances8(simd::PaddedRows(shape.length)),
        distances16(simd::PaddedRows(shape.length)),
        positions(shape.queries * shape.k),
        row_distances(shape.queries * shape.k) {
    simd::PackCodeBlocks(simd::DenseRows(codes.data(), shape.length, shape.code_bytes()),
                         blocks.data());
  }

  simd::CodeBlocksView rows() const { return {blocks.data(), shape.length, shape.code_bytes()}; }

  // The queries of a call.
  std::span<const uint8_t> asked() const {
    return std::span(queries).subspan(turn.first() * shape.code_bytes(),
                                      shape.queries * shape.code_bytes());
  }
  std::span<const uint8_t> query(size_t q) const {
    return asked().subspan(q * shape.code_bytes(), shape.code_bytes());
  }

  // Narrow codes give byte distances, as the top-K uses them.
  void Distances(size_t q) {
    if (shape.code_bytes() <= simd::kMaxByteDistanceCodeBytes) {
      simd::HammingDistances(rows(), query(q).data(), distances8.data());
    } else {
      simd::HammingDistances(rows(), query(q).data(), distances16.data());
    }
  }

  void AllDistances() { FirstDistances(shape.queries); }

  void FirstDistances(size_t queries) {
    for (size_t q = 0; q < queries; ++q) Distances(q);
  }

  void TopK(simd::ResultOrder order) { TopK(order, 0, shape.queries); }

  void TopKOneByOne(simd::ResultOrder order) {
    for (size_t q = 0; q < shape.queries; ++q) TopK(order, q, 1);
  }

  // Of `count` queries from `first` on.
  void TopK(simd::ResultOrder order, size_t first, size_t count) {
    const bool sorted = order == simd::ResultOrder::kSorted;
    const size_t row = first * shape.k;
    simd::HammingTopK(rows(), {query(first).data(), count, shape.code_bytes()},
                      {.k = shape.k, .order = order}, scratch.data(),
                      {positions.data() + row, sorted ? row_distances.data() + row : nullptr});
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
  QueryTurn turn;
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

// scripts/ab_test.sh plants a slowdown: ETA_KERNEL_BENCH_SLOWDOWN percent of the queries, rounded,
// are done twice.
size_t PlantedQueries(size_t queries) {
  const char* percent = std::getenv("ETA_KERNEL_BENCH_SLOWDOWN");
  if (percent == nullptr) return 0;
  char* end = nullptr;
  const unsigned long value = std::strtoul(percent, &end, 10);
  Require(percent[0] >= '0' && percent[0] <= '9' && *end == '\0' && value <= 100,
          "ETA_KERNEL_BENCH_SLOWDOWN is '", percent, "' (expected 0 to 100)");
  return (queries * value + 50) / 100;
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
  const size_t planted = std::min(PlantedQueries(shape.queries), shape.queries);
  for (auto _ : Counted(state)) {
    f.AllDistances();
    f.FirstDistances(planted);
    benchmark::ClobberMemory();
  }
  ReportRates(state, f);
  state.counters["of_limit"] = seconds[0] / seconds[1];
}

// FAISS on the same codes and queries.
struct FaissRival {
  explicit FaissRival(const Fixture& f)
      : k(f.shape.k),
        search(f.codes, f.shape.code_bytes()),
        labels(f.positions.size()),
        distances(f.positions.size()) {}
  void Run(FaissSearchMode mode, std::span<const uint8_t> queries) {
    search.Search(mode, queries, k, labels, distances);
  }

  size_t k;
  FaissBinarySearch search;
  std::vector<int64_t> labels;
  std::vector<int32_t> distances;
};

void TopK(benchmark::State& state, Fixture f, simd::ResultOrder order) {
  if (!f.TopKIsRight()) return state.SkipWithError("differs from the reference");
  FaissRival faiss(f);
  const auto topk = f.turn.Before([&] { f.TopK(order); });
  const auto run_faiss = [&](FaissSearchMode mode) {
    f.turn.Next();
    faiss.Run(mode, f.asked());
  };
  const auto seconds =
      BestSeconds({topk, [&] { f.AllDistances(); }, [&] { run_faiss(FaissSearchMode::kHeap); },
                   [&] { run_faiss(FaissSearchMode::kCounting); },
                   [&] { run_faiss(FaissSearchMode::kSingle); }});
  const double topk_seconds = seconds[0], distances_seconds = seconds[1];
  const double faiss_seconds = *std::min_element(seconds.begin() + 2, seconds.end());
  for (auto _ : Counted(state)) {
    topk();
    benchmark::ClobberMemory();
  }
  ReportRates(state, f);
  state.counters["x_distances"] = topk_seconds / distances_seconds;
  state.counters["x_faiss"] = faiss_seconds / topk_seconds;
}

double Seconds(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// One call for all queries, in turn with a call for each: x_single is how many times longer the
// latter take, best against best. Apart from BestSeconds, whose seven rounds and warm-up would take
// minutes on the slower targets.
void Batch(benchmark::State& state, const Shape& shape) {
  Fixture f(shape);
  if (!f.TopKIsRight()) return state.SkipWithError("differs from the reference");
  constexpr auto kAny = simd::ResultOrder::kAny;
  double together = std::numeric_limits<double>::infinity(), single = together;
  for (auto _ : state) {
    together = std::min(together, Seconds([&] { f.TopK(kAny); }));
    state.PauseTiming();
    single = std::min(single, Seconds([&] { f.TopKOneByOne(kAny); }));
    state.ResumeTiming();
  }
  ReportRates(state, f);
  state.counters["x_single"] = single / together;
}

void FaissTopK(benchmark::State& state, const Shape& shape, FaissSearchMode mode) {
  Fixture f(shape);
  FaissRival faiss(f);
  for (auto _ : Counted(state)) {
    f.turn.Next();
    faiss.Run(mode, f.asked());
  }
  ReportRates(state, f);
}

}  // namespace

void RegisterHamming() {
  PlantedQueries(0);  // a bad value ends the program before anything has run
  for (const Shape& shape : kShapes) {
    RegisterPerTarget("hamming_distances/" + shape.text(),
                      [shape](benchmark::State& state) { Distances(state, shape); });
    const std::string size = Cat(shape.text(), "/K:", shape.k);
    RegisterPerTarget("hamming_topk_any/" + size, [shape](benchmark::State& state) {
      TopK(state, Fixture(shape), simd::ResultOrder::kAny);
    });
    RegisterPerTarget("hamming_topk_sorted/" + size, [shape](benchmark::State& state) {
      TopK(state, Fixture(shape), simd::ResultOrder::kSorted);
    });
    for (FaissSearchMode mode : kFaissSearchModes) {
      const std::string name =
          Cat("hamming_topk_sorted/", size, "/faiss_", FaissSearchModeName(mode));
      RegisterRow(name, [shape, mode](benchmark::State& state) { FaissTopK(state, shape, mode); });
    }
  }
  for (const Shape& shape : kGeneratedShapes) {
    const std::string size = Cat(shape.text(), "/K:", shape.k, "/generated");
    RegisterPerTarget("hamming_topk_any/" + size, [shape](benchmark::State& state) {
      TopK(state, Fixture(shape, GeneratedCodes(shape)), simd::ResultOrder::kAny);
    });
    RegisterPerTarget("hamming_topk_sorted/" + size, [shape](benchmark::State& state) {
      TopK(state, Fixture(shape, GeneratedCodes(shape)), simd::ResultOrder::kSorted);
    });
  }
  for (const Shape& shape : kBatchShapes) {
    RegisterPerTarget(
        Cat("hamming_topk_batch/", shape.text(), "/K:", shape.k, "/B:", shape.queries),
        [shape](benchmark::State& state) { Batch(state, shape); });
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
