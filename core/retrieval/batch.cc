// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/batch.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <limits>
#include <mutex>

#include "core/base/check.h"

namespace eta {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Keeps the exception of the smallest index, because nothing may leave an OpenMP region. Indices
// are handed out in ascending order, so all that come before a failed one do run, and the
// exception that is kept does not depend on timing.
class FirstError {
 public:
  bool ShouldRun(size_t index) const { return index <= index_.load(std::memory_order_relaxed); }

  // Call it in a catch block.
  void Capture(size_t index) noexcept {
    const std::lock_guard lock(mutex_);
    if (index >= index_.load(std::memory_order_relaxed)) return;
    index_.store(index, std::memory_order_relaxed);
    error_ = std::current_exception();
  }

  void Rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::atomic<size_t> index_{std::numeric_limits<size_t>::max()};
  std::mutex mutex_;
  std::exception_ptr error_;
};

// Lays out the rows of all requests. Vectors keep their capacity.
void PrepareResult(std::span<const Request> requests, size_t k, bool time_requests,
                   BatchResult& result) {
  Require(k >= 1, "k must be at least 1");
  result.k = k;
  result.offsets.resize(requests.size() + 1);
  result.offsets[0] = 0;
  for (size_t r = 0; r < requests.size(); ++r) {
    Require(requests[r].history != nullptr, "the history of request ", r, " is null");
    result.offsets[r + 1] = result.offsets[r] + requests[r].candidates.size();
  }
  const size_t rows = result.offsets.back();
  Require(rows <= std::numeric_limits<size_t>::max() / sizeof(int32_t) / k, "k = ", k,
          " is too large for ", rows, " candidates");
  result.positions.resize(rows * k);
  result.counts.resize(rows);
  result.seconds.resize(time_requests ? requests.size() : 0);
}

// Part `part` of `parts` of `size` candidates, cut at multiples of kCandidateTile.
struct Range {
  size_t begin;
  size_t end;
};
Range CandidateRange(size_t size, size_t part, size_t parts) {
  const size_t tiles = (size + kCandidateTile - 1) / kCandidateTile;
  return {std::min(size, tiles * part / parts * kCandidateTile),
          std::min(size, tiles * (part + 1) / parts * kCandidateTile)};
}

}  // namespace

struct BatchDriver::Job {
  std::span<const Request> requests;
  size_t k;
  BatchResult& result;

  // Where candidates [begin, end) of a request are written.
  RetrievedView View(size_t request, size_t begin, size_t end) const {
    const size_t row = result.offsets[request] + begin;
    return {std::span(result.positions).subspan(row * k, (end - begin) * k),
            std::span(result.counts).subspan(row, end - begin)};
  }
};

const char* SplitName(Split split) {
  switch (split) {
    case Split::kAuto:
      return "auto";
    case Split::kUsers:
      return "users";
    case Split::kCandidates:
      return "candidates";
  }
  return "unknown";
}

Split ParseSplit(std::string_view name) {
  for (const Split split : {Split::kAuto, Split::kUsers, Split::kCandidates}) {
    if (name == SplitName(split)) return split;
  }
  throw std::invalid_argument(Cat("split \"", name, "\" is none of auto, users, candidates"));
}

Split ResolveSplit(Split split, size_t requests, int threads) {
  if (split != Split::kAuto) return split;
  const bool is_enough = threads <= 1 || requests >= static_cast<size_t>(threads);
  return is_enough ? Split::kUsers : Split::kCandidates;
}

BatchDriver::BatchDriver(const Retriever& retriever, const BatchOptions& options)
    : retriever_(retriever), options_(options) {
  Require(options.threads >= 1 && options.threads <= kMaxThreads, "threads = ", options.threads,
          " must lie in [1, ", kMaxThreads, "]");
  scratch_.resize(static_cast<size_t>(options.threads));
  for (auto& scratch : scratch_) scratch = retriever.NewScratch();
}

void BatchDriver::Run(std::span<const Request> requests, size_t k, BatchResult& result) {
  PrepareResult(requests, k, options_.time_requests, result);
  const Job job{requests, k, result};
  const Split split = ResolveSplit(options_.split, requests.size(), options_.threads);
  const bool is_serial =
      options_.threads == 1 || (split == Split::kCandidates && retriever_.threads_itself());
  result.threads = options_.threads;
  if (is_serial) {
    for (size_t r = 0; r < requests.size(); ++r) RunRequest(job, r, *scratch_[0]);
  } else if (split == Split::kUsers) {
    RunUsers(job);
  } else {
    RunCandidates(job);
  }
}

void BatchDriver::RunRequest(const Job& job, size_t request, Scratch& scratch) const {
  const auto start = Clock::now();
  const Request& r = job.requests[request];
  retriever_.Retrieve(*r.history, r.candidates, job.k, scratch,
                      job.View(request, 0, r.candidates.size()));
  if (options_.time_requests) job.result.seconds[request] = SecondsSince(start);
}

// Histories differ in length by orders of magnitude, hence the dynamic schedule, one at a time.
void BatchDriver::RunUsers(const Job& job) {
  FirstError error;
  const size_t num_requests = job.requests.size();
#pragma omp parallel num_threads(options_.threads)
  {
    const int thread = omp_get_thread_num();
    if (thread == 0) job.result.threads = omp_get_num_threads();
#pragma omp for schedule(dynamic, 1) nowait
    for (size_t r = 0; r < num_requests; ++r) {
      if (!error.ShouldRun(r)) continue;
      try {
        RunRequest(job, r, *scratch_[static_cast<size_t>(thread)]);
      } catch (...) {
        error.Capture(r);
      }
    }
  }
  error.Rethrow();
}

void BatchDriver::RunCandidates(const Job& job) {
  const auto parts = static_cast<size_t>(options_.threads);
  for (size_t r = 0; r < job.requests.size(); ++r) {
    const auto start = Clock::now();
    const Request& request = job.requests[r];
    FirstError error;
    // A loop over parts, not code per thread: all parts run even if OpenMP gives fewer threads.
#pragma omp parallel num_threads(options_.threads)
    {
      const int thread = omp_get_thread_num();
      if (thread == 0) job.result.threads = std::min(job.result.threads, omp_get_num_threads());
#pragma omp for schedule(static, 1) nowait
      for (size_t part = 0; part < parts; ++part) {
        const auto [begin, end] = CandidateRange(request.candidates.size(), part, parts);
        if (begin == end) continue;
        try {
          retriever_.Retrieve(*request.history, request.candidates.subspan(begin, end - begin),
                              job.k, *scratch_[static_cast<size_t>(thread)],
                              job.View(r, begin, end));
        } catch (...) {
          error.Capture(part);
        }
      }
    }
    error.Rethrow();
    if (options_.time_requests) job.result.seconds[r] = SecondsSince(start);
  }
}

void RetrieveBatch(const Retriever& retriever, std::span<const Request> requests, size_t k,
                   const BatchOptions& options, BatchResult& result) {
  BatchDriver(retriever, options).Run(requests, k, result);
}

}  // namespace eta
