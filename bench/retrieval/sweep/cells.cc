// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/sweep/cells.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "bench/common/output.h"
#include "bench/common/text.h"
#include "bench/retrieval/row_json.h"
#include "core/base/check.h"
#include "core/base/files.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "eta-simd retrieval_bench cells 1";

// A value of a file for a message, short and on one line. dump() recurses, so that a deep value
// would take all of the stack.
std::string Quote(const Json& json) {
  for (const Json& part : json) {
    for (const Json& inner : part) {
      if (part.is_structured() && inner.is_structured()) {
        return Cat("a nested ", json.type_name());
      }
    }
  }
  return Excerpt(json.dump(-1, ' ', true, Json::error_handler_t::replace));
}

FinishedCell CellFromJson(const Json& json) {
  FinishedCell cell;
  for (const auto& [name, value] : json.at("values").items()) {
    cell.cell.values.emplace_back(name, WholeFromJson<size_t>(value));
  }
  cell.data_digest = json.at("data_digest");
  cell.requests = RequestsFromJson(json.at("requests"));
  cell.seconds = json.at("seconds");
  json.at("notes").get_to(cell.notes);
  for (const Json& row : json.at("rows")) cell.rows.push_back(RowFromJson(row));
  return cell;
}

void RequireKey(const std::string& path, const Json& found, const Json& key) {
  for (const auto& [name, value] : key.items()) {
    const Json other = found.value(name, Json(nullptr));
    if (other == value) continue;
    throw DataError(Cat(path, ": its cells were measured with ", name, " = ", Quote(other),
                        ", and now it is ", Quote(value), "; take another file for --cells"));
  }
}

}  // namespace

Json CellJson(const FinishedCell& cell) {
  Json values = Json::object();
  for (const auto& [name, value] : cell.cell.values) values[name] = value;
  Json rows = Json::array();
  for (const Row& row : cell.rows) rows.push_back(RowJson(row));
  return {{"values", values},
          {"data_digest", cell.data_digest},
          {"requests", RequestsJson(cell.requests)},
          {"seconds", cell.seconds},
          {"notes", cell.notes},
          {"rows", rows}};
}

std::vector<FinishedCell> ReadCells(const std::string& path, const Json& key) {
  std::vector<FinishedCell> cells;
  std::error_code error;
  if (path.empty()) return cells;
  const bool is_there = std::filesystem::exists(path, error);
  if (!error && !is_there) return cells;
  std::ifstream file = OpenRegularFile(path);
  std::ostringstream text;
  text << file.rdbuf();
  try {
    const Json json = Json::parse(text.str());
    Require(json.at("format") == kFormat, "the format is ", Quote(json.at("format")));
    RequireKey(path, json.at("key"), key);
    for (const Json& cell : json.at("cells")) cells.push_back(CellFromJson(cell));
  } catch (const Json::exception& error) {
    throw DataError(Cat(path, ": no file of --cells: ", Excerpt(error.what(), 300)));
  } catch (const std::invalid_argument& error) {
    throw DataError(Cat(path, ": no file of --cells: ", Excerpt(error.what(), 300)));
  }
  return cells;
}

void WriteCells(const std::string& path, const Json& key, const std::vector<FinishedCell>& cells) {
  if (path.empty()) return;
  Json list = Json::array();
  for (const FinishedCell& cell : cells) list.push_back(CellJson(cell));
  const Json json = {{"format", kFormat}, {"key", key}, {"cells", list}};
  WriteWholeFile(path, json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace eta::bench
