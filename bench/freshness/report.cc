// SPDX-License-Identifier: Apache-2.0
#include "bench/freshness/report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/common/build_info.h"
#include "bench/common/text.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string Number(const std::optional<double>& value) { return Fixed(value, 5, ""); }

Json OrNull(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

}  // namespace

std::string FreshnessText(const FreshnessReport& report) {
  std::string text =
      "  step  method            steps since index   recall  recall ties      AUC     GAUC  "
      "log loss\n";
  for (const FreshnessRow& row : report.rows) {
    char line[160];
    std::snprintf(line, sizeof(line), "%6zu  %-16s  %17zu  %7s  %11s  %7s  %7s   %7s\n", row.step,
                  row.method.c_str(), row.step - row.index_step, Number(row.recall).c_str(),
                  Number(row.recall_ties).c_str(), Number(row.auc).c_str(),
                  Number(row.gauc).c_str(), Number(row.log_loss).c_str());
    text += line;
  }
  const FreshnessCosts& c = report.costs;
  char line[200];
  std::snprintf(line, sizeof(line),
                "\nper million items, dim %zu, one thread: re-hash to %zu bits %.1f ms; int8 index "
                "rebuilt %.1f ms\n",
                c.dim, c.bits, c.rehash_ms, c.rebuild_ms);
  text += line;
  if (c.pq4_bits == 0) return text;
  std::snprintf(line, sizeof(line),
                "pq4 with %zu bits: encoded again %.1f ms per million items; codebooks trained "
                "%.1f ms, for any number of items\n",
                c.pq4_bits, c.pq4_encode_ms, c.pq4_train_ms);
  return text + line;
}

std::string FreshnessCsv(const FreshnessReport& report) {
  std::string text = "method,step,index_step,recall,recall_ties,auc,gauc,log_loss\n";
  for (const FreshnessRow& row : report.rows) {
    text += Cat(row.method, ",", row.step, ",", row.index_step, ",", Number(row.recall), ",",
                Number(row.recall_ties), ",", Number(row.auc), ",", Number(row.gauc), ",",
                Number(row.log_loss), "\n");
  }
  return text;
}

std::string FreshnessJson(const FreshnessReport& report) {
  Json rows = Json::array();
  for (const FreshnessRow& row : report.rows) {
    rows.push_back({{"method", row.method},
                    {"step", row.step},
                    {"index_step", row.index_step},
                    {"recall", OrNull(row.recall)},
                    {"recall_ties", OrNull(row.recall_ties)},
                    {"auc", OrNull(row.auc)},
                    {"gauc", OrNull(row.gauc)},
                    {"log_loss", OrNull(row.log_loss)}});
  }
  const Environment& e = report.environment;
  const FreshnessCosts& c = report.costs;
  const Json json = {{"program", "freshness_bench"},
                     {"version", kProjectVersion},
                     {"revision", kGitRevision},
                     {"command_line", report.options.command_line},
                     {"target", report.target},
                     {"environment",
                      {{"date", e.date},
                       {"cpu", e.cpu},
                       {"usable_cpus", e.usable_cpus},
                       {"load_average", e.load_average},
                       {"cpu_quota", OrNull(e.cpu_quota)},
                       {"variables", VariablesJson(e)}}},
                     {"costs",
                      {{"dim", c.dim},
                       {"bits", c.bits},
                       {"threads", 1},
                       {"rehash_ms_per_million", c.rehash_ms},
                       {"rebuild_ms_per_million", c.rebuild_ms},
                       {"pq4_bits", c.pq4_bits},
                       {"pq4_encode_ms_per_million", c.pq4_encode_ms},
                       {"pq4_train_ms", c.pq4_train_ms}}},
                     {"rows", std::move(rows)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace eta::bench
