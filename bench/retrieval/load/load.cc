// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/load/load.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "bench/common/cpus.h"
#include "core/base/check.h"
#include "core/base/random.h"

namespace eta::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kChoiceStream = 4;
constexpr double kWarmUpSeconds = 0.2;
constexpr auto kStartDelay = std::chrono::milliseconds(5);  // until all workers run

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What one worker needs to answer requests.
class Worker {
 public:
  Worker(const Retriever& retriever, size_t k)
      : retriever_(retriever), scratch_(retriever.NewScratch()), k_(k) {}

  void Serve(const PreparedHistory& history, std::span<const int32_t> candidates) {
    positions_.resize(std::max(positions_.size(), candidates.size() * k_));
    counts_.resize(std::max(counts_.size(), candidates.size()));
    retriever_.Retrieve(history, candidates, k_, *scratch_,
                        {std::span(positions_).first(candidates.size() * k_),
                         std::span(counts_).first(candidates.size())});
  }

 private:
  const Retriever& retriever_;
  std::unique_ptr<Scratch> scratch_;
  size_t k_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> counts_;
};

// One method with all its histories prepared.
class LoadTest {
 public:
  LoadTest(const Retriever& retriever, std::span<const UserRequest> requests,
           const Options& options, const std::vector<int>& cpus)
      : requests_(requests), options_(options), cpus_(cpus) {
    for (const UserRequest& request : requests) {
      prepared_.push_back(retriever.Prepare(request.history));
    }
    for (int t = 0; t < options.threads; ++t) workers_.emplace_back(retriever, options.k);
  }

  // Requests per second that keep all workers busy; warms them up on the way.
  double Capacity() {
    double mean = 0;
    for (Worker& worker : workers_) {
      const auto start = Clock::now();
      size_t served = 0;
      while (served < requests_.size() || served < kTurn) {
        const size_t r = served++ % requests_.size();
        worker.Serve(*prepared_[r], requests_[r].candidates);
        if (served >= kTurn && SecondsSince(start) > kWarmUpSeconds) break;
      }
      mean += SecondsSince(start) / static_cast<double>(served) / options_.threads;
    }
    return options_.threads / mean;
  }

  // `grace`: seconds after the last arrival in which requests may still begin.
  OpenLoopResult Run(double rate, double seconds, double grace, uint64_t seed) {
    const std::vector<double> arrivals = PoissonArrivals(rate, seconds, seed);
    std::vector<uint32_t> choice;
    Random random(seed, kChoiceStream);
    for (size_t i = 0; i < arrivals.size(); ++i) {
      choice.push_back(random.Below(static_cast<uint32_t>(requests_.size())));
    }
    OpenLoop loop(arrivals, seconds + grace);
    const auto start = Clock::now() + kStartDelay;
    std::exception_ptr error;
    std::mutex mutex;
    {
      std::vector<std::jthread> threads;
      for (size_t t = 0; t < workers_.size(); ++t) {
        threads.emplace_back([&, t] {
          try {
            Work(loop, choice, start, t);
          } catch (...) {
            const std::lock_guard lock(mutex);
            error = std::current_exception();
          }
        });
      }
    }
    if (error) std::rethrow_exception(error);
    return loop.Summarize(options_.threads);
  }

 private:
  void Work(OpenLoop& loop, const std::vector<uint32_t>& choice, Clock::time_point start,
            size_t thread) {
    // A new thread inherits the CPU to which OpenMP may have bound the main thread.
    RunThreadOn(options_.pin ? std::vector<int>{cpus_[thread]} : cpus_);
    SteadyLoadClock clock(start, workers_.size() <= cpus_.size());
    const auto serve = [&](size_t i) {
      const uint32_t r = choice[i];
      workers_[thread].Serve(*prepared_[r], requests_[r].candidates);
    };
    while (loop.Step(clock, serve)) {
    }
  }

  std::span<const UserRequest> requests_;
  const Options& options_;
  const std::vector<int>& cpus_;
  std::vector<std::unique_ptr<PreparedHistory>> prepared_;
  std::vector<Worker> workers_;
};

SloRow SearchRate(Contender& contender, std::span<const UserRequest> requests,
                  const Options& options, const std::vector<int>& cpus) {
  const Retriever& retriever = contender.retriever();
  LoadTest test(retriever, requests, options, cpus);
  const double capacity = test.Capacity();
  const double limit = options.slo_ms / 1000;
  const auto begin = Clock::now();
  // Fast methods would otherwise have more arrivals than are kept.
  const auto seconds_at = [&](double rate) {
    return std::min(options.load_seconds, 0.9 * static_cast<double>(kMaxArrivals) / rate);
  };
  const auto probe = [&](double rate, size_t index) {
    // What has not begun so long after the last arrival has missed the limit anyway.
    return test.Run(rate, seconds_at(rate), limit, options.seed + index);
  };
  const auto may_go_on = [&] {
    return SecondsSince(begin) + options.load_seconds + limit <= options.slo_seconds;
  };
  const double lowest = kFewestArrivals / options.load_seconds;
  return {retriever.name(), retriever.bits(), capacity,
          FindHighestRate(capacity, lowest, 1000 * options.slo_ms, probe, may_go_on)};
}

}  // namespace

LoadReport MeasureLoad(std::vector<Contender>& contenders, std::span<const UserRequest> requests,
                       const Options& options, const std::vector<int>& cpus, Progress& progress) {
  LoadReport report;
  const size_t runs = options.load_rates.size() * contenders.size();
  for (const double rate : options.load_rates) {
    for (Contender& contender : contenders) {
      const Retriever& retriever = contender.retriever();
      progress.Show(Cat("load: ", retriever.name(), " at ", rate, "/s, ", report.rows.size() + 1,
                        " of ", runs, ", about ",
                        static_cast<double>(runs - report.rows.size()) * options.load_seconds,
                        " s left"));
      LoadTest test(retriever, requests, options, cpus);
      test.Capacity();
      report.rows.push_back(
          {retriever.name(), retriever.bits(), rate,
           test.Run(rate, options.load_seconds, options.load_seconds, options.seed)});
    }
  }
  if (options.slo_ms == 0) return report;
  for (Contender& contender : contenders) {
    progress.Show(
        Cat("highest rate: ", contender.retriever().name(), ", ", report.slo.size() + 1, " of ",
            contenders.size(), ", at most ",
            static_cast<double>(contenders.size() - report.slo.size()) * options.slo_seconds,
            " s left"));
    report.slo.push_back(SearchRate(contender, requests, options, cpus));
  }
  return report;
}

}  // namespace eta::bench
