// SPDX-License-Identifier: Apache-2.0
#include "bench/serving/phase.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <fstream>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "bench/common/cpus.h"
#include "bench/common/machine.h"
#include "bench/serving/verify.h"
#include "core/base/random.h"
#include "core/retrieval/metrics.h"

namespace eta::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kAppendStream = 8;
constexpr auto kStartDelay = std::chrono::milliseconds(5);  // until all threads run
constexpr double kGraceSeconds = 1;          // after the last arrival, for those that wait
constexpr size_t kCheckedCandidates = 8;     // of a sample; the reference is slow
constexpr double kLeastSliceSeconds = 0.05;  // of the picture
constexpr double kSlices = 200;

// What a request saw.
struct Seen {
  double at = 0;  // answered, in seconds since the phase began
  uint64_t version = 0;
  double version_age_seconds = 0;
  int64_t newest = 0;
  bool is_stale = false;
};

// An answer that is checked later.
struct Sample {
  size_t user = 0;
  Found found;
  std::vector<float> logits;  // of Score
  uint64_t version = 0;
  size_t length = 0;
  int64_t newest = 0;
};

// Runs all, each in a thread of its own, and throws the first thing that one of them throws.
void RunTogether(const std::vector<std::function<void()>>& works) {
  std::exception_ptr error;
  std::mutex mutex;
  {
    std::vector<std::jthread> threads;
    for (const auto& work : works) {
      threads.emplace_back([&] {
        try {
          // A new thread inherits the CPU to which OpenMP may have bound the main thread.
          RunThreadOn(ProcessCpus());
          work();
        } catch (...) {
          const std::lock_guard lock(mutex);
          if (!error) error = std::current_exception();
        }
      });
    }
  }
  if (error) std::rethrow_exception(error);
}

std::optional<Ages> SummarizeAges(std::vector<double> ages) {
  if (ages.empty()) return std::nullopt;
  std::ranges::sort(ages);
  return Ages{ages.size(), Percentile(ages, 50), Percentile(ages, 99), ages.back()};
}

// Since the process began.
std::optional<DiskBytes> ReadDiskBytes() {
  std::ifstream io("/proc/self/io");
  std::optional<uint64_t> read, written;
  std::string name;
  for (uint64_t bytes = 0; io >> name >> bytes;) {
    if (name == "read_bytes:") read = bytes;
    if (name == "write_bytes:") written = bytes;
  }
  if (!read || !written) return std::nullopt;
  return DiskBytes{*read, *written};
}

// How long the calling thread has waited for a processor since it began; -1 where the system does
// not say.
double SecondsWaited() {
  std::ifstream schedule("/proc/thread-self/schedstat");
  double ran = 0, waited = 0;
  return schedule >> ran >> waited ? waited * 1e-9 : -1;
}

double Microseconds(double seconds) { return seconds * 1e6; }

class PhaseRun {
 public:
  PhaseRun(Server& server, Traffic& traffic, const ServingOptions& options, const PhasePlan& plan,
           uint64_t seed)
      : server_(server),
        traffic_(traffic),
        options_(options),
        plan_(plan),
        random_(seed, kAppendStream),
        arrivals_(PoissonArrivals(options.rate, options.seconds, seed)),
        batches_(PoissonArrivals(
            static_cast<double>(options.appends) / static_cast<double>(options.batch),
            options.seconds, seed + 1)),
        users_(traffic.DrawUsers(arrivals_.size(), seed)),
        seen_(arrivals_.size()),
        processor_us_(arrivals_.size(), -1),
        requests_(arrivals_, options.seconds + kGraceSeconds),
        appends_(batches_, options.seconds + kGraceSeconds) {
    if (options.samples > 0) {
      sample_step_ = (arrivals_.size() + options.samples - 1) / options.samples;
      samples_.resize((arrivals_.size() + sample_step_ - 1) / sample_step_);
    }
  }

  PhaseResult Run() {
    const CacheCounts before = server_.Counts();
    const std::optional<DiskBytes> disk = ReadDiskBytes();
    start_ = Clock::now() + kStartDelay;
    std::vector<std::function<void()>> works(static_cast<size_t>(options_.threads),
                                             [this] { Answers(); });
    if (plan_.appends) works.emplace_back([this] { Appends(); });
    if (plan_.swaps) works.emplace_back([this] { Swaps(); });
    RunTogether(works);
    PhaseResult result;
    result.plan = plan_;
    result.requests = requests_.Summarize(options_.threads);
    const CacheCounts after = server_.Counts();
    result.hits = after.hits - before.hits;
    result.misses = after.misses - before.misses;
    result.drops = after.drops - before.drops;
    result.unkept = after.unkept - before.unkept;
    result.gathers = after.gathers - before.gathers;
    if (const auto now = ReadDiskBytes(); now && disk) {
      result.disk = DiskBytes{now->read - disk->read, now->written - disk->written};
    }
    result.swaps = swaps_;
    if (plan_.appends) {
      result.appends = appends_.Summarize(1);
      result.appended_per_second =
          result.appends->achieved_rate * static_cast<double>(options_.batch);
    }
    AddProcessorTimes(result);
    AddAges(result);
    AddSlices(result);
    return result;
  }

  const std::vector<Sample>& samples() const { return samples_; }

 private:
  // As long as each has a CPU, threads wait actively, because a sleep overshoots.
  bool Spins(int threads) const { return threads < static_cast<int>(ProcessCpus().size()); }

  void Answers() {
    SteadyLoadClock clock(start_, Spins(options_.threads));
    const double waited = SecondsWaited();
    Answer answer;
    const auto serve = [&](size_t i) {
      const size_t user = users_[i];
      const int64_t acknowledged = traffic_.acknowledged(user);
      const double begin = ThreadCpuSeconds();
      if (plan_.kind == RequestKind::kRetrieve) {
        server_.Retrieve(user, traffic_.Candidates(i), answer);
      } else {
        server_.Score(user, traffic_.Candidates(i), answer);
      }
      processor_us_[i] = Microseconds(ThreadCpuSeconds() - begin);
      seen_[i] = {clock.Now(), answer.version, answer.version_age_seconds, answer.newest,
                  answer.newest < acknowledged};
      if (sample_step_ > 0 && i % sample_step_ == 0) Keep(answer, i, samples_[i / sample_step_]);
    };
    while (requests_.Step(clock, serve)) {
    }
    const std::lock_guard lock(waited_mutex_);
    waited_ = waited < 0 || waited_ < 0 ? -1 : waited_ + SecondsWaited() - waited;
  }

  // Copies what will be checked, which takes microseconds of every sampled request.
  void Keep(const Answer& answer, size_t request, Sample& sample) const {
    const std::span<const int32_t> candidates = traffic_.Candidates(request);
    const size_t step = (candidates.size() + kCheckedCandidates - 1) / kCheckedCandidates;
    sample = {.user = users_[request],
              .found = {},
              .logits = {},
              .version = answer.version,
              .length = answer.length,
              .newest = answer.newest};
    for (size_t c = 0; c < candidates.size(); c += step) {
      sample.found.candidates.push_back(candidates[c]);
      if (plan_.kind == RequestKind::kScore) {
        sample.logits.push_back(answer.logits[c]);
        continue;
      }
      const auto begin = answer.positions.begin() + static_cast<ptrdiff_t>(c * options_.k);
      sample.found.counts.push_back(answer.counts[c]);
      sample.found.positions.insert(sample.found.positions.end(), begin,
                                    begin + static_cast<ptrdiff_t>(options_.k));
    }
  }

  // Microseconds of this run at so many seconds of the phase.
  int64_t RunTime(double seconds) const {
    const double phase = std::chrono::duration<double>(start_ - traffic_.start()).count();
    return Traffic::kRunStart + static_cast<int64_t>(Microseconds(phase + seconds));
  }

  void Appends() {
    SteadyLoadClock clock(start_, /*spins=*/false);
    const auto append = [&](size_t i) {
      const EventBatch batch = traffic_.NextBatch(RunTime(batches_[i]), random_);
      server_.Append(batch, *plan_.appends);
      traffic_.Acknowledge(batch);
    };
    while (appends_.Step(clock, append)) {
    }
  }

  void Swaps() {
    SteadyLoadClock clock(start_, /*spins=*/false);
    for (double at = options_.swap_seconds / 2; at < options_.seconds;
         at += options_.swap_seconds) {
      clock.WaitUntil(at);
      const double begin = clock.Now();
      const uint64_t version =
          plan_.kind == RequestKind::kRetrieve ? server_.Swap(*plan_.swaps) : server_.SwapCtr();
      swaps_.push_back({begin, clock.Now(), version});
    }
  }

  void AddProcessorTimes(PhaseResult& result) const {
    std::vector<double> served = processor_us_;
    std::erase_if(served, [](double us) { return us < 0; });
    if (!served.empty()) {
      std::ranges::sort(served);
      result.processor.p50_us = Percentile(served, 50);
      result.processor.p99_us = Percentile(served, 99);
    }
    if (waited_ >= 0) result.processor.waited_seconds = waited_;
  }

  void AddAges(PhaseResult& result) const {
    std::vector<double> behaviours, models;
    for (const Seen& seen : seen_) {
      if (seen.version == 0) continue;  // not served
      result.stale += seen.is_stale;
      models.push_back(seen.version_age_seconds);
      if (seen.newest >= Traffic::kRunStart) {
        behaviours.push_back(static_cast<double>(RunTime(seen.at) - seen.newest) * 1e-6);
      }
    }
    result.behaviour_age = SummarizeAges(std::move(behaviours));
    result.model_age = SummarizeAges(std::move(models));
  }

  void AddSlices(PhaseResult& result) const {
    result.slice_seconds = std::max(kLeastSliceSeconds, options_.seconds / kSlices);
    const std::span<const double> latencies = requests_.latencies();
    for (size_t i = 0; i < arrivals_.size();) {
      const double slice = std::floor(arrivals_[i] / result.slice_seconds);
      std::vector<double> part;
      for (; i < arrivals_.size() && std::floor(arrivals_[i] / result.slice_seconds) == slice;
           ++i) {
        if (latencies[i] >= 0) part.push_back(Microseconds(latencies[i]));
      }
      if (part.empty()) continue;
      std::ranges::sort(part);
      result.slices.push_back({slice * result.slice_seconds, part.size(), Percentile(part, 50),
                               Percentile(part, 99), part.back()});
    }
  }

  Server& server_;
  Traffic& traffic_;
  const ServingOptions& options_;
  const PhasePlan& plan_;
  Random random_;  // of the appends
  std::vector<double> arrivals_;
  std::vector<double> batches_;
  std::vector<uint32_t> users_;
  std::vector<Seen> seen_;
  std::vector<double> processor_us_;  // of each request; -1: not served
  std::mutex waited_mutex_;
  double waited_ = 0;  // for a processor, in seconds; -1: unknown
  size_t sample_step_ = 0;
  std::vector<Sample> samples_;
  OpenLoop requests_;
  OpenLoop appends_;
  std::vector<ModelSwap> swaps_;
  Clock::time_point start_;
};

// The behaviours that the answer was found in, as the store has them now; nothing where it lacks
// some of them.
std::optional<std::vector<int32_t>> SearchedHistory(const HistoryStore& store,
                                                    const Sample& sample) {
  std::vector<Behaviour> history = store.Read(static_cast<int64_t>(sample.user), SIZE_MAX);
  std::erase_if(history, [&](const Behaviour& b) { return b.time > sample.newest; });
  if (history.size() < sample.length) return std::nullopt;
  std::vector<int32_t> items;
  for (size_t i = history.size() - sample.length; i < history.size(); ++i) {
    items.push_back(history[i].item);
  }
  return items;
}

}  // namespace

PhaseResult RunPhase(Server& server, Traffic& traffic, const HistoryStore& store,
                     const ServingData& data, const ServingOptions& options, const PhasePlan& plan,
                     uint64_t number) {
  PhaseRun run(server, traffic, options, plan, options.seed + 2 * number);
  PhaseResult result = run.Run();
  for (const Sample& sample : run.samples()) {
    if (sample.version == 0) continue;  // not served
    ++result.checked;
    const auto history = SearchedHistory(store, sample);
    const bool is_right =
        history && (plan.kind == RequestKind::kRetrieve
                        ? AgreesWithReference(sample.found, options.k, data.items(),
                                              server.Planes(sample.version), *history)
                        : ScoresAgree(*server.ctr(), sample.user, *history, sample.found.candidates,
                                      sample.logits));
    result.wrong += is_right ? 0 : 1;
  }
  return result;
}

}  // namespace eta::bench
