// SPDX-License-Identifier: Apache-2.0
// What serving_bench measures: a RankingService over a store, and its models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bench/serving/data.h"
#include "bench/serving/options.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/item_codes.h"
#include "core/serving/ranking_service.h"
#include "core/store/history_store.h"

namespace eta::bench {

// One answer; a thread reuses it.
struct Answer {
  std::vector<int32_t> positions;  // candidates x k
  std::vector<int32_t> counts;
  std::vector<float> logits;       // of Score, candidates
  uint64_t version = 0;            // of the codes; of Score, of the CTR model
  double version_age_seconds = 0;  // since it was published
  size_t length = 0;               // behaviours that were searched
  int64_t newest = 0;              // time of the newest of them
};

// Since the start.
struct CacheCounts {
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t drops = 0;    // histories that an append could not extend
  uint64_t unkept = 0;   // loads during which an append was written
  uint64_t gathers = 0;  // hits whose codes were gathered anew
  size_t users = 0;      // now in memory
  size_t bytes = 0;      // that they take
};

inline constexpr size_t kKeepsNothing = 1;  // bytes of a cache that no history fits

// Model n, and so version n, has Gaussian hyperplanes of the n-th seed; embeddings stay, because
// codes of other hyperplanes differ as much as any. CTR models are one and the same, made ready
// again. All functions may be called by many threads.
class Server {
 public:
  // `data` and `store` must outlive this. `cache_bytes` of prepared histories. `ctr` may be null.
  Server(const ServingData& data, const ServingOptions& options, HistoryStore& store,
         size_t cache_bytes, std::shared_ptr<const CtrExport> ctr);

  void Retrieve(size_t user, std::span<const int32_t> candidates, Answer& answer);
  // Only with a CTR model.
  void Score(size_t user, std::span<const int32_t> candidates, Answer& answer);
  void Append(const EventBatch& batch, Durability durability);
  // Hashes all items with the next hyperplanes and serves them from then on; returns their version.
  // One call at a time.
  uint64_t Swap(ThreadPriority priority);
  // The same of the CTR model, which is made ready again.
  uint64_t SwapCtr() { return service_.ServeCtr(ctr_, kTables); }

  Hyperplanes Planes(uint64_t version) const;
  CacheCounts Counts() const;
  const std::shared_ptr<const CtrExport>& ctr() const { return ctr_; }  // null: none

  static constexpr ItemTables kTables = ItemTables::kAll;

 private:
  const ServingData& data_;
  const ServingOptions& options_;
  ItemCodes codes_;
  RankingService service_;
  std::shared_ptr<const CtrExport> ctr_;
};

}  // namespace eta::bench
