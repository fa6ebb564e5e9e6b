// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/sweep/cells.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "baselines/methods.h"
#include "bench/common/build_info.h"
#include "bench/common/output.h"
#include "bench/retrieval/row_json.h"
#include "core/base/check.h"
#include "core/base/files.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "eta-simd retrieval_bench cells 1";

void AddGenerator(const GeneratorOptions& g, Json& key) {
  key["length"] = g.fixed_length;
  key["dim"] = g.dim;
  key["users"] = g.users;
  key["items"] = g.items;
  key["categories"] = g.categories;
  key["median-length"] = g.median_length;
  key["sigma"] = g.sigma;
  key["max-length"] = g.max_length;
  key["interests"] = g.interests_per_user;
  key["cross-category"] = g.cross_category_share;
  key["gen-seed"] = g.seed;
}

FinishedCell CellFromJson(const Json& json) {
  FinishedCell cell;
  for (const auto& [name, value] : json.at("values").items()) {
    cell.cell.values.emplace_back(name, value.get<size_t>());
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
    throw DataError(Cat(path, ": its cells were measured with ", name, " = ", other.dump(),
                        ", and now it is ", value.dump(), "; take another file for --cells"));
  }
}

}  // namespace

Json SweepKey(const Options& options, const std::string& data_digest, const Machine& machine) {
  const Options& o = options;
  Json key = Json::object();
  key["data"] = o.data.empty() ? "generated" : data_digest;
  if (o.data.empty()) AddGenerator(o.generator, key);
  key["normalize"] = o.normalize;
  key["methods"] = o.methods;
  key["k"] = o.k;
  key["requests"] = o.requests;
  key["b"] = o.b;
  key["held-out"] = o.held_out;
  key["max-history"] = o.max_history;
  key["min-history"] = o.min_history ? Json(*o.min_history) : Json("more than 2 K");
  key["seed"] = o.seed;
  key["hyperplanes"] = o.hyperplanes ? HyperplaneKindName(*o.hyperplanes) : "of the data";
  key["threads"] = o.threads;
  key["split"] = SplitName(o.split);
  key["repeats"] = o.repeats;
  key["pin"] = o.pin;
  key["cache"] = o.is_cold ? "cold" : "warm";
  key["llc-mb"] = o.llc_mb;
  key["cold-memory"] = o.cold_memory_mb;
  key["target"] = machine.target;
  key["cpu"] = machine.environment.cpu;
  key["revision"] = Cat(kProjectVersion, " ", kGitRevision);
  key["compiler"] = Cat(kCompiler, " ", kCompilerFlags);
  key["faiss"] = FaissBuild();
  for (const SweepAxis& axis : o.sweep) {
    const char* name = axis.name != "L" ? axis.name.c_str()
                       : o.data.empty() ? "length"
                                        : "max-history";
    if (axis.name != "bits") key[name] = "swept";
  }
  return key;
}

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
    Require(json.at("format") == kFormat, "the format is ", json.at("format").dump());
    RequireKey(path, json.at("key"), key);
    for (const Json& cell : json.at("cells")) cells.push_back(CellFromJson(cell));
  } catch (const Json::exception& error) {
    throw DataError(Cat(path, ": no file of --cells: ", error.what()));
  } catch (const std::invalid_argument& error) {
    throw DataError(Cat(path, ": no file of --cells: ", error.what()));
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
