// SPDX-License-Identifier: Apache-2.0
#include "bench/common/open_loop.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include "core/base/check.h"
#include "core/base/portable_math.h"
#include "core/base/random.h"
#include "core/retrieval/metrics.h"

namespace eta::bench {
namespace {

constexpr uint64_t kArrivalStream = 3;
constexpr double kUpwards = 1.5;
constexpr double kDownwards = 0.25;

// The next rate to probe; nothing when the search is over.
std::optional<double> NextRate(double capacity, double lowest, double kept,
                               const std::optional<double>& failed) {
  if (!failed) return kept == 0 ? std::max(lowest, capacity / 2) : kept * kUpwards;
  if (kept > 0) {
    if (*failed / kept <= kRateStep) return std::nullopt;
    return std::sqrt(kept * *failed);
  }
  if (*failed <= lowest) return std::nullopt;
  return std::max(lowest, *failed * kDownwards);
}

}  // namespace

std::vector<double> PoissonArrivals(double rate, double seconds, uint64_t seed) {
  Require(rate > 0 && seconds > 0 && rate * seconds <= static_cast<double>(kMaxArrivals),
          "a rate of ", rate, " per second for ", seconds, " s: rate x time must lie in (0, ",
          kMaxArrivals, "]");
  Random random(seed, kArrivalStream);
  std::vector<double> arrivals;
  // 1 - Uniform() is never 0, so the logarithm is finite.
  for (double time = 0;;) {
    time -= PortableLog(1 - random.Uniform()) / rate;
    if (time >= seconds) break;
    arrivals.push_back(time);
  }
  return arrivals;
}

double SteadyLoadClock::Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void SteadyLoadClock::WaitUntil(double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr double kAwake = 200e-6;
  const double wake = spins_ ? seconds - kAwake : seconds;
  if (Now() < wake) {
    std::this_thread::sleep_until(
        start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(wake)));
  }
  while (Now() < seconds) {
  }
}

OpenLoop::OpenLoop(std::span<const double> arrivals, double deadline)
    : arrivals_(arrivals),
      deadline_(deadline),
      latencies_(arrivals.size(), -1),
      services_(arrivals.size(), 0) {
  Require(!arrivals.empty(), "no request arrives");
}

bool OpenLoop::Step(LoadClock& clock, const std::function<void(size_t)>& serve) {
  const size_t index = next_.fetch_add(1);
  if (index >= arrivals_.size()) return false;
  const double intended = arrivals_[index];
  const bool is_idle = clock.Now() < intended;
  if (is_idle) clock.WaitUntil(intended);
  const double start = clock.Now();
  if (start >= deadline_) return false;
  if (is_idle && start - intended > kLateSeconds) ++late_starts_;
  serve(index);
  const double end = clock.Now();
  latencies_[index] = end - intended;
  services_[index] = end - start;
  return true;
}

OpenLoopResult OpenLoop::Summarize(int workers) const {
  OpenLoopResult result;
  result.arrivals = arrivals_.size();
  std::vector<double> sorted;
  for (size_t i = 0; i < arrivals_.size(); ++i) {
    const bool is_served = latencies_[i] >= 0;
    sorted.push_back(is_served ? latencies_[i] : std::max(0.0, deadline_ - arrivals_[i]));
    if (!is_served) continue;
    ++result.served;
    result.seconds = std::max(result.seconds, arrivals_[i] + latencies_[i]);
  }
  std::ranges::sort(sorted);
  result.unserved = result.arrivals - result.served;
  result.late_starts = late_starts_;
  result.p50_us = 1e6 * Percentile(sorted, 50);
  result.p90_us = 1e6 * Percentile(sorted, 90);
  result.p99_us = 1e6 * Percentile(sorted, 99);
  result.p999_us = 1e6 * Percentile(sorted, 99.9);
  result.max_us = 1e6 * sorted.back();
  if (result.served == 0 || result.seconds == 0) return result;
  const double busy = std::accumulate(services_.begin(), services_.end(), 0.0);
  const auto served = static_cast<double>(result.served);
  result.achieved_rate = served / result.seconds;
  result.utilisation = busy / (workers * result.seconds);
  result.service_mean_us = 1e6 * busy / served;
  return result;
}

HighestRate FindHighestRate(double capacity, double lowest, double limit_us,
                            const std::function<OpenLoopResult(double, size_t)>& probe,
                            const std::function<bool()>& may_go_on) {
  HighestRate found;
  double kept = 0;
  const auto is_kept = [&](double rate) {
    const OpenLoopResult result = probe(rate, found.probes.size());
    found.probes.push_back({rate, result, result.unserved == 0 && result.p99_us <= limit_us});
    return found.probes.back().is_kept;
  };
  while (const auto rate = NextRate(capacity, lowest, kept, found.too_high)) {
    if (!found.probes.empty() && !may_go_on()) return found;
    bool is_good = is_kept(*rate);
    if (!is_good) {
      if (!may_go_on()) return found;
      is_good = is_kept(*rate);
    }
    if (is_good) {
      kept = *rate;
      found.best = found.probes.size() - 1;
    } else {
      found.too_high = *rate;
    }
  }
  found.is_complete = true;
  return found;
}

}  // namespace eta::bench
