// SPDX-License-Identifier: Apache-2.0
// The OpenMP driver: answers many requests with many threads, each running single-threaded kernels
// on its own piece. Results do not depend on the number of threads or on the split.
// A child made by fork() must not use it with more than one thread: docs/library.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/export.h"
#include "core/retrieval/retriever.h"

namespace eta {

// One user and the candidates to be scored. Both must outlive the call that reads them; `history`
// must come from the retriever that answers the request.
struct ETA_CORE_API Request {
  const PreparedHistory* history = nullptr;
  std::span<const int32_t> candidates;
};

// What a thread takes at a time.
enum class Split {
  kAuto,        // kUsers when there are at least as many requests as threads, else kCandidates
  kUsers,       // one request after another: best throughput
  kCandidates,  // a range of candidates of the one request that all threads work on: best latency
};

ETA_CORE_API const char* SplitName(Split split);  // "auto", "users", "candidates"
// The split of that name. Throws std::invalid_argument for another name.
ETA_CORE_API Split ParseSplit(std::string_view name);
// What kAuto stands for; any other split is returned as it is.
ETA_CORE_API Split ResolveSplit(Split split, size_t requests, int threads);

// How a batch is run.
struct ETA_CORE_API BatchOptions {
  int threads = 1;
  Split split = Split::kAuto;
  bool time_requests = false;  // fill BatchResult::seconds
};

// The candidates of all requests lie one after another: request r owns the rows offsets[r] to
// offsets[r + 1]. A row has k positions, of which counts[row] are valid and the rest are -1.
// Reuse the object: its vectors keep their capacity from call to call.
struct ETA_CORE_API BatchResult {
  size_t k = 0;
  std::vector<size_t> offsets;     // requests + 1
  std::vector<int32_t> positions;  // rows x k
  std::vector<int32_t> counts;     // rows
  std::vector<double> seconds;     // one per request when asked for, else empty
  // Threads that ran: the fewest of any parallel region of the batch, which OpenMP may have given
  // fewer than were asked for. Where the retriever itself is threaded, what was asked for.
  int threads = 0;

  // The valid positions of one candidate.
  std::span<const int32_t> retrieved(size_t request, size_t candidate) const {
    const size_t row = offsets[request] + candidate;
    return {positions.data() + row * k, static_cast<size_t>(counts[row])};
  }
};

// Answers batches with one retriever and keeps a Scratch per thread, so that nothing is allocated
// per request once the first batch is done. Not for use by several threads at a time.
class ETA_CORE_API BatchDriver {
 public:
  // `retriever` must outlive the driver. Throws std::invalid_argument unless threads lies in
  // [1, kMaxThreads].
  BatchDriver(const Retriever& retriever, const BatchOptions& options);

  // Fills `result`. Empty batches, empty histories and requests without candidates are legal.
  // Seconds are measured around each request and include waiting for its slowest thread.
  // Throws std::invalid_argument when k is 0 or a history is null. What Retrieve throws is thrown
  // on, for the first request that failed; `result` is then unspecified but reusable.
  void Run(std::span<const Request> requests, size_t k, BatchResult& result);

 private:
  struct Job;
  void RunUsers(const Job& job);
  void RunCandidates(const Job& job);
  void RunRequest(const Job& job, size_t request, Scratch& scratch) const;

  const Retriever& retriever_;
  BatchOptions options_;
  std::vector<std::unique_ptr<Scratch>> scratch_;  // one per thread
};

// Beyond any machine; a mistyped number shall not start millions of threads.
inline constexpr int kMaxThreads = 4096;

// Candidate ranges are cut at multiples of this, so that a kernel which takes several candidates
// per pass over a history keeps its full groups.
inline constexpr size_t kCandidateTile = 8;

// One batch by a BatchDriver of its own, which makes new scratch at every call. Throws as the
// driver does.
ETA_CORE_API void RetrieveBatch(const Retriever& retriever, std::span<const Request> requests,
                                size_t k, const BatchOptions& options, BatchResult& result);

}  // namespace eta
