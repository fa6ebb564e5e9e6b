// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/report.h"

#include <sstream>
#include <utility>

#include "baselines/methods.h"
#include "bench/common/build_info.h"
#include "bench/common/text.h"
#include "bench/retrieval/columns.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

// "12.0-12.4", with a mark where it is wide.
std::string IntervalText(const Row& row) {
  const auto spread = Spread(row);
  if (!spread) return "-";
  return Cat(*spread > kWideSpread ? "! " : "", Fixed(*row.p50_low_us, 1), "-",
             Fixed(*row.p50_high_us, 1));
}

std::string DataLine(const Report& report) {
  const Bundle& bundle = report.data.bundle;
  return Cat(Printable(bundle.name.empty() ? report.options.data : bundle.name), ": ",
             bundle.histories.users(), " users, ", bundle.items.size(), " items, dim ",
             bundle.items.dim(), bundle.items.candidate_embeddings ? ", two towers" : "",
             report.options.normalize ? ", normalised" : "", ", digest ", report.data.digest);
}

// With three digits.
std::string Short(double value) {
  std::ostringstream text;
  text.precision(3);
  text << value;
  return std::move(text).str();
}

std::string NormsLine(const Report& report) {
  const auto& norms = report.data.norms;
  if (!norms) return "";
  return Cat("\nnorms     of item embeddings: 5 % up to ", Short(norms->p5), ", median ",
             Short(norms->p50), ", 95 % up to ", Short(norms->p95));
}

std::string RequestLine(const Report& report) {
  const RequestSummary& r = report.requests;
  return Cat(
      r.requests, ", each of ",
      Fixed(r.b_mean, r.b_mean == static_cast<double>(static_cast<size_t>(r.b_mean)) ? 0 : 1),
      " candidates and a history of ", r.behaviours_min, " to ", r.behaviours_max,
      " behaviours (median ", r.behaviours_median, ", mean ", Fixed(r.l_mean, 1), ", ",
      r.empty_histories, " empty)");
}

std::string UsersLine(const Report& report) {
  const std::string text = UsersText(report.requests.choice, report.options.k);
  return text.empty() ? "" : Cat("\nusers     ", text);
}

std::string ThreadsLine(const Report& report) {
  const Options& o = report.options;
  const Split split = ResolveSplit(o.split, report.requests.requests, o.threads);
  return Cat(o.threads, o.threads > 1 ? Cat(", sharing out ", SplitName(split)) : "",
             "; every request timed ", o.repeats, o.repeats == 1 ? " time" : " times",
             report.cold
                 ? ""
                 : Cat(" in turns of ", TurnSize(o, report.requests.requests),
                       " requests, an untimed run before each ", kRepeatsPerTurn, " (warm cache)"),
             o.pin ? "; pinned" : "");
}

std::string CacheLine(const Report& report) {
  if (!report.cold) return "";
  const ColdReport& cold = *report.cold;
  const size_t megabytes = cold.cache.bytes >> 20;
  return Cat("\ncache     cold: last-level cache ", megabytes, " MB (", cold.cache.source, "), ",
             cold.prepared_bytes >> 20, " MB of prepared histories, ",
             cold.is_flushed ? Cat(kColdFactor * megabytes, " MB read before each ", cold.turn,
                                   " requests of a method")
                             : "used in turn");
}

}  // namespace

std::string HeaderText(const Report& report) {
  const Environment& e = report.environment;
  return Cat("data      ", DataLine(report), NormsLine(report), "\nrequests  ", RequestLine(report),
             UsersLine(report), "\nCPU       ", e.cpu, ", ", e.usable_cpus, " of ", e.logical_cpus,
             " logical CPUs, load ", Fixed(e.load_average, 2), "\ntarget    ", report.target,
             "; eta-simd ", kProjectVersion, " (", kGitRevision, "), Highway ", kHighwayVersion,
             "\ncompiler  ", kCompiler, ", ", kBuildType, "\nFAISS     ", FaissBuild(),
             "\nthreads   ", ThreadsLine(report), CacheLine(report), "\n\n");
}

std::string UsersText(const UserChoice& c, size_t k) {
  const std::string share = Cat(c.qualifying, " of ", c.users, " users");
  if (!c.is_default) {
    return c.asked_for == 0 ? "" : Cat(share, ", those with ", c.asked_for, " behaviours or more");
  }
  if (c.asked_for == 0) return "";
  const std::string reason = Cat("the median history is ", c.median, " behaviours");
  const std::string limit = Cat("more than 2 K = ", 2 * k);
  if (c.min_history == 0) {
    return Cat("all ", c.users, ": ", reason, ", but only ", c.qualifying, " have ", limit);
  }
  return Cat(share, ", those with ", limit, " behaviours, because ", reason,
             " (--min-history 0 takes all)");
}

std::string TableText(std::span<const Row> rows, size_t k) {
  std::vector<std::vector<std::string>> lines{
      {"method", Cat("recall@", k), "recall", "recall", "attention", "p50", "95 % of", "p95", "p99",
       "p99.9", "p50 ns", "speed vs", "million", "kB per", "MB", "build"},
      {"", "mean", "p5", "ties", "mass", "us", "p50, us", "us", "us", "us", "per cand", "exact",
       "cand/s", "user", "shared", "us"}};
  for (const Row& row : rows) {
    lines.push_back(
        {row.method, Fixed(row.recall, 4, "-"), Fixed(row.recall_p5, 4, "-"),
         Fixed(row.recall_ties, 4, "-"), Fixed(row.attention_mass, 4, "-"), Fixed(row.p50_us, 1),
         IntervalText(row), Fixed(row.p95_us, 1), Fixed(row.p99_us, 1), Fixed(row.p999_us, 1),
         Fixed(row.p50_ns_per_candidate, 1), row.vs_exact ? Fixed(*row.vs_exact, 2) + "x" : "-",
         Fixed(row.candidates_per_s / 1e6, 3), Fixed(row.user_bytes / 1e3, 1),
         Fixed(static_cast<double>(row.shared_bytes) / 1e6, 1), Fixed(row.build_us, 1)});
  }
  return Align(lines);
}

std::string CsvHeader() {
  std::string text;
  for (const Column& column : kColumns) text += Cat(text.empty() ? "" : ",", column.name);
  return text;
}

std::string CsvLine(const Row& row) {
  return Cat(CsvField(row.method), ',', row.bits, ',', row.dim, ',', row.k, ',',
             Fixed(row.l_mean, 3), ',', row.b, ',', row.threads, ',', CsvField(row.target), ',',
             row.cache, ',', Fixed(row.recall, 6, ""), ',', Fixed(row.recall_p5, 6, ""), ',',
             Fixed(row.recall_ties, 6, ""), ',', Fixed(row.attention_mass, 6, ""), ',',
             Fixed(row.p50_us, 3), ',', Fixed(row.p50_low_us, 3, ""), ',',
             Fixed(row.p50_high_us, 3, ""), ',', Fixed(row.p95_us, 3), ',', Fixed(row.p99_us, 3),
             ',', Fixed(row.p999_us, 3), ',', Fixed(row.candidates_per_s, 1), ',',
             Fixed(row.bytes_per_behaviour, 3, ""), ',', Fixed(row.build_us, 3), ',',
             Fixed(row.user_bytes, 1), ',', row.shared_bytes);
}

std::string CsvText(std::span<const Row> rows) {
  std::string text = CsvHeader() + '\n';
  for (const Row& row : rows) text += CsvLine(row) + '\n';
  return text;
}

}  // namespace eta::bench
