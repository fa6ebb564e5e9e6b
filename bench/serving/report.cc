// SPDX-License-Identifier: Apache-2.0
#include "bench/serving/report.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "bench/common/text.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

using Lines = std::vector<std::vector<std::string>>;

// Percentiles are lower bounds where arrivals were left unserved.
std::string Latency(double us, const OpenLoopResult& result) {
  return Cat(result.unserved > 0 ? ">" : "", Fixed(us, 0));
}

std::string Seconds(const std::optional<Ages>& ages, double Ages::*which) {
  return ages ? Fixed(*ages.*which, 3) : "-";
}

double MeanSwapMilliseconds(const PhaseResult& phase) {
  double sum = 0;
  for (const ModelSwap& swap : phase.swaps) sum += 1e3 * (swap.end - swap.begin);
  return sum / static_cast<double>(phase.swaps.size());
}

std::string Mebibytes(uint64_t bytes) { return Fixed(static_cast<double>(bytes) / (1 << 20), 0); }

std::string StoreText(const ServingReport& r) {
  const auto behaviours = static_cast<double>(std::max<size_t>(r.fill.behaviours, 1));
  const auto disk = static_cast<double>(r.store_bytes);
  std::string text = Cat("store: ", r.users, " users, ", r.fill.behaviours,
                         " behaviours; appended in ", Fixed(r.fill.append_seconds, 1), " s (",
                         Fixed(behaviours / r.fill.append_seconds / 1e6, 2),
                         " million/s), compacted in ", Fixed(r.fill.compact_seconds, 1),
                         " s; on disk ", Fixed(disk / static_cast<double>(r.users), 0),
                         " bytes a user, ", Fixed(disk / behaviours, 2), " a behaviour\n");
  const auto users = static_cast<double>(std::max<size_t>(r.cache.users, 1));
  text += Cat("cache: ", r.cache.users, " users of ", r.users, " at the end, ",
              Fixed(static_cast<double>(r.cache.bytes) / users, 0), " bytes each, of ",
              r.options.cache_mib, " MiB");
  if (r.memory_bytes) {
    text += Cat("; the process held at most ", Mebibytes(*r.memory_bytes), " MiB");
  }
  return text + "\n";
}

std::string PhaseTable(const ServingReport& report) {
  Lines lines{{"phase", "served", "used",    "hits", "p50",     "p99",      "p99.9",
               "max",   "p99 of", "CPU p50", "p99",  "waited",  "appended", "p50",
               "p99",   "swaps",  "each",    "read", "written", "stale",    "wrong"},
              {"",   "1/s", "%",  "%",  "us", "us", "us",  "us",  "quiet", "us", "us",
               "ms", "1/s", "us", "us", "",   "ms", "MiB", "MiB", "",      ""}};
  for (const PhaseResult& phase : report.phases) {
    const OpenLoopResult& r = phase.requests;
    const double lookups = static_cast<double>(std::max<uint64_t>(phase.hits + phase.misses, 1));
    const auto& waited = phase.processor.waited_seconds;
    lines.push_back({phase.plan.name,
                     Fixed(r.achieved_rate, 0),
                     Fixed(100 * r.utilisation, 1),
                     Fixed(100 * static_cast<double>(phase.hits) / lookups, 1),
                     Latency(r.p50_us, r),
                     Latency(r.p99_us, r),
                     Latency(r.p999_us, r),
                     Latency(r.max_us, r),
                     Fixed(r.p99_us / QuietP99(report, phase.plan), 2),
                     Fixed(phase.processor.p50_us, 0),
                     Fixed(phase.processor.p99_us, 0),
                     waited ? Fixed(1e3 * *waited, 1) : "-",
                     phase.appends ? Fixed(phase.appended_per_second, 0) : "-",
                     phase.appends ? Latency(phase.appends->p50_us, *phase.appends) : "-",
                     phase.appends ? Latency(phase.appends->p99_us, *phase.appends) : "-",
                     Cat(phase.swaps.size()),
                     phase.swaps.empty() ? "-" : Fixed(MeanSwapMilliseconds(phase), 1),
                     phase.disk ? Mebibytes(phase.disk->read) : "-",
                     phase.disk ? Mebibytes(phase.disk->written) : "-",
                     Cat(phase.stale),
                     Cat(phase.wrong, " of ", phase.checked)});
  }
  const ServingOptions& o = report.options;
  return Cat(
      "\nopen loop: Poisson arrivals, ", o.rate, " requests/s for ", o.seconds, " s, ", o.threads,
      o.threads == 1 ? " thread" : " threads", "; b = ", o.b, ", k = ", o.k, ", ", o.bits,
      " bits; latency from the intended start\n", Align(lines),
      "used: time in service / (threads x seconds); CPU: processor time of a request; waited: for "
      "a CPU, while one was wanted;\nappended: behaviours, in batches of ",
      o.batch,
      ";\nread, written: on disks, not in the system's cache of files; stale: requests that "
      "missed an acknowledged append;\nwrong: answers that are not those of the version they "
      "name\n");
}

std::string AgeTable(const ServingReport& report) {
  Lines lines{{"age when answered", "behaviour p50", "p99", "max", "model p50", "p99", "max"},
              {"", "s", "s", "s", "s", "s", "s"}};
  for (const PhaseResult& phase : report.phases) {
    const auto& b = phase.behaviour_age;
    const auto& m = phase.model_age;
    lines.push_back({phase.plan.name, Seconds(b, &Ages::p50), Seconds(b, &Ages::p99),
                     Seconds(b, &Ages::max), Seconds(m, &Ages::p50), Seconds(m, &Ages::p99),
                     Seconds(m, &Ages::max)});
  }
  return Cat("\n", Align(lines),
             "behaviour: the user's newest one, where it was appended in this run; model: since it "
             "was published\n");
}

std::string RatioTable(const ServingRatios& r) {
  Lines lines{{"processor time, one thread", "bare", "", "service", "ratio"}};
  const auto add = [&](const std::string& what, const std::string& bare_name, double bare,
                       double served, const char* unit) {
    lines.push_back({what, bare_name, Cat(Fixed(bare, 2), " ", unit),
                     Cat(Fixed(served, 2), " ", unit), bare > 0 ? Fixed(served / bare, 2) : "-"});
  };
  add(Cat("new model, ", r.items, " items"), "re-hash", r.rehash_ms, r.rebuild_ms, "ms");
  if (r.users > 0) {
    add(Cat("request, ", Fixed(r.behaviours, 0), " behaviours, cached"), "eta", r.eta_us,
        r.cached_us, "us");
    add("request, from the store", "eta_gather", r.gather_us, r.cold_us, "us");
    if (r.ctr_us > 0) add("scores, cached", "CtrModel", r.ctr_us, r.scored_us, "us");
  }
  return Cat("\n", Align(lines));
}

std::string AppendTable(const ServingReport& report) {
  Lines lines{{"appends alone", "behaviours", "p50", "p99", "max"}, {"", "1/s", "us", "us", "us"}};
  for (const AppendRow& row : report.appends) {
    lines.push_back({DurabilityName(row.durability), Fixed(row.per_second, 0), Fixed(row.p50_us, 0),
                     Fixed(row.p99_us, 0), Fixed(row.max_us, 0)});
  }
  return Cat("\n", Align(lines), "one thread, batches of ", report.options.batch, "\n");
}

}  // namespace

bool AllRight(const ServingReport& report) {
  return std::ranges::all_of(report.phases,
                             [](const PhaseResult& p) { return p.wrong == 0 && p.stale == 0; });
}

std::string ServingText(const ServingReport& report) {
  return Cat(StoreText(report), PhaseTable(report), AgeTable(report), RatioTable(report.ratios),
             AppendTable(report));
}

double QuietP99(const ServingReport& report, const PhasePlan& plan) {
  double least = HUGE_VAL;
  for (const PhaseResult& phase : report.phases) {
    if (phase.plan.is_quiet() && phase.plan.kind == plan.kind) {
      least = std::min(least, phase.requests.p99_us);
    }
  }
  return least;
}

const char* RequestName(RequestKind kind) {
  return kind == RequestKind::kRetrieve ? "retrieve" : "score";
}

std::string ServingCsv(const ServingReport& report) {
  std::string text =
      "phase,durability,rate,arrivals,unserved,seconds,achieved_rate,utilisation,hit_rate,p50_us,"
      "p90_us,p99_us,p999_us,max_us,p99_of_quiet,appended_per_s,append_p50_us,append_p99_us,"
      "append_max_us,append_unserved,swaps,swap_mean_ms,behaviour_age_p50_s,behaviour_age_p99_s,"
      "model_age_p50_s,model_age_max_s,stale,checked,wrong,request,cpu_p50_us,cpu_p99_us,waited_s"
      "\n";
  for (const PhaseResult& p : report.phases) {
    const OpenLoopResult& r = p.requests;
    const double quiet = QuietP99(report, p.plan);
    const OpenLoopResult none;
    const OpenLoopResult& a = p.appends ? *p.appends : none;
    const auto appended = [&](const std::string& value) { return p.appends ? value : ""; };
    const double lookups = static_cast<double>(std::max<uint64_t>(p.hits + p.misses, 1));
    text += Cat(CsvField(p.plan.name), ',', p.plan.appends ? DurabilityName(*p.plan.appends) : "",
                ',', Fixed(report.options.rate, 3), ',', r.arrivals, ',', r.unserved, ',',
                Fixed(r.seconds, 3), ',', Fixed(r.achieved_rate, 3), ',', Fixed(r.utilisation, 6),
                ',', Fixed(static_cast<double>(p.hits) / lookups, 6), ',', Fixed(r.p50_us, 3), ',',
                Fixed(r.p90_us, 3), ',', Fixed(r.p99_us, 3), ',', Fixed(r.p999_us, 3), ',',
                Fixed(r.max_us, 3), ',', Fixed(r.p99_us / quiet, 4), ',');
    text += Cat(appended(Fixed(p.appended_per_second, 1)), ',', appended(Fixed(a.p50_us, 3)), ',',
                appended(Fixed(a.p99_us, 3)), ',', appended(Fixed(a.max_us, 3)), ',',
                appended(Cat(a.unserved)), ',', p.swaps.size(), ',',
                p.swaps.empty() ? "" : Fixed(MeanSwapMilliseconds(p), 3), ',');
    const auto age = [](const std::optional<Ages>& ages, double Ages::*which) {
      return ages ? Fixed(*ages.*which, 6) : "";
    };
    text += Cat(age(p.behaviour_age, &Ages::p50), ',', age(p.behaviour_age, &Ages::p99), ',',
                age(p.model_age, &Ages::p50), ',', age(p.model_age, &Ages::max), ',', p.stale, ',',
                p.checked, ',', p.wrong, ',', RequestName(p.plan.kind), ',',
                Fixed(p.processor.p50_us, 3), ',', Fixed(p.processor.p99_us, 3), ',',
                Fixed(p.processor.waited_seconds, 6, ""), '\n');
  }
  return text;
}

}  // namespace eta::bench
