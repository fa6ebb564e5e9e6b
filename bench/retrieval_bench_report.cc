// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval_bench_report.h"

#include <algorithm>
#include <cstdio>

#include "baselines/methods.h"
#include "bench/retrieval_bench_build_info.h"
#include "bench/retrieval_bench_columns.h"
#include "core/check.h"

namespace eta::bench {
namespace {

std::string Fixed(double value, int decimals) {
  char text[400];  // the largest double has 309 digits before its point
  std::snprintf(text, sizeof(text), "%.*f", decimals, value);
  return text;
}

std::string Fixed(const std::optional<double>& value, int decimals, const char* missing) {
  return value ? Fixed(*value, decimals) : missing;
}

// Texts in right-aligned columns, the first one left-aligned.
std::string Align(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths(lines.front().size(), 0);
  for (const auto& line : lines) {
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  }
  std::string text;
  for (const auto& line : lines) {
    for (size_t c = 0; c < line.size(); ++c) {
      const std::string padding(widths[c] - line[c].size(), ' ');
      text += c == 0 ? line[c] + padding : "  " + padding + line[c];
    }
    text += '\n';
  }
  return text;
}

// RFC 4180: quoted only where it must be.
std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

std::string DataLine(const Report& report) {
  const Bundle& bundle = report.data.bundle;
  return Cat(bundle.name.empty() ? report.options.data : bundle.name, ": ",
             bundle.histories.users(), " users, ", bundle.items.size(), " items, dim ",
             bundle.items.dim(), report.options.normalize ? ", normalised" : "", ", digest ",
             report.data.digest);
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

std::string ThreadsLine(const Report& report) {
  const Options& o = report.options;
  const Split split = ResolveSplit(o.split, report.requests.requests, o.threads);
  return Cat(o.threads, o.threads > 1 ? Cat(", sharing out ", SplitName(split)) : "",
             "; every request timed ", o.repeats, o.repeats == 1 ? " time" : " times",
             report.cold ? "" : " after one untimed run (warm cache)");
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
  return Cat("data      ", DataLine(report), "\nrequests  ", RequestLine(report), "\nCPU       ",
             e.cpu, ", ", e.usable_cpus, " of ", e.logical_cpus, " logical CPUs, load ",
             Fixed(e.load_average, 2), "\ntarget    ", report.target, "; eta-simd ",
             kProjectVersion, " (", kGitRevision, "), Highway ", kHighwayVersion, "\ncompiler  ",
             kCompiler, ", ", kBuildType, "\nFAISS     ", FaissBuild(), "\nthreads   ",
             ThreadsLine(report), CacheLine(report), "\n\n");
}

std::string TableText(const Report& report) {
  std::vector<std::vector<std::string>> lines{
      {"method", Cat("recall@", report.options.k), "recall", "recall", "attention", "p50", "p95",
       "p99", "p99.9", "p50 ns per", "speed vs", "million", "bytes per", "build"},
      {"", "mean", "p5", "ties", "mass", "us", "us", "us", "us", "candidate", "exact", "cand/s",
       "behaviour", "us"}};
  for (const Row& row : report.rows) {
    lines.push_back({row.method, Fixed(row.recall, 4, "-"), Fixed(row.recall_p5, 4, "-"),
                     Fixed(row.recall_ties, 4, "-"), Fixed(row.attention_mass, 4, "-"),
                     Fixed(row.p50_us, 1), Fixed(row.p95_us, 1), Fixed(row.p99_us, 1),
                     Fixed(row.p999_us, 1), Fixed(row.p50_ns_per_candidate, 1),
                     row.vs_exact ? Fixed(*row.vs_exact, 2) + "x" : "-",
                     Fixed(row.candidates_per_s / 1e6, 3), Fixed(row.bytes_per_behaviour, 1, "-"),
                     Fixed(row.build_us, 1)});
  }
  return Align(lines);
}

std::string CsvText(std::span<const Row> rows) {
  std::string text;
  for (const Column& column : kColumns) text += Cat(text.empty() ? "" : ",", column.name);
  text += '\n';
  for (const Row& row : rows) {
    text += Cat(CsvField(row.method), ',', row.bits, ',', row.dim, ',', row.k, ',',
                Fixed(row.l_mean, 3), ',', row.b, ',', row.threads, ',', CsvField(row.target), ',',
                row.cache, ',', Fixed(row.recall, 6, ""), ',', Fixed(row.recall_p5, 6, ""), ',',
                Fixed(row.recall_ties, 6, ""), ',', Fixed(row.attention_mass, 6, ""), ',',
                Fixed(row.p50_us, 3), ',', Fixed(row.p95_us, 3), ',', Fixed(row.p99_us, 3), ',',
                Fixed(row.p999_us, 3), ',', Fixed(row.candidates_per_s, 1), ',',
                Fixed(row.bytes_per_behaviour, 3, ""), ',', Fixed(row.build_us, 3), '\n');
  }
  return text;
}

}  // namespace eta::bench
