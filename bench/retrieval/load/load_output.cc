// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/load/load_output.h"

#include <nlohmann/json.hpp>

#include "bench/common/open_loop_json.h"
#include "bench/common/text.h"
#include "bench/retrieval/columns.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;
using Lines = std::vector<std::vector<std::string>>;

// Percentiles are lower bounds where requests were left unserved.
std::string Latency(double us, const OpenLoopResult& result) {
  return Cat(result.unserved > 0 ? ">" : "", Fixed(us, 1));
}

std::string RateTable(const LoadReport& report, const Options& options) {
  Lines lines{{"method", "rate", "achieved", "used", "p50", "p90", "p99", "p99.9", "max", "late",
               "unserved"},
              {"", "1/s", "1/s", "%", "us", "us", "us", "us", "us", "starts", ""}};
  for (const LoadRow& row : report.rows) {
    const OpenLoopResult& r = row.result;
    lines.push_back({row.method, Fixed(row.rate, 1), Fixed(r.achieved_rate, 1),
                     Fixed(100 * r.utilisation, 1), Latency(r.p50_us, r), Latency(r.p90_us, r),
                     Latency(r.p99_us, r), Latency(r.p999_us, r), Latency(r.max_us, r),
                     Cat(r.late_starts), Cat(r.unserved)});
  }
  return Cat("\nopen loop: Poisson arrivals for ", options.load_seconds, " s, ", options.threads,
             options.threads == 1 ? " worker" : " workers", "; latency from the intended start\n",
             Align(lines), "used: time in service / (workers x seconds)\n");
}

std::string SloTable(const LoadReport& report, const Options& options) {
  Lines lines{{"method", "highest rate", "p99", "used", "too high", "of capacity", "probes", ""},
              {"", "1/s", "us", "%", "1/s", "%", "", ""}};
  for (const SloRow& row : report.slo) {
    const HighestRate& found = row.found;
    const Probe* best = found.best ? &found.probes[*found.best] : nullptr;
    lines.push_back({row.method, best ? Fixed(best->rate, 1) : "none",
                     best ? Fixed(best->result.p99_us, 1) : "-",
                     best ? Fixed(100 * best->result.utilisation, 1) : "-",
                     Fixed(found.too_high, 1, "-"),
                     best ? Fixed(100 * best->rate / row.capacity, 1) : "-",
                     Cat(found.probes.size()), found.is_complete ? "" : "out of time"});
  }
  return Cat(
      "\nhighest rate that keeps p99 within ", options.slo_ms, " ms, ", options.threads,
      options.threads == 1 ? " worker\n" : " workers\n", Align(lines),
      "used: time in service / (workers x seconds) at the highest rate; too high: the lowest "
      "rate that broke\nthe limit; of capacity: highest rate / (workers / mean service time "
      "without a queue)\n");
}

Json SloJson(const SloRow& row) {
  const HighestRate& found = row.found;
  Json probes = Json::array();
  for (const Probe& probe : found.probes) {
    Json json = {{"rate", probe.rate}, {"kept", probe.is_kept}};
    json.update(OpenLoopJson(probe.result));
    probes.push_back(std::move(json));
  }
  return {{"method", row.method},
          {"bits", row.bits},
          {"capacity", row.capacity},
          {"highest_rate", found.best ? Json(found.probes[*found.best].rate) : Json(nullptr)},
          {"p99_us", found.best ? Json(found.probes[*found.best].result.p99_us) : Json(nullptr)},
          {"too_high", found.too_high ? Json(*found.too_high) : Json(nullptr)},
          {"is_complete", found.is_complete},
          {"probes", probes}};
}

std::string CsvLine(const std::string& method, size_t bits, const RequestSummary& requests,
                    const Options& options, const std::string& limit_ms, const char* kept,
                    double rate, const OpenLoopResult& r) {
  return Cat(CsvField(method), ',', bits, ',', options.k, ',', Fixed(requests.l_mean, 3), ',',
             Fixed(requests.b_mean, 1), ',', options.threads, ',', limit_ms, ',', kept, ',',
             Fixed(rate, 3), ',', r.arrivals, ',', r.unserved, ',', r.late_starts, ',',
             Fixed(r.seconds, 3), ',', Fixed(r.achieved_rate, 3), ',', Fixed(r.utilisation, 6), ',',
             Fixed(r.service_mean_us, 3), ',', Fixed(r.p50_us, 3), ',', Fixed(r.p90_us, 3), ',',
             Fixed(r.p99_us, 3), ',', Fixed(r.p999_us, 3), ',', Fixed(r.max_us, 3), '\n');
}

}  // namespace

std::string LoadTableText(const LoadReport& report, const Options& options) {
  return Cat(report.rows.empty() ? "" : RateTable(report, options),
             report.slo.empty() ? "" : SloTable(report, options));
}

std::string LoadCsvText(const LoadReport& report, const RequestSummary& requests,
                        const Options& options) {
  std::string text;
  for (const Column& column : kLoadColumns) text += Cat(text.empty() ? "" : ",", column.name);
  text += '\n';
  for (const LoadRow& row : report.rows) {
    text += CsvLine(row.method, row.bits, requests, options, "", "", row.rate, row.result);
  }
  const std::string limit = Cat(options.slo_ms);
  for (const SloRow& row : report.slo) {
    for (const Probe& probe : row.found.probes) {
      text += CsvLine(row.method, row.bits, requests, options, limit, probe.is_kept ? "1" : "0",
                      probe.rate, probe.result);
    }
  }
  return text;
}

Json LoadJson(const LoadReport& report, const Options& options) {
  if (report.rows.empty() && report.slo.empty()) return nullptr;
  Json rows = Json::array();
  for (const LoadRow& row : report.rows) {
    Json json = {{"method", row.method}, {"bits", row.bits}, {"rate", row.rate}};
    json.update(OpenLoopJson(row.result));
    rows.push_back(std::move(json));
  }
  Json slo = Json::array();
  for (const SloRow& row : report.slo) slo.push_back(SloJson(row));
  Json definitions = Json::object();
  for (const Column& column : kLoadColumns) definitions[column.name] = column.meaning;
  return {{"arrivals", "Poisson"},
          {"seconds", options.load_seconds},
          {"workers", options.threads},
          {"rows", rows},
          {"slo_ms", options.slo_ms > 0 ? Json(options.slo_ms) : Json(nullptr)},
          {"slo", slo},
          {"definitions", definitions}};
}

}  // namespace eta::bench
