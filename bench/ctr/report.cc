// SPDX-License-Identifier: Apache-2.0
#include "bench/ctr/report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "bench/common/build_info.h"
#include "bench/common/text.h"
#include "core/base/check.h"
#include "core/retrieval/metrics.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

struct Row {
  std::string model;                     // "eta", or "torch:eta"
  std::optional<std::string> retrieval;  // "own", or a method; nothing where there is none
  std::optional<double> k;
  std::optional<bool> has_tables;
  const char* precision = "-";
  std::string form = "-";  // of PyTorch
  std::optional<double> auc, gauc, log_loss, difference;
  double p50_us, p99_us;
  std::optional<double> prepare_us, score_us, user_bytes, item_bytes;
  double candidates_per_s;  // per second of processor time; for PyTorch of wall time
  std::optional<double> versus_torch, versus_full;
};

double PercentileUs(std::vector<double> seconds, double percent) {
  std::ranges::sort(seconds);
  return 1e6 * Percentile(seconds, percent);
}

Row RowOf(const CtrContender& contender, size_t candidates) {
  Row row{};
  row.model = CtrUnitName(contender.data->unit);
  if (Retrieves(contender.data->unit)) row.retrieval = contender.retrieval;
  if (contender.k > 0) row.k = static_cast<double>(contender.k);
  const CtrCheck& check = contender.check;
  row.auc = check.auc;
  row.gauc = check.gauc;
  row.log_loss = check.log_loss;
  if (contender.is_as_exported()) row.difference = check.largest_difference;
  const std::vector<double> seconds = contender.request_seconds();
  row.p50_us = PercentileUs(seconds, 50);
  row.p99_us = PercentileUs(seconds, 99);
  row.prepare_us = PercentileUs(contender.prepare_seconds, 50);
  row.score_us = PercentileUs(contender.score_seconds, 50);
  row.user_bytes = contender.user_bytes;
  row.has_tables = contender.tables == ItemTables::kAll;
  row.precision = PrecisionName(contender.precision);
  row.item_bytes = static_cast<double>(contender.model->table_bytes()) /
                   static_cast<double>(std::max<size_t>(contender.data->items(), 1));
  row.candidates_per_s = static_cast<double>(candidates * seconds.size()) / contender.cpu_seconds;
  return row;
}

std::vector<Row> Rows(const CtrReport& report) {
  std::vector<Row> rows;
  for (const CtrContender& contender : report.contenders) {
    rows.push_back(RowOf(contender, report.options.candidates));
  }
  const auto full = std::ranges::find(rows, "full_attention", &Row::model);
  // By processor time: on a busy machine a longer request is interrupted more often, so wall time
  // would flatter the faster models.
  const std::optional<double> full_rate =
      full == rows.end() ? std::nullopt : std::optional(full->candidates_per_s);
  std::vector<Row> torch_rows;
  for (const TorchRow& torch : report.torch) {
    Row row{};
    row.model = "torch:" + torch.model;
    row.form = torch.form;
    row.p50_us = torch.p50_us;
    row.p99_us = torch.p99_us;
    row.candidates_per_s = torch.candidates_per_s;
    torch_rows.push_back(row);
  }
  for (Row& row : rows) {
    if (full_rate) row.versus_full = row.candidates_per_s / *full_rate;
    const auto torch = std::ranges::find(torch_rows, "torch:" + row.model, &Row::model);
    if (torch != torch_rows.end()) row.versus_torch = torch->p50_us / row.p50_us;
  }
  rows.insert(rows.end(), torch_rows.begin(), torch_rows.end());
  return rows;
}

struct Column {
  const char* name;
  const char* title[2];
  std::string (*text)(const Row&);
};

// In the order of the table and of the CSV file.
constexpr Column kColumns[] = {
    {"k", {"", "K"}, [](const Row& r) { return Fixed(r.k, 0, "-"); }},
    {"item_tables",
     {"item", "tables"},
     [](const Row& r) -> std::string {
       return !r.has_tables ? "-" : *r.has_tables ? "yes" : "no";
     }},
    {"auc", {"", "AUC"}, [](const Row& r) { return Fixed(r.auc, 4, "-"); }},
    {"gauc", {"", "GAUC"}, [](const Row& r) { return Fixed(r.gauc, 4, "-"); }},
    {"log_loss", {"log", "loss"}, [](const Row& r) { return Fixed(r.log_loss, 4, "-"); }},
    {"request_p50_us", {"request", "p50 us"}, [](const Row& r) { return Fixed(r.p50_us, 1, "-"); }},
    {"request_p99_us", {"request", "p99 us"}, [](const Row& r) { return Fixed(r.p99_us, 1, "-"); }},
    {"prepare_p50_us",
     {"prepare", "p50 us"},
     [](const Row& r) { return Fixed(r.prepare_us, 1, "-"); }},
    {"score_p50_us", {"score", "p50 us"}, [](const Row& r) { return Fixed(r.score_us, 1, "-"); }},
    {"candidates_per_core_s",
     {"candidates", "per core s"},
     [](const Row& r) { return Fixed(r.candidates_per_s, 0, "-"); }},
    {"bytes_per_user",
     {"bytes per", "user"},
     [](const Row& r) { return Fixed(r.user_bytes, 0, "-"); }},
    {"table_bytes_per_item",
     {"tables,", "bytes/item"},
     [](const Row& r) { return Fixed(r.item_bytes, 0, "-"); }},
    {"speed_vs_torch",
     {"speed vs", "PyTorch"},
     [](const Row& r) { return Fixed(r.versus_torch, 1, "-"); }},
    {"speed_vs_full_attention",
     {"vs full", "attention"},
     [](const Row& r) { return Fixed(r.versus_full, 2, "-"); }},
    {"precision", {"", "precision"}, [](const Row& r) -> std::string { return r.precision; }},
    {"form", {"PyTorch's", "form"}, [](const Row& r) { return r.form; }},
};

std::string Padded(const std::string& text, int width) {
  char line[128];
  std::snprintf(line, sizeof(line), "%*s", width, text.c_str());
  return line;
}

constexpr size_t kNameWidth = 20;  // of the first column, at least

std::string PaddedRight(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

// As the table names it: the model, and how it is served where that is not as it was trained.
std::string NameOf(const Row& row) {
  const bool is_own = !row.retrieval || *row.retrieval == "own";
  return is_own ? row.model : Cat(row.model, " by ", *row.retrieval);
}

Json SamplesJson(const std::vector<CtrSample>& samples) {
  Json json = {{"users", Json::array()},
               {"items", Json::array()},
               {"ends", Json::array()},
               {"labels", Json::array()}};
  for (const CtrSample& sample : samples) {
    json["users"].push_back(sample.user);
    json["items"].push_back(sample.item);
    json["ends"].push_back(sample.history_end);
    json["labels"].push_back(sample.label);
  }
  return json;
}

// Gives the rows of models their logits and which of the returned sets of samples these are of.
Json AddLogits(const std::vector<CtrContender>& contenders, Json& rows) {
  Json sets = Json::array();
  std::vector<const std::vector<CtrSample>*> known;
  for (size_t i = 0; i < contenders.size(); ++i) {
    const std::vector<CtrSample>& samples = contenders[i].data->samples;
    const auto found =
        std::ranges::find_if(known, [&](const auto* other) { return *other == samples; });
    rows[i]["samples"] = found - known.begin();
    if (found == known.end()) {
      known.push_back(&samples);
      sets.push_back(SamplesJson(samples));
    }
    rows[i]["logits"] = contenders[i].check.logits;
  }
  return sets;
}

}  // namespace

std::string CheckText(const std::vector<CtrContender>& contenders) {
  std::string text =
      "model            precision   samples  largest logit difference       AUC  exported AUC\n";
  for (const CtrContender& contender : contenders) {
    const CtrCheck& check = contender.check;
    char line[160];
    std::snprintf(line, sizeof(line), "%-16s %9s %9zu  %24.3g  %8s  %12s  %s\n",
                  CtrUnitName(contender.data->unit), PrecisionName(contender.precision),
                  check.logits.size(), check.largest_difference, Fixed(check.auc, 5, "-").c_str(),
                  Fixed(check.exported_auc, 5, "-").c_str(),
                  !contender.is_as_exported() ? Cat("served with ", contender.retrieval).c_str()
                  : check.agrees()            ? "ok"
                                              : "MISMATCH");
    text += line;
  }
  return text;
}

std::string CtrTableText(const CtrReport& report) {
  const std::vector<Row> rows = Rows(report);
  size_t width = kNameWidth;
  for (const Row& row : rows) width = std::max(width, NameOf(row).size() + 1);
  std::string text;
  for (const size_t part : {size_t{0}, size_t{1}}) {
    text += PaddedRight(part == 0 ? "" : "model", width);
    for (const Column& column : kColumns) text += Padded(column.title[part], 11);
    text += '\n';
  }
  for (const Row& row : rows) {
    text += PaddedRight(NameOf(row), width);
    for (const Column& column : kColumns) text += Padded(column.text(row), 11);
    text += '\n';
  }
  return text;
}

std::string CtrCsvText(const CtrReport& report) {
  std::string text = "model,retrieval";
  for (const Column& column : kColumns) text += Cat(",", column.name);
  text += '\n';
  for (const Row& row : Rows(report)) {
    text += Cat(CsvField(row.model), ",", row.retrieval.value_or(""));
    for (const Column& column : kColumns) {
      const std::string value = column.text(row);
      text += Cat(",", value == "-" ? "" : value);
    }
    text += '\n';
  }
  return text;
}

std::string CtrJsonText(const CtrReport& report) {
  const CtrOptions& o = report.options;
  const Environment& e = report.environment;
  Json rows = Json::array();
  for (const Row& row : Rows(report)) {
    Json entry = {{"model", row.model},
                  {"retrieval", row.retrieval ? Json(*row.retrieval) : Json(nullptr)}};
    for (const Column& column : kColumns) {
      const std::string value = column.text(row);
      const Json number = Json::parse(value, nullptr, false);
      entry[column.name] = value == "-"            ? Json(nullptr)
                           : number.is_discarded() ? Json(value)
                                                   : number;
    }
    // In full: differences of models are smaller than what the table shows.
    for (const auto& [name, value] :
         {std::pair("auc", row.auc), {"gauc", row.gauc}, {"log_loss", row.log_loss}}) {
      if (value) entry[name] = *value;
    }
    if (row.difference) entry["largest_logit_difference"] = *row.difference;
    rows.push_back(std::move(entry));
  }
  const Json samples = o.has_logits ? AddLogits(report.contenders, rows) : Json(nullptr);
  const Json json = {{"program", "ctr_bench"},
                     {"version", kProjectVersion},
                     {"revision", kGitRevision},
                     {"command_line", o.command_line},
                     {"target", report.target},
                     {"threads", 1},
                     {"candidates", o.candidates},
                     {"length", o.length},
                     {"requests", o.requests},
                     {"rounds", o.rounds},
                     {"seed", o.seed},
                     {"environment",
                      {{"date", e.date},
                       {"cpu", e.cpu},
                       {"usable_cpus", e.usable_cpus},
                       {"kernel", e.kernel},
                       {"load_average", e.load_average},
                       {"cpu_quota", e.cpu_quota ? Json(*e.cpu_quota) : Json(nullptr)},
                       {"variables", VariablesJson(e)}}},
                     {"rows", std::move(rows)},
                     {"samples", samples}};
  return json.dump(o.has_logits ? -1 : 2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace eta::bench
