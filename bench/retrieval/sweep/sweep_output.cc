// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "bench/retrieval/report.h"
#include "bench/retrieval/row_json.h"
#include "bench/retrieval/sweep/sweep_run.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

Json AxesJson(const std::vector<SweepAxis>& axes) {
  Json json = Json::object();
  for (const SweepAxis& axis : axes) json[axis.name] = axis.values;
  return json;
}

}  // namespace

std::vector<std::string> SweepNotes(const SweepReport& report) {
  std::vector<std::string> notes;
  for (const FinishedCell& cell : report.finished) {
    for (const std::string& note : cell.notes) notes.push_back(Cat(cell.cell.Text(), ": ", note));
  }
  const size_t missing = report.cells - report.finished.size();
  if (missing > 0) {
    notes.push_back(Cat("the time is over: ", report.finished.size(), " of ", report.cells,
                        " cells are done",
                        report.options.cells.empty() ? "; with --cells a sweep can go on later"
                                                     : "; the same command goes on"));
  }
  return notes;
}

std::string SweepTableText(const SweepReport& report) {
  std::string text;
  for (const FinishedCell& cell : report.finished) {
    const size_t k = cell.rows.empty() ? report.options.k : cell.rows.front().k;
    const std::string users = UsersText(cell.requests.choice, k);
    text += Cat(text.empty() ? "" : "\n", cell.cell.Text(), users.empty() ? "" : "; ", users, "\n",
                TableText(cell.rows, k));
  }
  return text;
}

std::string SweepCsvText(const SweepReport& report) {
  std::string text = CsvHeader();
  for (const SweepAxis& axis : report.options.sweep) {
    if (axis.name != "bits") text += ",sweep_" + axis.name;
  }
  text += '\n';
  for (const FinishedCell& cell : report.finished) {
    std::string values;
    for (const auto& [name, value] : cell.cell.values) values += Cat(',', value);
    for (const Row& row : cell.rows) text += CsvLine(row) + values + '\n';
  }
  return text;
}

std::string SweepJsonText(const SweepReport& report) {
  Json rows = Json::array();
  Json cells = Json::array();
  Notes notes = report.machine.notes;
  std::ranges::move(SweepNotes(report), std::back_inserter(notes));
  for (const FinishedCell& finished : report.finished) {
    for (const Row& row : finished.rows) {
      rows.push_back(RowJson(row));
      for (const auto& [name, value] : finished.cell.values) rows.back()["sweep_" + name] = value;
    }
    cells.push_back(CellJson(finished));
    cells.back().erase("rows");
    cells.back()["rows"] = finished.rows.size();
  }
  const Json json = {
      {"format", "eta-simd retrieval_bench sweep 1"},
      {"command_line", report.options.command_line},
      {"sweep", AxesJson(report.options.sweep)},
      {"settings", report.key},
      {"environment", EnvironmentJson(report.machine.environment, report.machine.target)},
      {"cells_planned", report.cells},
      {"cells", cells},
      {"notes", notes},
      {"rows", rows},
      {"definitions", DefinitionsJson()}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace eta::bench
