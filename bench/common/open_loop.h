// SPDX-License-Identifier: Apache-2.0
// An open loop: requests arrive at times that do not depend on how fast they are answered.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace eta::bench {

// Arrivals of a Poisson process of `rate` per second within [0, seconds): intended starts in
// seconds, ascending. The same for the same arguments on every platform.
// Throws std::invalid_argument when more than kMaxArrivals are expected.
std::vector<double> PoissonArrivals(double rate, double seconds, uint64_t seed);

inline constexpr size_t kMaxArrivals = 10'000'000;  // their latencies are kept, 16 bytes each

// The time of a run in seconds since its start. Tests put their own clock in its place.
class LoadClock {
 public:
  virtual ~LoadClock() = default;
  virtual double Now() = 0;
  virtual void WaitUntil(double seconds) = 0;
};

// The system's steady clock.
class SteadyLoadClock : public LoadClock {
 public:
  // `spins`: waits actively at the end, because a sleep overshoots by tens of microseconds. That
  // keeps a CPU busy, so there must be one for each worker.
  SteadyLoadClock(std::chrono::steady_clock::time_point start, bool spins)
      : start_(start), spins_(spins) {}

  double Now() override;
  void WaitUntil(double seconds) override;

 private:
  std::chrono::steady_clock::time_point start_;
  bool spins_;
};

// Latencies run from the intended start to the end of the answer, so a request that waited behind a
// slow one shows it (no coordinated omission). Percentiles are nearest-rank over all arrivals; one
// that was not served counts with the time it had waited at the deadline.
struct OpenLoopResult {
  size_t arrivals = 0;
  size_t served = 0;
  size_t unserved = 0;       // not begun before the deadline; percentiles are then lower bounds
  size_t late_starts = 0;    // an idle worker woke more than kLateSeconds after the intended start
  double seconds = 0;        // from the start to the last answer
  double achieved_rate = 0;  // served / seconds
  double utilisation = 0;    // time in service / (workers x seconds)
  double service_mean_us = 0;
  double p50_us = 0;
  double p90_us = 0;
  double p99_us = 0;
  double p999_us = 0;
  double max_us = 0;
};

inline constexpr double kLateSeconds = 100e-6;  // see OpenLoopResult::late_starts

// One queue, first come, first served, in front of any number of workers.
class OpenLoop {
 public:
  // `arrivals`, ascending and not empty, must outlive the object. No request begins at or after
  // `deadline`.
  OpenLoop(std::span<const double> arrivals, double deadline);

  // Takes the next arrival, waits for its intended start, serves it by `serve(index)` and records
  // its latency. False when there is none left. Every worker calls it, each with a clock of its
  // own, until it returns false.
  bool Step(LoadClock& clock, const std::function<void(size_t)>& serve);

  // To be called when all workers are done.
  OpenLoopResult Summarize(int workers) const;
  std::span<const double> latencies() const { return latencies_; }  // negative: not served

 private:
  std::span<const double> arrivals_;
  double deadline_;
  std::atomic<size_t> next_{0};
  std::atomic<size_t> late_starts_{0};
  std::vector<double> latencies_;
  std::vector<double> services_;
};

// One rate that was tried.
struct Probe {
  double rate;
  OpenLoopResult result;
  bool is_kept;  // everything was served and p99 is within the limit
};

// The result of FindHighestRate.
struct HighestRate {
  std::optional<size_t> best;      // the probe of the highest rate that kept the limit
  std::optional<double> too_high;  // the lowest rate that did not
  bool is_complete = false;        // the two differ by kRateStep or less; else the time ran out
  std::vector<Probe> probes;       // in order
};

inline constexpr double kRateStep = 1.05;  // a factor

// Searches for the highest rate that keeps p99 within `limit_us`. Begins with half of `capacity`,
// an estimate of the rate at which all workers are busy, goes by factors until one rate keeps the
// limit and another does not, and then bisects on a log scale. Rates below `lowest` are not tried.
// A rate counts as too high only when two probes of it fail, because a disturbance can spoil a
// single one. `probe(rate, index)` measures; `may_go_on()` is asked before each probe but the
// first.
HighestRate FindHighestRate(double capacity, double lowest, double limit_us,
                            const std::function<OpenLoopResult(double, size_t)>& probe,
                            const std::function<bool()>& may_go_on);

}  // namespace eta::bench
