// SPDX-License-Identifier: Apache-2.0
// What a ranking service links: requests of many threads over histories that grow and models that
// change. docs/store.md says what is guaranteed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/base/export.h"
#include "core/base/thread_priority.h"
#include "core/ctr/export.h"
#include "core/ctr/layers.h"
#include "core/data/events.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/item_codes.h"
#include "core/retrieval/retriever.h"
#include "core/serving/history_cache.h"
#include "core/serving/latency_histogram.h"

namespace eta {

// How a service answers.
struct ETA_CORE_API RankingServiceOptions {
  HistoryCacheOptions cache = {};
  // How long a request may take; 0: as long as it does. See RequestReport::answered.
  std::chrono::nanoseconds time_budget{0};
  // Nanoseconds that never decrease, for budgets and latencies; empty: std::chrono::steady_clock.
  // Several threads call it, and it must not throw.
  std::function<int64_t()> clock = {};
  // The row of a user in a CTR export's user embeddings; empty: the number itself, and an error for
  // a text. Several threads call it; what it throws, Score throws.
  std::function<size_t(const UserId&)> ctr_row = {};
};

// What a request was answered with.
struct ETA_CORE_API RequestReport {
  uint64_t version = 0;        // Retrieve: ItemCodesVersion::number; Score: as `model`
  uint64_t model = 0;          // Retrieve: ItemCodesVersion::model; Score: that of ServeCtr
  int64_t version_age_ns = 0;  // since the version was published, at the end of the request
  int64_t newest_time = 0;     // of the behaviours that it saw, seconds since 1970; 0: it saw none
  size_t length = 0;           // behaviours that it saw
  bool hit = false;            // nothing was loaded
  // Candidates that were answered, the first ones: all of them unless the time budget was exceeded,
  // which is looked at once the history is there and then every RankingService::kRetrievedAtOnce or
  // kScoredAtOnce candidates.
  size_t answered = 0;
  bool is_late = false;  // the budget was exceeded before all candidates were answered
  int64_t took_ns = 0;
};

// Requests, appends and new models, by any number of threads at once. A request sees one version of
// codes, or one CTR model, and one state of the history from start to end.
class ETA_CORE_API RankingService {
 public:
  // Candidates between two looks at the clock.
  static constexpr size_t kRetrievedAtOnce = 64;
  static constexpr size_t kScoredAtOnce = kCtrChunk;

  // Both must outlive this. Codes may be published past the service; histories may be changed past
  // it only as HistoryCache says. Throws std::invalid_argument where an option is out of range.
  RankingService(HistoryKeeper& histories, ItemCodes& codes, RankingServiceOptions options = {});
  ~RankingService();
  RankingService(const RankingService&) = delete;
  RankingService& operator=(const RankingService&) = delete;

  // The positions that the retriever "eta" finds, over the codes of one version: for each candidate
  // the k behaviours of smallest Hamming distance in any order, ties to the newest. Positions count
  // from 0, the oldest, in the history that this request saw; `items` is empty or gets the item at
  // each position, -1 beyond a count. Candidates that the time budget left unanswered have count 0.
  // Allocates nothing once the thread's scratch has grown and the history is cached.
  // Throws std::invalid_argument as Retriever::Retrieve does, and what reading the history throws;
  // `out` and `items` are then untouched.
  RequestReport Retrieve(const UserId& user, std::span<const int32_t> candidates, size_t k,
                         RetrievedView out, std::span<int32_t> items = {});

  // The logits of the CTR model over the newest max_history behaviours; those that the model does
  // not have as items are left out. Logits that the time budget left unanswered are NaN.
  // Throws std::invalid_argument where no model is served, the user has no row in it, a candidate
  // is out of range or the sizes differ, and what reading the history throws; `logits` are then
  // untouched.
  RequestReport Score(const UserId& user, std::span<const int32_t> candidates,
                      std::span<float> logits);

  // Appends to the histories, and extends those that are cached: requests that begin afterwards see
  // the events. Returns and throws what HistoryKeeper::Append does. Items need not be of the
  // current model; requests see them once a model has them.
  bool Append(const EventBatch& batch, Durability durability);

  // Removes the user's history; requests that begin afterwards see none. Throws what
  // HistoryKeeper::Forget does.
  void Forget(const UserId& user);

  // ItemCodes::Rebuild, timed. Requests go on meanwhile. Returns when no request holds the replaced
  // version, but waits for that no longer than 50 ms; so it is freed here, and no request takes the
  // time. Refresh and ServeCtr do the same. By default one thread hashes when nobody else wants its
  // CPU, so that requests do not wait for it; where all CPUs are busy, a model may take a second
  // longer.
  std::shared_ptr<const ItemCodesVersion> Rebuild(const ItemTable& items, Hyperplanes hyperplanes,
                                                  int threads = 1,
                                                  ThreadPriority priority = ThreadPriority::kIdle);
  // ItemCodes::Refresh, timed. Requests go on meanwhile.
  std::shared_ptr<const ItemCodesVersion> Refresh(uint64_t model, std::span<const int32_t> changed,
                                                  const ItemTable& rows, int threads = 1);

  // Makes a CTR model ready and swaps it in for Score; requests keep the one that they began with.
  // It has codes of its own, and is not swapped together with ItemCodes. Returns its number, 1, 2,
  // ... Throws std::invalid_argument where `model` is null.
  uint64_t ServeCtr(std::shared_ptr<const CtrExport> model, ItemTables tables = ItemTables::kAll);

  // Everything that is counted and timed, as Prometheus's text format, version 0.0.4.
  std::string PrometheusText() const;

  // What the cache counts.
  HistoryCacheStats CacheStats() const;
  // How long calls of Retrieve took, those that failed left out.
  const LatencyHistogram& retrieve_latency() const;
  // The same of Score.
  const LatencyHistogram& score_latency() const;
  // The same of Append.
  const LatencyHistogram& append_latency() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eta
