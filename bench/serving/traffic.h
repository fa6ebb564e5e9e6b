// SPDX-License-Identifier: Apache-2.0
// Who asks for what, and what users do meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bench/serving/data.h"
#include "bench/serving/options.h"
#include "bench/serving/popularity.h"
#include "core/base/random.h"
#include "core/store/history_store.h"

namespace eta::bench {

// Requests and appends that depend on the seed alone.
class Traffic {
 public:
  // `data` must outlive this.
  Traffic(const ServingData& data, const ServingOptions& options);

  // Users of so many requests in a row; `phase` makes the draw another one.
  std::vector<uint32_t> DrawUsers(size_t requests, uint64_t phase) const;
  // Candidates of a request.
  std::span<const int32_t> Candidates(size_t request) const {
    return candidates_[request % candidates_.size()];
  }
  const Popularity& popularity() const { return popularity_; }

  // What users do at the time `now`: a batch of behaviours.
  EventBatch NextBatch(int64_t now, Random& random) const;

  // When the run began.
  std::chrono::steady_clock::time_point start() const { return start_; }
  // Behaviours of this run have times later than all in the data, so many microseconds after its
  // start: the store has no finer ones.
  static constexpr int64_t kRunStart = 1'000'000'000'000'000'000;

  // The latest time of a user's behaviours whose append has returned; 0: none in this run.
  int64_t acknowledged(size_t user) const { return acknowledged_[user].load(); }
  void Acknowledge(const EventBatch& batch);

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  size_t batch_;
  Popularity popularity_;
  std::vector<std::vector<int32_t>> candidates_;
  std::unique_ptr<std::atomic<int64_t>[]> acknowledged_;
};

}  // namespace eta::bench
