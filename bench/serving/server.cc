// SPDX-License-Identifier: Apache-2.0
#include "bench/serving/server.h"

#include <utility>

namespace eta::bench {
namespace {

Hyperplanes MakePlanes(const ServingData& data, const ServingOptions& options, uint64_t version) {
  return Hyperplanes::Make(HyperplaneKind::kGaussian, data.items().dim(), options.bits,
                           options.seed + version - 1);
}

RankingServiceOptions ServiceOptions(const ServingOptions& options, size_t cache_bytes) {
  RankingServiceOptions made;
  made.cache.budget_bytes = cache_bytes;
  made.cache.max_behaviours = options.max_history;
  return made;
}

void SayWhatWasSeen(const RequestReport& report, Answer& answer) {
  answer.version = report.version;
  answer.version_age_seconds = static_cast<double>(report.version_age_ns) * 1e-9;
  answer.length = report.length;
  answer.newest = report.newest_time;
}

}  // namespace

Server::Server(const ServingData& data, const ServingOptions& options, HistoryStore& store,
               size_t cache_bytes, std::shared_ptr<const CtrExport> ctr)
    : data_(data),
      options_(options),
      codes_(data.items(), MakePlanes(data, options, 1), options.swap_threads),
      service_(store, codes_, ServiceOptions(options, cache_bytes)),
      ctr_(std::move(ctr)) {
  if (ctr_) SwapCtr();
}

void Server::Retrieve(size_t user, std::span<const int32_t> candidates, Answer& answer) {
  answer.positions.resize(candidates.size() * options_.k);
  answer.counts.resize(candidates.size());
  SayWhatWasSeen(service_.Retrieve(static_cast<int64_t>(user), candidates, options_.k,
                                   {answer.positions, answer.counts}),
                 answer);
}

void Server::Score(size_t user, std::span<const int32_t> candidates, Answer& answer) {
  answer.logits.resize(candidates.size());
  SayWhatWasSeen(service_.Score(static_cast<int64_t>(user), candidates, answer.logits), answer);
}

void Server::Append(const EventBatch& batch, Durability durability) {
  service_.Append(batch, durability);
}

uint64_t Server::Swap(ThreadPriority priority) {
  const uint64_t next = codes_.Current()->number + 1;
  return service_
      .Rebuild(data_.items(), MakePlanes(data_, options_, next), options_.swap_threads, priority)
      ->number;
}

Hyperplanes Server::Planes(uint64_t version) const { return MakePlanes(data_, options_, version); }

CacheCounts Server::Counts() const {
  const HistoryCacheStats stats = service_.CacheStats();
  return {.hits = stats.hits,
          .misses = stats.misses,
          .drops = stats.drops,
          .unkept = stats.unkept,
          .gathers = stats.gathers,
          .users = static_cast<size_t>(stats.users),
          .bytes = static_cast<size_t>(stats.bytes)};
}

}  // namespace eta::bench
