// SPDX-License-Identifier: Apache-2.0
#include "core/serving/ranking_service.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/ctr/model.h"
#include "core/retrieval/refillable.h"
#include "core/serving/internal/metrics_text.h"
#include "core/serving/internal/pool.h"
#include "simd/hamming.h"

namespace eta {
namespace {

using std::chrono::steady_clock;

int64_t AgeNs(steady_clock::time_point published) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now() - published)
      .count();
}

// Waits a while until nobody else holds what was replaced, so that megabytes are freed here and no
// request waits for it. Requests end in less; who keeps a version for longer frees it himself.
void FreeHere(std::shared_ptr<const void> replaced) {
  for (int i = 0; i < 50 && replaced.use_count() > 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// What Retrieve needs beside the history.
struct RetrieveScratch {
  ScratchBuffer queries, kernel;
};

// A CTR model and what threads need for it; it goes with the last request that holds it.
struct ServedCtr {
  ServedCtr(std::shared_ptr<const CtrExport> exported, ItemTables tables)
      : data(std::move(exported)), model(*data, tables) {}

  struct Scratch {
    CtrUser user;
    CtrScratch scratch;
    std::vector<int32_t> items;  // has room for max_history
  };
  std::unique_ptr<Scratch> NewScratch() const {
    auto made = std::make_unique<Scratch>();
    made->user = model.NewUser();
    made->scratch = model.NewScratch();
    made->items.reserve(model.settings().max_history);
    return made;
  }

  uint64_t number = 0;
  steady_clock::time_point published{};
  std::shared_ptr<const CtrExport> data;
  CtrModel model;
  serving::Pool<Scratch> scratch;
};

// The newest `most` of the items that are among the first `known`.
void CopyNewest(std::span<const int32_t> items, size_t known, size_t most,
                std::vector<int32_t>& newest) {
  newest.clear();
  for (const int32_t item : items.last(std::min(most, items.size()))) {
    if (static_cast<size_t>(item) < known) newest.push_back(item);
  }
}

void RequireCandidates(std::span<const int32_t> candidates, size_t items) {
  for (size_t i = 0; i < candidates.size(); ++i) {
    Require(candidates[i] >= 0 && static_cast<size_t>(candidates[i]) < items, "candidates[", i,
            "] = ", candidates[i], " is not an item id; there are ", items, " items");
  }
}

}  // namespace

struct RankingService::Impl {
  Impl(HistoryKeeper& histories, ItemCodes& item_codes, RankingServiceOptions given)
      : keeper(histories),
        codes(item_codes),
        options(std::move(given)),
        cache(
            item_codes,
            [&histories](const UserId& user, size_t newest) {
              return histories.Read(user, newest);
            },
            options.cache) {
    Require(options.time_budget.count() >= 0,
            "ranking service: time_budget = ", options.time_budget.count(), " ns is negative");
    if (!options.clock) {
      options.clock = [] { return AgeNs({}); };  // since the epoch of the clock
    }
    if (!options.ctr_row) {
      options.ctr_row = [](const UserId& user) {
        const auto* row = std::get_if<int64_t>(&user);
        Require(row != nullptr && *row >= 0, "ranking service: the user is no row of a CTR model");
        return static_cast<size_t>(*row);
      };
    }
  }

  bool has_budget() const { return options.time_budget.count() > 0; }

  std::shared_ptr<ServedCtr> Ctr() const {
    const std::lock_guard lock(ctr_mutex);
    return ctr;
  }

  template <class Publish>
  auto Swap(const Publish& publish);

  HistoryKeeper& keeper;
  ItemCodes& codes;
  RankingServiceOptions options;
  HistoryCache cache;
  serving::Pool<RetrieveScratch> scratch;
  mutable std::mutex ctr_mutex;
  std::shared_ptr<ServedCtr> ctr;  // guarded by it
  uint64_t ctr_models = 0;         // likewise

  LatencyHistogram retrieve_ns, score_ns, append_ns, swap_ns;
  std::atomic<uint64_t> retrieve_failed = 0, score_failed = 0, append_failed = 0;
  std::atomic<uint64_t> retrieve_late = 0, score_late = 0;
  std::atomic<uint64_t> appended = 0, replayed = 0, forgotten = 0;
};

namespace {

// Times what it is made for, and counts it as failed unless Done was called.
class Timed {
 public:
  Timed(const std::function<int64_t()>& clock, LatencyHistogram& latency,
        std::atomic<uint64_t>& failed)
      : clock_(clock), latency_(latency), failed_(failed), begin_(clock()) {}
  ~Timed() {
    if (!is_done_) failed_.fetch_add(1, std::memory_order_relaxed);
  }
  int64_t begin() const { return begin_; }
  int64_t Done() {
    const int64_t took = clock_() - begin_;
    latency_.Record(took);
    is_done_ = true;
    return took;
  }

 private:
  const std::function<int64_t()>& clock_;
  LatencyHistogram& latency_;
  std::atomic<uint64_t>& failed_;
  int64_t begin_;
  bool is_done_ = false;
};

// Calls `answer` with the first candidate and the number of each piece, until all are answered or
// the budget is exceeded. Returns how many were answered.
template <class Answer>
size_t AnswerPieces(size_t candidates, size_t at_once, const RankingServiceOptions& options,
                    int64_t begin, const Answer& answer) {
  const int64_t budget = options.time_budget.count();
  size_t done = 0;
  while (done < candidates && (budget == 0 || options.clock() - begin <= budget)) {
    const size_t count = std::min(at_once, candidates - done);
    answer(done, count);
    done += count;
  }
  return done;
}

void SayWhatWasSeen(const HistoryCache::Reading& reading, RequestReport& report) {
  report.newest_time = reading.newest_time();
  report.length = reading.items().size();
  report.hit = reading.hit();
}

}  // namespace

RankingService::RankingService(HistoryKeeper& histories, ItemCodes& codes,
                               RankingServiceOptions options)
    : impl_(std::make_unique<Impl>(histories, codes, std::move(options))) {}

RankingService::~RankingService() = default;

RequestReport RankingService::Retrieve(const UserId& user, std::span<const int32_t> candidates,
                                       size_t k, RetrievedView out, std::span<int32_t> items) {
  Impl& impl = *impl_;
  Timed timed(impl.options.clock, impl.retrieve_ns, impl.retrieve_failed);
  Require(k >= 1, "k must be at least 1");
  const size_t entries = simd::SaturatingProduct(candidates.size(), k);
  Require(out.positions.size() == entries, "positions has ", out.positions.size(), " entries for ",
          candidates.size(), " candidates and k = ", k);
  Require(out.counts.size() == candidates.size(), "counts has ", out.counts.size(), " entries for ",
          candidates.size(), " candidates");
  Require(items.empty() || items.size() == entries, "items has ", items.size(), " entries for ",
          candidates.size(), " candidates and k = ", k);
  RequestReport report;
  const HistoryCache::Reading reading = impl.cache.Read(user);
  const ItemCodesVersion& version = reading.version();
  RequireCandidates(candidates, version.table.size());
  const simd::CodeBlocksView& blocks = reading.blocks();
  auto scratch = impl.scratch.Borrow([] { return std::make_unique<RetrieveScratch>(); });
  // The largest pieces first, so that nothing is written where there is no memory.
  const size_t at_once = impl.has_budget() ? kRetrievedAtOnce : candidates.size();
  const size_t bytes = simd::HammingTopKScratchBytes(blocks.n, blocks.code_bytes, k);
  scratch->queries.Get<uint8_t>(std::min(at_once, candidates.size()) * blocks.code_bytes);
  scratch->kernel.Get<uint8_t>(bytes);
  std::ranges::fill(out.positions, -1);
  std::ranges::fill(out.counts, 0);
  std::ranges::fill(items, -1);
  report.answered = AnswerPieces(
      candidates.size(), at_once, impl.options, timed.begin(), [&](size_t first, size_t count) {
        if (blocks.n == 0) return;
        const auto queries = GatherQueries(version.candidates().rows(),
                                           candidates.subspan(first, count), scratch->queries);
        const size_t found = simd::HammingTopK(blocks, queries, {.k = k},
                                               {scratch->kernel.Get<uint8_t>(bytes), bytes},
                                               {out.positions.data() + first * k});
        std::ranges::fill(out.counts.subspan(first, count), static_cast<int32_t>(found));
      });
  for (size_t i = 0; i < items.size(); ++i) {
    if (out.positions[i] >= 0) items[i] = reading.items()[static_cast<size_t>(out.positions[i])];
  }
  SayWhatWasSeen(reading, report);
  report.version = version.number;
  report.model = version.model;
  report.version_age_ns = AgeNs(version.published);
  report.is_late = report.answered < candidates.size();
  if (report.is_late) ++impl.retrieve_late;
  report.took_ns = timed.Done();
  return report;
}

RequestReport RankingService::Score(const UserId& user, std::span<const int32_t> candidates,
                                    std::span<float> logits) {
  Impl& impl = *impl_;
  Timed timed(impl.options.clock, impl.score_ns, impl.score_failed);
  const std::shared_ptr<ServedCtr> ctr = impl.Ctr();
  Require(ctr != nullptr, "ranking service: no CTR model is served");
  Require(candidates.size() == logits.size(), "ranking service: ", candidates.size(),
          " candidates and room for ", logits.size(), " logits");
  RequireCandidates(candidates, ctr->data->items());
  const size_t row = impl.options.ctr_row(user);
  Require(row < ctr->data->users(), "ranking service: row ", row, " of ", ctr->data->users(),
          " users of the CTR model");
  RequestReport report;
  auto scratch = ctr->scratch.Borrow([&] { return ctr->NewScratch(); });
  {
    const HistoryCache::Reading reading = impl.cache.Read(user);
    SayWhatWasSeen(reading, report);
    CopyNewest(reading.items(), ctr->data->items(), ctr->model.settings().max_history,
               scratch->items);
  }
  report.length = scratch->items.size();
  ctr->model.Prepare(row, scratch->items, scratch->scratch, scratch->user);
  std::ranges::fill(logits, std::numeric_limits<float>::quiet_NaN());
  report.answered = AnswerPieces(candidates.size(), kScoredAtOnce, impl.options, timed.begin(),
                                 [&](size_t first, size_t count) {
                                   ctr->model.Score(scratch->user, candidates.subspan(first, count),
                                                    scratch->scratch, logits.subspan(first, count));
                                 });
  report.version = report.model = ctr->number;
  report.version_age_ns = AgeNs(ctr->published);
  report.is_late = report.answered < candidates.size();
  if (report.is_late) ++impl.score_late;
  report.took_ns = timed.Done();
  return report;
}

bool RankingService::Append(const EventBatch& batch, Durability durability) {
  Impl& impl = *impl_;
  Timed timed(impl.options.clock, impl.append_ns, impl.append_failed);
  const bool added =
      impl.cache.Append(batch.events, [&] { return impl.keeper.Append(batch, durability); });
  (added ? impl.appended : impl.replayed) += batch.events.size();
  timed.Done();
  return added;
}

void RankingService::Forget(const UserId& user) {
  impl_->cache.Forget(user, [&] { impl_->keeper.Forget(user); });
  ++impl_->forgotten;
}

// Publishes what `publish` makes, and times it.
template <class Publish>
auto RankingService::Impl::Swap(const Publish& publish) {
  std::shared_ptr<const ItemCodesVersion> replaced = codes.Current();
  const int64_t begin = options.clock();
  auto version = publish();
  swap_ns.Record(options.clock() - begin);
  FreeHere(std::move(replaced));
  return version;
}

std::shared_ptr<const ItemCodesVersion> RankingService::Rebuild(const ItemTable& items,
                                                                Hyperplanes hyperplanes,
                                                                int threads,
                                                                ThreadPriority priority) {
  return impl_->Swap(
      [&] { return impl_->codes.Rebuild(items, std::move(hyperplanes), threads, priority); });
}

std::shared_ptr<const ItemCodesVersion> RankingService::Refresh(uint64_t model,
                                                                std::span<const int32_t> changed,
                                                                const ItemTable& rows,
                                                                int threads) {
  return impl_->Swap([&] { return impl_->codes.Refresh(model, changed, rows, threads); });
}

uint64_t RankingService::ServeCtr(std::shared_ptr<const CtrExport> model, ItemTables tables) {
  Require(model != nullptr, "ranking service: there is no CTR model");
  const int64_t begin = impl_->options.clock();
  auto next = std::make_shared<ServedCtr>(std::move(model), tables);
  uint64_t number = 0;
  {
    const std::lock_guard lock(impl_->ctr_mutex);
    number = next->number = ++impl_->ctr_models;
    next->published = steady_clock::now();
    impl_->ctr.swap(next);
  }
  impl_->swap_ns.Record(impl_->options.clock() - begin);
  FreeHere(std::move(next));
  return number;
}

std::string RankingService::PrometheusText() const {
  const Impl& impl = *impl_;
  const HistoryCacheStats cache = impl.cache.Stats();
  const auto version = impl.codes.Current();
  const auto ctr = impl.Ctr();
  serving::MetricsText text;
  text.Histogram("eta_request_seconds", "Time of requests that were answered.",
                 {{"kind=\"retrieve\"", &impl.retrieve_ns}, {"kind=\"score\"", &impl.score_ns}});
  text.Counter(
      "eta_failed_requests_total", "Requests that ended in an error.",
      {{"kind=\"retrieve\"", impl.retrieve_failed}, {"kind=\"score\"", impl.score_failed}});
  text.Counter("eta_late_requests_total", "Requests that their time budget cut short.",
               {{"kind=\"retrieve\"", impl.retrieve_late}, {"kind=\"score\"", impl.score_late}});
  text.Histogram("eta_append_seconds", "Time of batches of appends.", {{"", &impl.append_ns}});
  text.Counter("eta_failed_appends_total", "Batches that ended in an error.",
               {{"", impl.append_failed}});
  text.Counter("eta_appended_behaviours_total", "Behaviours that were appended.",
               {{"", impl.appended}});
  text.Counter("eta_replayed_behaviours_total", "Behaviours that were in already.",
               {{"", impl.replayed}});
  text.Counter("eta_forgotten_users_total", "Calls of Forget.", {{"", impl.forgotten}});
  text.Histogram("eta_swap_seconds", "Time to publish codes or a CTR model.",
                 {{"", &impl.swap_ns}});
  text.Counter("eta_cache_hits_total", "Reads that needed no load.", {{"", cache.hits}});
  text.Counter("eta_cache_misses_total", "Reads that loaded.", {{"", cache.misses}});
  text.Counter("eta_cache_evictions_total", "Histories that made way.", {{"", cache.evictions}});
  text.Counter("eta_cache_gathers_total", "Histories gathered anew from their ids.",
               {{"", cache.gathers}});
  text.Counter("eta_cache_extensions_total", "Behaviours added in place.",
               {{"", cache.extensions}});
  text.Counter("eta_cache_drops_total", "Histories dropped by an append.", {{"", cache.drops}});
  text.Counter("eta_cache_unkept_total", "Loads during which an append was written.",
               {{"", cache.unkept}});
  text.Gauge("eta_cache_bytes", "Bytes of cached histories.", cache.bytes);
  text.Gauge("eta_cache_budget_bytes", "Bytes that may be cached.", impl.cache.budget_bytes());
  text.Gauge("eta_cache_users", "Users in the cache.", cache.users);
  text.Gauge("eta_item_codes_version", "Number of the current version.", version->number);
  text.Gauge("eta_item_codes_model", "Number of its model.", version->model);
  text.Gauge("eta_ctr_model", "Number of the CTR model; 0: none.", ctr ? ctr->number : 0);
  return std::move(text).text();
}

HistoryCacheStats RankingService::CacheStats() const { return impl_->cache.Stats(); }
const LatencyHistogram& RankingService::retrieve_latency() const { return impl_->retrieve_ns; }
const LatencyHistogram& RankingService::score_latency() const { return impl_->score_ns; }
const LatencyHistogram& RankingService::append_latency() const { return impl_->append_ns; }

}  // namespace eta
