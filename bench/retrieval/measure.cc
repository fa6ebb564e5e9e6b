// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/measure.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "baselines/methods.h"
#include "bench/retrieval/quality.h"
#include "core/base/check.h"
#include "core/data/pq4_matrices.h"

namespace eta::bench {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

MethodOptions MakeMethodOptions(const Options& options, const DataSet& data, Split split) {
  MethodOptions method_options;
  method_options.seed = options.seed;
  method_options.hyperplanes = options.hyperplanes;
  if (data.hyperplanes) method_options.loaded = &*data.hyperplanes;
  if (data.codebooks) method_options.loaded_pq4 = &*data.codebooks;
  // Where threads share out users, each of them calls FAISS with one thread.
  method_options.threads = split == Split::kCandidates ? options.threads : 1;
  return method_options;
}

// Adds the CPU events and context switches during its life to the measurements.
class Recorder {
 public:
  Recorder(const CpuCounters* counters, Measurements& measurements)
      : counters_(counters), measurements_(measurements), switches_(ReadContextSwitches()) {
    if (!counters_) return;
    cycles_ = counters_->cycles();
    instructions_ = counters_->instructions();
  }

  ~Recorder() {
    if (counters_) {
      Add(instructions_, counters_->instructions(), measurements_.instructions);
      Add(cycles_, counters_->cycles(), measurements_.cycles);
    }
    const ContextSwitches now = ReadContextSwitches();
    measurements_.switches.voluntary += now.voluntary - switches_.voluntary;
    measurements_.switches.involuntary += now.involuntary - switches_.involuntary;
  }

  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

 private:
  // One failed reading makes the sum unknown.
  static void Add(std::optional<uint64_t> before, std::optional<uint64_t> after,
                  std::optional<uint64_t>& sum) {
    if (!before || !after) {
      sum.reset();
    } else if (sum) {
      *sum += *after - *before;
    }
  }

  const CpuCounters* counters_;
  Measurements& measurements_;
  ContextSwitches switches_;
  std::optional<uint64_t> cycles_;
  std::optional<uint64_t> instructions_;
};

// Limit of what all methods prepare for one turn, counted as if each kept embeddings, the largest
// that a method keeps.
constexpr size_t kTurnBytes = size_t{256} << 20;

// The requests of the turn that begins with the first one.
std::span<const UserRequest> NextTurn(std::span<const UserRequest> requests, size_t size,
                                      const Options& options, size_t bytes_per_behaviour) {
  const size_t fewest = std::max<size_t>(2, static_cast<size_t>(options.threads));
  size_t bytes = 0;
  size_t count = 0;
  for (const UserRequest& request : requests.first(std::min(size, requests.size()))) {
    bytes += request.history.size() * bytes_per_behaviour;
    if (count >= fewest && bytes > kTurnBytes) break;
    ++count;
  }
  return requests.first(count);
}

}  // namespace

Contender::Contender(std::unique_ptr<Retriever> retriever, const BatchOptions& options,
                     const CpuCounters* counters)
    : retriever_(std::move(retriever)), driver_(*retriever_, options), counters_(counters) {}

std::vector<std::unique_ptr<PreparedHistory>> Contender::Prepare(
    std::span<const UserRequest> requests) {
  std::vector<std::unique_ptr<PreparedHistory>> prepared;
  for (const UserRequest& request : requests) {
    const auto start = Clock::now();
    prepared.push_back(retriever_->Prepare(request.history));
    measurements_.build_seconds += SecondsSince(start);
    ++measurements_.builds;
    measurements_.user_bytes += prepared.back()->user_bytes();
    measurements_.behaviours += request.history.size();
  }
  return prepared;
}

void Contender::Answer(std::span<const Request> batch, size_t k, size_t repeat) {
  {
    const Recorder recorder(counters_, measurements_);
    const auto start = Clock::now();
    driver_.Run(batch, k, result_);
    measurements_.retrieve_seconds += SecondsSince(start);
  }
  measurements_.threads =
      std::min(measurements_.threads.value_or(result_.threads), result_.threads);
  measurements_.repeat_latencies.resize(
      std::max(measurements_.repeat_latencies.size(), repeat + 1));
  measurements_.candidates += result_.offsets.back();
  for (size_t r = 0; r < batch.size(); ++r) {
    const double seconds = result_.seconds[r];
    measurements_.codes += batch[r].candidates.size() * batch[r].history->length();
    measurements_.latencies.push_back(seconds);
    measurements_.repeat_latencies[repeat].push_back(seconds);
    measurements_.latencies_per_candidate.push_back(
        seconds / static_cast<double>(batch[r].candidates.size()));
  }
}

namespace {

// Why a default method does not suit the items; nothing where it does.
std::optional<std::string> WhyLeftOut(const std::string& method, const ItemTable& items) {
  if (method == "sim_hard" && items.categories.empty()) {
    return "the data set has no item categories";
  }
  constexpr std::string_view kPq4 = "pq4:";
  if (!method.starts_with(kPq4)) return std::nullopt;
  try {
    ValidatePq4Shape(items.dim(), std::stoul(method.substr(kPq4.size())));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return std::nullopt;
}

}  // namespace

std::vector<Contender> MakeContenders(const Options& options, const DataSet& data,
                                      size_t num_requests, const CpuCounters* counters,
                                      std::vector<std::string>& notes) {
  const Split split = ResolveSplit(options.split, num_requests, options.threads);
  const BatchOptions batch_options{options.threads, split, true};
  std::vector<Contender> contenders;
  for (const std::string& method : options.methods) {
    if (options.methods_are_default) {
      if (const auto reason = WhyLeftOut(method, data.bundle.items)) {
        notes.push_back(method + " left out: " + *reason);
        continue;
      }
    }
    const MethodOptions method_options = MakeMethodOptions(options, data, split);
    contenders.emplace_back(MakeMethod(method, data.bundle.items, method_options), batch_options,
                            counters);
    if (!counters) continue;
    contenders.back().measurements().cycles = 0;
    contenders.back().measurements().instructions = 0;
  }
  return contenders;
}

void Calibrate(std::vector<Contender>& contenders, std::span<const UserRequest> requests,
               size_t k) {
  std::vector<const UserRequest*> by_length;
  for (const UserRequest& request : requests) by_length.push_back(&request);
  const auto median = by_length.begin() + static_cast<std::ptrdiff_t>(by_length.size() / 2);
  std::ranges::nth_element(by_length, median, {},
                           [](const UserRequest* request) { return request->history.size(); });
  for (Contender& contender : contenders) {
    Retriever& retriever = contender.retriever();
    const auto prepared = retriever.Prepare((*median)->history);
    retriever.Calibrate(*prepared, (*median)->candidates, k);
  }
}

size_t TurnSize(const Options& options, size_t num_requests) {
  const Split split = ResolveSplit(options.split, num_requests, options.threads);
  if (options.threads == 1 || split == Split::kCandidates) return kTurn;
  return std::max(kFewestSharedTurn, kTurnPerThread * static_cast<size_t>(options.threads));
}

namespace {

// All repeats of one turn by all methods; `rotation` says which begins.
void MeasureTurn(std::vector<Contender>& contenders, std::span<const UserRequest> turn,
                 const Options& options, size_t& rotation) {
  std::vector<std::vector<std::unique_ptr<PreparedHistory>>> prepared;
  std::vector<std::vector<Request>> batches;
  for (Contender& contender : contenders) {
    prepared.push_back(contender.Prepare(turn));
    batches.emplace_back();
    for (size_t r = 0; r < turn.size(); ++r) {
      batches.back().push_back({prepared.back()[r].get(), turn[r].candidates});
    }
  }
  for (size_t begin = 0; begin < options.repeats; begin += kRepeatsPerTurn, ++rotation) {
    const size_t end = std::min(begin + kRepeatsPerTurn, options.repeats);
    for (size_t i = 0; i < contenders.size(); ++i) {
      const size_t c = (i + rotation) % contenders.size();
      contenders[c].WarmUp(batches[c], options.k);
      for (size_t r = begin; r < end; ++r) contenders[c].Answer(batches[c], options.k, r);
    }
  }
}

}  // namespace

void Measure(std::vector<Contender>& contenders, const DataSet& data,
             std::span<const UserRequest> requests, const Options& options, QualityMeter& quality,
             Progress& progress) {
  const size_t turn_size = TurnSize(options, requests.size());
  const size_t bytes = data.bundle.items.dim() * sizeof(float) * contenders.size();
  size_t rotation = 0;
  for (size_t begin = 0; begin < requests.size();) {
    const auto turn = NextTurn(requests.subspan(begin), turn_size, options, bytes);
    progress.Show(Cat("measuring ", 100 * begin / requests.size(), " % (", begin, " of ",
                      requests.size(), " requests)"));
    MeasureTurn(contenders, turn, options, rotation);
    for (size_t r = 0; r < turn.size(); ++r) quality.Add(turn[r], r, contenders);
    begin += turn.size();
  }
}

}  // namespace eta::bench
