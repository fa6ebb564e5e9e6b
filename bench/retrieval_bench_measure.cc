// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval_bench_measure.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "baselines/methods.h"
#include "bench/retrieval_bench_quality.h"
#include "core/check.h"

namespace eta::bench {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

MethodOptions MakeMethodOptions(const Options& options, const DataSet& data, Split split) {
  MethodOptions method_options;
  method_options.seed = options.seed;
  method_options.hyperplanes = options.hyperplanes.value_or(HyperplaneKind::kGaussian);
  if (data.hyperplanes) method_options.loaded = &*data.hyperplanes;
  // Where threads share out users each of them calls FAISS with one thread.
  method_options.threads = split == Split::kCandidates ? options.threads : 1;
  return method_options;
}

}  // namespace

Contender::Contender(std::unique_ptr<Retriever> retriever, const BatchOptions& options)
    : retriever_(std::move(retriever)), driver_(*retriever_, options) {}

std::vector<std::unique_ptr<PreparedHistory>> Contender::Prepare(
    std::span<const UserRequest> requests) {
  std::vector<std::unique_ptr<PreparedHistory>> prepared;
  for (const UserRequest& request : requests) {
    const auto start = Clock::now();
    prepared.push_back(retriever_->Prepare(request.history));
    measurements_.build_seconds += SecondsSince(start);
    ++measurements_.builds;
    measurements_.prepared_bytes += prepared.back()->bytes();
    measurements_.behaviours += request.history.size();
  }
  return prepared;
}

void Contender::Answer(std::span<const Request> batch, size_t k, std::optional<size_t> repeat) {
  const auto start = Clock::now();
  driver_.Run(batch, k, result_);
  if (!repeat) return;
  measurements_.repeat_latencies.resize(
      std::max(measurements_.repeat_latencies.size(), *repeat + 1));
  measurements_.retrieve_seconds += SecondsSince(start);
  measurements_.candidates += result_.offsets.back();
  for (size_t r = 0; r < batch.size(); ++r) {
    const double seconds = result_.seconds[r];
    measurements_.latencies.push_back(seconds);
    measurements_.repeat_latencies[*repeat].push_back(seconds);
    measurements_.latencies_per_candidate.push_back(
        seconds / static_cast<double>(batch[r].candidates.size()));
  }
}

void Contender::Run(std::span<const UserRequest> requests, size_t k, size_t repeats) {
  const auto prepared = Prepare(requests);
  std::vector<Request> batch;
  for (size_t r = 0; r < requests.size(); ++r) {
    batch.push_back({prepared[r].get(), requests[r].candidates});
  }
  Answer(batch, k, std::nullopt);
  for (size_t i = 0; i < repeats; ++i) Answer(batch, k, i);
}

std::vector<Contender> MakeContenders(const Options& options, const DataSet& data,
                                      size_t num_requests, std::vector<std::string>& notes) {
  const Split split = ResolveSplit(options.split, num_requests, options.threads);
  const BatchOptions batch_options{options.threads, split, true};
  std::vector<Contender> contenders;
  for (const std::string& method : options.methods) {
    if (method == "sim_hard" && options.methods_are_default &&
        data.bundle.items.categories.empty()) {
      notes.push_back("sim_hard left out: the data set has no item categories");
      continue;
    }
    const MethodOptions method_options = MakeMethodOptions(options, data, split);
    contenders.emplace_back(MakeMethod(method, data.bundle.items, method_options), batch_options);
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

// With one request per thread the threads would mostly wait for the longest history; too many would
// need the memory of all their histories.
size_t BatchSize(const Options& options, size_t num_requests) {
  const Split split = ResolveSplit(options.split, num_requests, options.threads);
  if (options.threads == 1 || split == Split::kCandidates) return 1;
  return std::max<size_t>(64, 8 * static_cast<size_t>(options.threads));
}

void Measure(std::vector<Contender>& contenders, const DataSet& data,
             std::span<const UserRequest> requests, const Options& options, Progress& progress) {
  const size_t batch_size = BatchSize(options, requests.size());
  QualityMeter quality(data.bundle.items, options.k);
  size_t rotation = 0;
  for (size_t begin = 0; begin < requests.size(); begin += batch_size, ++rotation) {
    const auto batch = requests.subspan(begin, std::min(batch_size, requests.size() - begin));
    progress.Show(Cat("measuring ", 100 * begin / requests.size(), " % (", begin, " of ",
                      requests.size(), " requests)"));
    for (size_t i = 0; i < contenders.size(); ++i) {
      contenders[(i + rotation) % contenders.size()].Run(batch, options.k, options.repeats);
    }
    for (size_t r = 0; r < batch.size(); ++r) quality.Add(batch[r], r, contenders);
  }
}

}  // namespace eta::bench
