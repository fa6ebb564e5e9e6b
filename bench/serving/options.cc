// SPDX-License-Identifier: Apache-2.0
#include "bench/serving/options.h"

#include <algorithm>
#include <initializer_list>

#include "bench/common/open_loop.h"
#include "bench/common/options.h"
#include "core/base/check.h"
#include "core/data/limits.h"

namespace eta::bench {
namespace {

constexpr uint64_t kMaxThreads = 1024;
constexpr uint64_t kMaxMebibytes = 1 << 20;
constexpr double kMaxSeconds = 86'400;
constexpr double kMaxRate = 1e6;
constexpr double kFewestArrivals = 5;  // of a phase; fewer have no percentiles

// The values that `list` names, each at most once; `names` says how they are called.
template <class Value>
std::vector<Value> ParseNames(const char* option, const std::string& list,
                              const char* (*name_of)(Value), std::initializer_list<Value> all,
                              const char* names) {
  std::vector<Value> values;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string name = list.substr(begin, end - begin);
    const auto* found =
        std::ranges::find_if(all, [&](Value value) { return name == name_of(value); });
    Require(found != all.end(), option, ": \"", name, "\" in \"", list, "\" is ", names);
    Require(std::ranges::find(values, *found) == values.end(), option, ": \"", name,
            "\" is there twice");
    values.push_back(*found);
    begin = end + 1;
  }
  return values;
}

void AddData(App& app, ServingOptions& o, std::vector<CLI::Option*>& generator) {
  OptionGroup data(app, "Data");
  data.Text("--bundle", o.bundle, "DIR", "Bundle to take items and histories from");
  data.Text("--ctr", o.ctr, "DIR",
            "Exported CTR model (docs/models.md): scores are requested, too. It has all users and "
            "items; without --bundle they are those of its own bundle");
  generator = AddGeneratorOptions(data, o.generator, "--data-seed");
  OptionGroup model(app, "Model and requests");
  model.Whole("--bits", o.bits, 1, kMaxBits, "Bits of a code");
  model.Whole("--k", o.k, 1, kMaxCount, "Behaviours retrieved for a candidate");
  model.Whole("--b", o.b, 1, kMaxCount, "Candidates of a request");
  model.Whole("--seed", o.seed, 0, kMaxSeed,
              "Seed of hyperplanes, arrivals, users and candidates; each model has its own planes");
  model.Decimal("--zipf", o.zipf, 10, "Popularity: the user of rank r has a share of 1 / r^X");
  model.Whole("--max-history", o.max_history, 1, kMaxCount,
              "Behaviours that a request sees, the newest");
  model.Whole("--cache", o.cache_mib, 1, kMaxMebibytes, "Budget of prepared histories, in MiB");
}

void AddLoad(App& app, ServingOptions& o, std::string& durabilities, std::string& priorities) {
  OptionGroup load(app, "Load");
  load.Decimal("--rate", o.rate, kMaxRate, "Requests per second, Poisson arrivals");
  load.Decimal("--seconds", o.seconds, kMaxSeconds, "Length of each phase");
  load.Whole("--threads", o.threads, 1, kMaxThreads, "Threads that answer requests");
  load.Whole("--appends", o.appends, 1, kMaxCount, "Behaviours appended per second");
  load.Whole("--batch", o.batch, 1, kMaxBatchEvents, "Behaviours of an append");
  load.Text("--durability", durabilities, "NAME,...",
            "What appends wait for, a phase each: none, flushed (the system), synced (the disk); "
            "the first also while models are swapped");
  load.Decimal("--swap-every", o.swap_seconds, kMaxSeconds,
               "Seconds between two models, each hashed anew beside the requests");
  load.Whole("--swap-threads", o.swap_threads, 1, kMaxThreads, "Threads that hash the items");
  load.Text("--swap-priority", priorities, "NAME,...",
            "At which one thread hashes, a phase with appends each: idle, normal; the first also "
            "without appends");
  load.Whole("--samples", o.samples, 0, 1'000'000,
             "Responses of each phase that the scalar reference checks");
}

void CheckValues(const ServingOptions& o) {
  Require(o.seconds > 0, "--seconds is 0");
  Require(o.rate * o.seconds >= kFewestArrivals, "--rate ", o.rate, " for ", o.seconds,
          " s: fewer than ", kFewestArrivals, " requests are expected");
  const double batches = static_cast<double>(o.appends) / static_cast<double>(o.batch);
  Require(batches * o.seconds >= kFewestArrivals, "--appends ", o.appends, " in batches of ",
          o.batch, " for ", o.seconds, " s: fewer than ", kFewestArrivals, " batches are expected");
  Require(std::max(o.rate, batches) * o.seconds <= static_cast<double>(kMaxArrivals),
          "--seconds: more than ", kMaxArrivals, " arrivals are expected");
  Require(o.swap_threads == 1 || std::ranges::find(o.swap_priorities, ThreadPriority::kIdle) ==
                                     o.swap_priorities.end(),
          "--swap-threads ", o.swap_threads, ": several threads have --swap-priority normal alone");
  Require(o.swap_seconds > 0 && o.swap_seconds <= o.seconds, "--swap-every ", o.swap_seconds,
          " s is not in (0, ", o.seconds, "], the length of a phase");
}

}  // namespace

const char* DurabilityName(Durability durability) {
  switch (durability) {
    case Durability::kNone:
      return "none";
    case Durability::kFlushed:
      return "flushed";
    default:
      return "synced";
  }
}

const char* PriorityName(ThreadPriority priority) {
  return priority == ThreadPriority::kIdle ? "idle" : "normal";
}

std::optional<ServingOptions> ParseServingOptions(int argc, char** argv) {
  ServingOptions o;
  o.command_line.assign(argv, argv + argc);
  std::string durabilities = "flushed,none,synced", priorities = "idle";
  std::vector<CLI::Option*> generator;
  App app("serving_bench",
          "Latency of requests while behaviours are appended to the store and models are swapped: "
          "an open loop over a temporary store. Every figure with writers stands beside that of a "
          "quiet store at the same rate. TMPDIR says where the store lies; only on a real disk do "
          "synced appends mean something.");
  AddData(app, o, generator);
  AddLoad(app, o, durabilities, priorities);
  OptionGroup output(app, "Output");
  output.Text("--csv", o.csv, "FILE", "Write the phases as CSV");
  output.Text("--json", o.json, "FILE", "Write all figures as JSON, for scripts/serving.py");
  if (!app.Parse(argc, argv)) return std::nullopt;
  for (const CLI::Option* option : generator) {
    Require((o.bundle.empty() && o.ctr.empty()) || option->count() == 0, option->get_name(),
            " is of generated data, and ", o.bundle.empty() ? "--ctr" : "--bundle",
            " gives others");
  }
  if (o.bundle.empty() && !o.ctr.empty()) o.bundle = o.ctr + "/bundle";
  o.durabilities = ParseNames("--durability", durabilities, DurabilityName,
                              {Durability::kNone, Durability::kFlushed, Durability::kSynced},
                              "neither none, flushed nor synced");
  o.swap_priorities =
      ParseNames("--swap-priority", priorities, PriorityName,
                 {ThreadPriority::kIdle, ThreadPriority::kNormal}, "neither idle nor normal");
  CheckValues(o);
  return o;
}

}  // namespace eta::bench
