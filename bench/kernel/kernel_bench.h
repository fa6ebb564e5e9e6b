// SPDX-License-Identifier: Apache-2.0
// What the parts of kernel_bench share. A part registers its rows: one per SIMD target and shape,
// and FAISS's beside them. Every row checks its kernel against core/reference before timing.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "bench/common/machine.h"
#include "bench/kernel/counters.h"
#include "core/base/aligned.h"

namespace eta::bench {

// Sizes of one row: a history of `length` behaviours, codes of `bits`, `k` wanted.
struct Shape {
  size_t bits;
  size_t length;
  size_t k;
  size_t queries;  // of a call

  size_t code_bytes() const { return (bits + 7) / 8; }
  std::string text() const;  // "bits:64/L:1024"
};

// Calls of a top-K ask these many sets of queries in turn. Asked the same 256 queries again and
// again, the branch predictor learns what each of them does, which it cannot in requests of many
// users.
constexpr size_t kQuerySets = 16;

// The set whose turn it is, of `queries` queries.
class QueryTurn {
 public:
  explicit QueryTurn(size_t queries) : queries_(queries) {}
  size_t first() const { return set_ * queries_; }      // its first query
  size_t all() const { return kQuerySets * queries_; }  // queries of all sets
  void Next() { set_ = (set_ + 1) % kQuerySets; }
  // `call`, which may ask `first` on, for the next set at every call.
  template <class Call>
  auto Before(Call call) {
    return [this, call] {
      Next();
      call();
    };
  }

 private:
  size_t queries_;
  size_t set_ = 0;
};

AlignedVector<uint8_t> RandomBytes(size_t n, uint64_t seed);
AlignedVector<float> RandomNormals(size_t n, uint64_t seed);
// Rows of RandomNormals, of which about half are copies of a row before them: the more copies a row
// has, the more it gets, as items in histories do.
AlignedVector<float> RepeatedRows(size_t rows, size_t dim, uint64_t seed);

// Registers a row. Where it loops over Counted(state) and says how many items it processed, it gets
// cycles_per_item and instructions_per_item, if the machine lets programs count them.
void RegisterRow(const std::string& name, const std::function<void(benchmark::State&)>& body);
LoopCounters<CpuCounters>::Loop Counted(benchmark::State& state);

// Registers rows "<name>/<target>" for each target that may run, and forces that target around
// each run of `body`.
void RegisterPerTarget(const std::string& name, const std::function<void(benchmark::State&)>& body);

// Best time of one call, in seconds, of each of several contenders, taken in turn so that a noisy
// neighbour hits all of them. With ETA_KERNEL_BENCH_RIVALS=0 nothing is timed and all are NaN.
std::vector<double> BestSeconds(std::initializer_list<std::function<void()>> contenders);

// Which share of the active target's FMA peak `kernel` reaches, which does `multiply_adds` a call.
double ShareOfFmaLimit(double multiply_adds, const std::function<void()>& kernel);

void RegisterLimits();
void RegisterHamming();
void RegisterAsym();
void RegisterFactors();
void RegisterPq4();
void RegisterSimHash();
void RegisterHadamard();
void RegisterBlocks();
void RegisterDot();
void RegisterDotI8();
void RegisterRerank();
void RegisterAttention();
void RegisterModelI8();

}  // namespace eta::bench
