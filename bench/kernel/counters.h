// SPDX-License-Identifier: Apache-2.0
// CPU cycles and instructions of a row's timed loop alone: to prepare and check a row takes more of
// both than to time it.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace eta::bench {

// `Counters` is CpuCounters, or stands for it in tests.
template <class Counters>
class LoopCounters {
 public:
  class Loop {
   public:
    Loop(LoopCounters& counters, benchmark::State& state) : counters_(counters), state_(state) {}
    ~Loop() { counters_.Stop(); }
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    auto begin() { return state_.begin(); }
    // A range-for calls it once, after begin(); the state's starts the clock.
    auto end() {
      counters_.Start();
      return state_.end();
    }

   private:
    LoopCounters& counters_;
    benchmark::State& state_;
  };

  // What to loop over in place of `state`. It must not be paused: pauses would be counted.
  Loop Over(benchmark::State& state) { return Loop(*this, state); }

  // Adds what the last loop counted to its row, once. Adds nothing where a counter is not open to
  // programs, or where the row does not say how many items it processed.
  void Report(benchmark::State& state) {
    Add(state, "cycles_per_item", std::exchange(cycles_, std::nullopt));
    Add(state, "instructions_per_item", std::exchange(instructions_, std::nullopt));
  }

 private:
  using Count = std::optional<uint64_t>;

  static Count Difference(Count from, Count to) {
    return from && to ? Count(*to - *from) : std::nullopt;
  }
  static void Add(benchmark::State& state, const std::string& name, Count count) {
    const int64_t items = state.items_processed();
    if (!count || items <= 0) return;
    state.counters[name] = static_cast<double>(*count) / static_cast<double>(items);
  }
  void Start() {
    first_cycles_ = counters_.cycles();
    first_instructions_ = counters_.instructions();
  }
  void Stop() {
    cycles_ = Difference(first_cycles_, counters_.cycles());
    instructions_ = Difference(first_instructions_, counters_.instructions());
  }

  Counters counters_;
  Count first_cycles_, first_instructions_;
  Count cycles_, instructions_;
};

}  // namespace eta::bench
