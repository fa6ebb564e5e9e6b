// SPDX-License-Identifier: Apache-2.0
// What a run says: a table to read, a CSV to plot, a JSON to repeat it by.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/common/environment.h"
#include "bench/retrieval/cold.h"
#include "bench/retrieval/load/load.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/requests.h"
#include "bench/retrieval/rows.h"

namespace eta::bench {

// One measurement with all that is needed to repeat it.
struct Report {
  const Options& options;
  const DataSet& data;
  RequestSummary requests;
  std::string target;  // SIMD target of this project's kernels
  Environment environment;
  std::optional<ColdReport> cold;  // with --cache cold
  LoadReport load;                 // with --load or --slo-ms
  std::vector<std::string> notes;
  std::vector<Row> rows;
  std::string per_request_csv;  // with --per-request
};

// Lines about data, requests and machine, to stand before the table.
std::string HeaderText(const Report& report);
// Which users the requests are of, on one line; empty where they are of all.
std::string UsersText(const UserChoice& choice, size_t k);
// The table to read; `k` is the K of all rows.
std::string TableText(std::span<const Row> rows, size_t k);
// The columns kColumns. Header and line have no end of line.
std::string CsvHeader();
std::string CsvLine(const Row& row);
std::string CsvText(std::span<const Row> rows);
std::string JsonText(const Report& report);

// Parts of the JSON; the definitions say what each key of a row means.
nlohmann::ordered_json EnvironmentJson(const Environment& environment, const std::string& target);
nlohmann::ordered_json DefinitionsJson();

}  // namespace eta::bench
