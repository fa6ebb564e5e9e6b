// SPDX-License-Identifier: Apache-2.0
// The open loop in false time: queues whose waiting times are known.
#include "bench/common/open_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <thread>

#include "core/retrieval/metrics.h"

namespace eta::bench {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

class FalseClock : public LoadClock {
 public:
  double Now() override { return now_; }
  void WaitUntil(double seconds) override { now_ = std::max(now_, seconds + oversleep); }
  void Pass(double seconds) { now_ += seconds; }

  double oversleep = 0;

 private:
  double now_ = 0;
};

// Runs a loop with one worker whose request i takes service(i) seconds.
template <class Service>
void RunOne(OpenLoop& loop, const Service& service) {
  FalseClock clock;
  while (loop.Step(clock, [&](size_t i) { clock.Pass(service(i)); })) {
  }
}

// P(waiting time <= x) of an M/D/1 queue (Erlang, 1909).
double WaitDistribution(double x, double rate, double service) {
  double sum = 0;
  double factorial = 1;
  for (int k = 0; k <= static_cast<int>(x / service); ++k) {
    if (k > 0) factorial *= k;
    const double t = rate * (x - k * service);
    sum += std::pow(-t, k) / factorial * std::exp(t);
  }
  return (1 - rate * service) * sum;
}

TEST(PoissonArrivals, HaveTheRateAndExponentialGaps) {
  const auto arrivals = PoissonArrivals(1000, 100, 7);
  EXPECT_NEAR(static_cast<double>(arrivals.size()), 1e5, 5 * std::sqrt(1e5));
  EXPECT_TRUE(std::ranges::is_sorted(arrivals));
  EXPECT_GT(arrivals.front(), 0);
  EXPECT_LT(arrivals.back(), 100);
  std::vector<double> gaps;
  for (size_t i = 1; i < arrivals.size(); ++i) gaps.push_back(arrivals[i] - arrivals[i - 1]);
  std::ranges::sort(gaps);
  for (const double percent : {10.0, 50.0, 90.0, 99.0}) {
    const double expected = -std::log(1 - percent / 100) / 1000;
    EXPECT_NEAR(Percentile(gaps, percent), expected, 0.04 * expected) << percent;
  }
}

TEST(PoissonArrivals, DependOnTheSeedAlone) {
  EXPECT_EQ(PoissonArrivals(50, 10, 1), PoissonArrivals(50, 10, 1));
  EXPECT_NE(PoissonArrivals(50, 10, 1), PoissonArrivals(50, 10, 2));
  EXPECT_THROW(PoissonArrivals(0, 10, 1), std::invalid_argument);
  EXPECT_THROW(PoissonArrivals(1e9, 10, 1), std::invalid_argument);
}

TEST(OpenLoop, AgreesWithTheFormulaOfOneServer) {
  constexpr double kService = 1e-3;
  constexpr double kRate = 500;
  const auto arrivals = PoissonArrivals(kRate, 2000, 1);
  OpenLoop loop(arrivals, kNever);
  RunOne(loop, [](size_t) { return kService; });
  const OpenLoopResult result = loop.Summarize(1);
  EXPECT_EQ(result.served, arrivals.size());
  EXPECT_EQ(result.unserved, 0);
  EXPECT_EQ(result.late_starts, 0);
  EXPECT_NEAR(result.utilisation, kRate * kService, 0.005);
  EXPECT_NEAR(result.achieved_rate, kRate, 5);
  EXPECT_NEAR(result.service_mean_us, 1e6 * kService, 1e-3);
  const double mean_wait = Mean(loop.latencies()) - kService;
  EXPECT_NEAR(mean_wait, kRate * kService * kService / (2 * (1 - kRate * kService)), 2e-5);
  const auto share = [&](double us) {
    return WaitDistribution(us / 1e6 - kService, kRate, kService);
  };
  // Half of the requests find the server free, so p50 may lie in the atom at no waiting.
  EXPECT_NEAR(share(result.p90_us), 0.90, 0.003);
  EXPECT_NEAR(share(result.p99_us), 0.99, 0.001);
  EXPECT_NEAR(share(result.p999_us), 0.999, 0.0003);
}

// c servers by hand: an arrival goes to the server that is free first.
template <size_t kServers>
void ExpectQueue(double rate) {
  constexpr double kService = 1e-3;
  const auto arrivals = PoissonArrivals(rate, 20, 3);
  OpenLoop loop(arrivals, kNever);
  std::array<FalseClock, kServers> clocks;
  std::array<bool, kServers> is_open;
  is_open.fill(true);
  while (std::ranges::count(is_open, true) > 0) {
    const auto first = std::ranges::min_element(
        clocks, {}, [&](FalseClock& c) { return is_open[&c - clocks.data()] ? c.Now() : kNever; });
    is_open[static_cast<size_t>(first - clocks.begin())] =
        loop.Step(*first, [&](size_t) { first->Pass(kService); });
  }
  std::array<double, kServers> free_at{};
  std::vector<double> expected;
  for (const double arrival : arrivals) {
    double& server = *std::ranges::min_element(free_at);
    server = std::max(server, arrival) + kService;
    expected.push_back(server - arrival);
  }
  ASSERT_EQ(loop.latencies().size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(loop.latencies()[i], expected[i], 1e-9);
  EXPECT_NEAR(loop.Summarize(kServers).utilisation, rate * kService / kServers, 0.02);
}

TEST(OpenLoop, AgreesWithASimulationOfManyServers) {
  ExpectQueue<1>(900);
  ExpectQueue<2>(1700);
  ExpectQueue<5>(4500);
}

// Requests every millisecond that take 0.1 ms, but one that takes 20: a closed loop would show one
// slow request, and the others as fast as ever.
TEST(OpenLoop, ShowsAStallInAllThatWaitedBehindIt) {
  std::vector<double> arrivals;
  for (int i = 0; i < 100; ++i) arrivals.push_back(1e-3 * i);
  OpenLoop loop(arrivals, kNever);
  RunOne(loop, [](size_t i) { return i == 50 ? 20e-3 : 1e-4; });
  for (size_t i = 0; i < 100; ++i) {
    // The backlog of 20 ms shrinks by 0.9 ms with every arrival.
    const double queued = 20e-3 - 0.9e-3 * (static_cast<double>(i) - 50);
    EXPECT_NEAR(loop.latencies()[i], i < 50 ? 1e-4 : std::max(1e-4, queued), 1e-9) << i;
  }
  const OpenLoopResult result = loop.Summarize(1);
  EXPECT_NEAR(result.p90_us, 11000, 1);  // of 100 requests 10 waited longer than 11 ms
  EXPECT_NEAR(result.max_us, 20000, 1);
}

TEST(OpenLoop, CountsWhatTheDeadlineLeaves) {
  const std::vector<double> arrivals{0, 1, 2, 3};
  OpenLoop loop(arrivals, 4);
  RunOne(loop, [](size_t) { return 3.0; });
  const OpenLoopResult result = loop.Summarize(1);
  EXPECT_EQ(result.arrivals, 4);
  EXPECT_EQ(result.served, 2);
  EXPECT_EQ(result.unserved, 2);
  EXPECT_NEAR(result.achieved_rate, 2.0 / 6, 1e-12);
  EXPECT_NEAR(result.utilisation, 1, 1e-12);
  EXPECT_NEAR(result.max_us, 5e6, 1e-3);  // arrived at 1, done at 6
  EXPECT_NEAR(result.p50_us, 2e6, 1e-3);  // 1 (arrived at 3), 2 (at 2), 3 and 5 s
}

TEST(OpenLoop, CountsWorkersThatWokeLate) {
  const std::vector<double> arrivals{1, 2, 2, 3};
  OpenLoop loop(arrivals, kNever);
  FalseClock clock;
  clock.oversleep = 2 * kLateSeconds;
  while (loop.Step(clock, [&](size_t) { clock.Pass(0.1); })) {
  }
  EXPECT_EQ(loop.Summarize(1).late_starts, 3);  // the third one queued, the worker did not sleep
  EXPECT_NEAR(loop.latencies()[0], 0.1 + 2 * kLateSeconds, 1e-12);
}

TEST(OpenLoop, ServesEachRequestOnceOnManyThreads) {
  const auto arrivals = PoissonArrivals(1000, 20, 1);
  OpenLoop loop(arrivals, kNever);
  std::vector<std::atomic<int>> times(arrivals.size());
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        FalseClock clock;
        while (loop.Step(clock, [&](size_t i) { ++times[i]; })) {
        }
      });
    }
  }
  EXPECT_TRUE(std::ranges::all_of(times, [](const auto& n) { return n == 1; }));
  EXPECT_EQ(loop.Summarize(4).served, arrivals.size());
}

// A server whose p99 grows as 1 / (1 - utilisation).
OpenLoopResult Synthetic(double rate, double capacity) {
  OpenLoopResult result;
  result.unserved = rate < capacity ? 0 : 1;
  result.p99_us = 100 / std::max(1e-9, 1 - rate / capacity);
  return result;
}

TEST(FindHighestRate, BracketsTheAnswer) {
  for (const double estimate : {300.0, 1000.0, 5000.0}) {
    for (const double limit_us : {101.0, 200.0, 1000.0, 50000.0}) {
      const double answer = 1000 * (1 - 100 / limit_us);
      const HighestRate found = FindHighestRate(
          estimate, 1, limit_us, [](double rate, size_t) { return Synthetic(rate, 1000); },
          [] { return true; });
      ASSERT_TRUE(found.best);
      ASSERT_TRUE(found.too_high);
      EXPECT_TRUE(found.is_complete);
      const Probe& best = found.probes[*found.best];
      EXPECT_TRUE(best.is_kept);
      EXPECT_LE(best.rate, answer * (1 + 1e-9));
      EXPECT_GT(*found.too_high, answer * (1 - 1e-9));
      EXPECT_LE(*found.too_high / best.rate, kRateStep);
    }
  }
}

TEST(FindHighestRate, SaysWhenNoRateWillDo) {
  const HighestRate found = FindHighestRate(
      1000, 1, 99, [](double rate, size_t) { return Synthetic(rate, 1000); }, [] { return true; });
  EXPECT_FALSE(found.best);
  EXPECT_TRUE(found.is_complete);
  EXPECT_EQ(*found.too_high, 1);
}

TEST(FindHighestRate, ForgivesOneFailureOfARate) {
  const auto probe = [](double rate, size_t index) {
    OpenLoopResult result = Synthetic(rate, 1000);
    if (index % 3 == 0) result.p99_us = 1e9;
    return result;
  };
  const HighestRate found = FindHighestRate(1000, 1, 200, probe, [] { return true; });
  ASSERT_TRUE(found.best);
  EXPECT_GT(found.probes[*found.best].rate, 500 / kRateStep);
  EXPECT_LE(found.probes[*found.best].rate, 500 * (1 + 1e-9));
}

TEST(FindHighestRate, StopsWhenTheTimeIsOver) {
  int left = 3;
  const HighestRate found = FindHighestRate(
      1000, 1, 200, [](double rate, size_t) { return Synthetic(rate, 1000); },
      [&] { return left-- > 0; });
  EXPECT_FALSE(found.is_complete);
  EXPECT_EQ(found.probes.size(), 4);
}

}  // namespace
}  // namespace eta::bench
