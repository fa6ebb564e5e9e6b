// SPDX-License-Identifier: Apache-2.0
#include "bench/serving/ratios.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>

#include "bench/common/machine.h"
#include "bench/common/main.h"
#include "bench/serving/verify.h"
#include "core/base/aligned.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/ctr/model.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/eta_gather.h"
#include "core/retrieval/metrics.h"

namespace eta::bench {
namespace {

constexpr size_t kUsers = 32;        // timed one after the other in a round
constexpr size_t kCheckedUsers = 4;  // the reference is slow
constexpr int kRounds = 15;
constexpr int kHashRounds = 5;
constexpr uint64_t kAppendStream = 9;

// The least processor time of each of two works that take turns, in seconds.
struct Pair {
  double first = HUGE_VAL, second = HUGE_VAL;
};

Pair TakeTurns(int rounds, const std::function<void()>& first,
               const std::function<void()>& second) {
  Pair least;
  const auto time = [](const std::function<void()>& work, double& best) {
    const double start = ThreadCpuSeconds();
    work();
    best = std::min(best, ThreadCpuSeconds() - start);
  };
  for (int i = 0; i < rounds; ++i) {
    time(first, least.first);
    time(second, least.second);
  }
  return least;
}

// The requests that are timed.
struct Timed {
  std::vector<size_t> users;
  std::vector<std::vector<int32_t>> histories;  // the newest max_history items
};

// The most popular users that have behaviours.
Timed ChooseUsers(const ServingData& data, const Traffic& traffic, const ServingOptions& options) {
  Timed timed;
  for (size_t rank = 1; rank <= data.users() && timed.users.size() < kUsers; ++rank) {
    const size_t user = traffic.popularity().user(rank);
    const std::vector<Behaviour> history = data.History(user);
    if (history.empty()) continue;
    std::vector<int32_t> items;
    const size_t length = std::min(history.size(), options.max_history);
    for (size_t i = history.size() - length; i < history.size(); ++i) {
      items.push_back(history[i].item);
    }
    timed.users.push_back(user);
    timed.histories.push_back(std::move(items));
  }
  return timed;
}

void Verify(Server& server, const ServingData& data, const Traffic& traffic,
            const ServingOptions& options, const Timed& timed) {
  Answer answer;
  for (size_t i = 0; i < std::min(timed.users.size(), kCheckedUsers); ++i) {
    const auto candidates = traffic.Candidates(i);
    server.Retrieve(timed.users[i], candidates, answer);
    Found found{{candidates.begin(), candidates.end()}, answer.positions, answer.counts};
    found.candidates.resize(std::min<size_t>(candidates.size(), 8));
    if (answer.length == timed.histories[i].size() &&
        AgreesWithReference(found, options.k, data.items(), server.Planes(answer.version),
                            timed.histories[i])) {
      continue;
    }
    throw Mismatch(Cat("the service disagrees with the reference: user ", timed.users[i], ", ",
                       answer.length, " behaviours"));
  }
}

void VerifyScores(Server& server, const Traffic& traffic, const Timed& timed) {
  Answer answer;
  for (size_t i = 0; i < std::min(timed.users.size(), kCheckedUsers); ++i) {
    const auto candidates = traffic.Candidates(i);
    server.Score(timed.users[i], candidates, answer);
    const size_t some = std::min<size_t>(candidates.size(), 8);
    if (ScoresAgree(*server.ctr(), timed.users[i], timed.histories[i], candidates.first(some),
                    std::span(answer.logits).first(some))) {
      continue;
    }
    throw Mismatch(Cat("a score disagrees with the reference: user ", timed.users[i], ", ",
                       answer.length, " behaviours"));
  }
}

// What the scores of the same requests cost without a service, and with one.
void MeasureScores(Server& server, const Traffic& traffic, const Timed& timed,
                   ServingRatios& ratios) {
  VerifyScores(server, traffic, timed);
  const CtrModel model(*server.ctr(), Server::kTables);
  CtrUser user = model.NewUser();
  CtrScratch scratch = model.NewScratch();
  std::vector<float> logits;
  Answer answer;
  const auto each = [&](const auto& score) {
    return [&timed, score] {
      for (size_t i = 0; i < timed.users.size(); ++i) score(i);
    };
  };
  const auto [bare, scored] = TakeTurns(
      kRounds, each([&](size_t i) {
        const auto candidates = traffic.Candidates(i);
        const std::span<const int32_t> history(timed.histories[i]);
        logits.resize(candidates.size());
        model.Prepare(timed.users[i],
                      history.last(std::min(history.size(), model.settings().max_history)), scratch,
                      user);
        model.Score(user, candidates, scratch, logits);
      }),
      each([&](size_t i) { server.Score(timed.users[i], traffic.Candidates(i), answer); }));
  const double scale = 1e6 / static_cast<double>(timed.users.size());
  ratios.ctr_us = scale * bare;
  ratios.scored_us = scale * scored;
}

// One round of a server: the requests of all users.
std::function<void()> RoundOf(Server& server, const Traffic& traffic, const Timed& timed) {
  return [&server, &traffic, &timed, answer = std::make_shared<Answer>()] {
    for (size_t i = 0; i < timed.users.size(); ++i) {
      server.Retrieve(timed.users[i], traffic.Candidates(i), *answer);
    }
  };
}

// One round of a retriever on prepared histories.
std::function<void()> RoundOf(const Retriever& retriever, const Traffic& traffic,
                              const Timed& timed, size_t k) {
  struct State {
    std::vector<std::unique_ptr<PreparedHistory>> prepared;
    std::unique_ptr<Scratch> scratch;
    std::vector<int32_t> positions, counts;
  };
  const auto state = std::make_shared<State>();
  for (const auto& history : timed.histories) {
    state->prepared.push_back(retriever.Prepare(history));
  }
  state->scratch = retriever.NewScratch();
  return [&retriever, &traffic, k, state] {
    for (size_t i = 0; i < state->prepared.size(); ++i) {
      const auto candidates = traffic.Candidates(i);
      state->positions.resize(candidates.size() * k);
      state->counts.resize(candidates.size());
      retriever.Retrieve(*state->prepared[i], candidates, k, *state->scratch,
                         {state->positions, state->counts});
    }
  };
}

void MeasureHashing(const ServingData& data, const Hyperplanes& planes, ServingRatios& ratios) {
  const ItemTable& items = data.items();
  AlignedVector<uint8_t> codes(items.size() * planes.code_bytes());
  ItemCodes versions(items, planes);
  const auto [bare, rebuild] = TakeTurns(
      kHashRounds, [&] { planes.Encode(items.embeddings.values, codes); },
      [&] { versions.Rebuild(items, planes); });
  ratios.items = items.size();
  ratios.rehash_ms = 1e3 * bare;
  ratios.rebuild_ms = 1e3 * rebuild;
}

}  // namespace

ServingRatios MeasureRatios(Server& server, const ServingData& data, HistoryStore& store,
                            const Traffic& traffic, const ServingOptions& options) {
  ServingRatios ratios;
  const Hyperplanes planes = server.Planes(1);
  MeasureHashing(data, planes, ratios);
  const Timed timed = ChooseUsers(data, traffic, options);
  ratios.users = timed.users.size();
  if (timed.users.empty()) return ratios;
  Verify(server, data, traffic, options, timed);
  for (const auto& history : timed.histories) {
    ratios.behaviours += static_cast<double>(history.size()) / static_cast<double>(ratios.users);
  }
  const double scale = 1e6 / static_cast<double>(ratios.users);
  {
    const auto eta = MakeEtaRetriever("eta", data.items(), planes);
    const auto [bare, cached] = TakeTurns(kRounds, RoundOf(*eta, traffic, timed, options.k),
                                          RoundOf(server, traffic, timed));
    ratios.eta_us = scale * bare;
    ratios.cached_us = scale * cached;
  }
  if (server.ctr()) MeasureScores(server, traffic, timed, ratios);
  const auto gather = MakeEtaGatherRetriever("eta_gather", data.items(), planes);
  Server forgetful(data, options, store, kKeepsNothing, nullptr);
  const auto [bare, cold] = TakeTurns(kRounds, RoundOf(*gather, traffic, timed, options.k),
                                      RoundOf(forgetful, traffic, timed));
  Require(forgetful.Counts().hits == 0, "the service that keeps nothing has kept something");
  ratios.gather_us = scale * bare;
  ratios.cold_us = scale * cold;
  return ratios;
}

std::vector<AppendRow> MeasureAppends(Server& server, Traffic& traffic,
                                      const ServingOptions& options, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<AppendRow> rows;
  Random random(options.seed, kAppendStream);
  for (const Durability durability : options.durabilities) {
    std::vector<double> latencies;
    double busy = 0;
    const auto start = Clock::now();
    do {
      const auto now = static_cast<int64_t>(1e6 * since(traffic.start()));
      const EventBatch batch = traffic.NextBatch(Traffic::kRunStart + now, random);
      const auto begin = Clock::now();
      server.Append(batch, durability);
      latencies.push_back(1e6 * since(begin));
      busy += latencies.back() * 1e-6;
      traffic.Acknowledge(batch);
    } while (since(start) < seconds);
    std::ranges::sort(latencies);
    rows.push_back({durability, static_cast<double>(latencies.size() * options.batch) / busy,
                    Percentile(latencies, 50), Percentile(latencies, 99), latencies.back()});
  }
  return rows;
}

}  // namespace eta::bench
