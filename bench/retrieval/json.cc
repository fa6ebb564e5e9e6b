// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "baselines/methods.h"
#include "bench/common/build_info.h"
#include "bench/retrieval/columns.h"
#include "bench/retrieval/load/load_output.h"
#include "bench/retrieval/report.h"
#include "bench/retrieval/row_json.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

Json OrNull(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json GeneratorJson(const GeneratorOptions& g) {
  return {{"seed", g.seed},
          {"users", g.users},
          {"items", g.items},
          {"dim", g.dim},
          {"categories", g.categories},
          {"median_length", g.median_length},
          {"sigma", g.sigma},
          {"max_length", g.max_length},
          {"fixed_length", g.fixed_length},
          {"interests_per_user", g.interests_per_user},
          {"cross_category_share", g.cross_category_share}};
}

Json NormsJson(const std::optional<NormSpread>& norms) {
  if (!norms) return nullptr;
  return {{"p5", norms->p5}, {"p50", norms->p50}, {"p95", norms->p95}};
}

Json DataJson(const Report& report) {
  const Options& o = report.options;
  const Bundle& bundle = report.data.bundle;
  return {{"folder", o.data.empty() ? Json(nullptr) : Json(o.data)},
          {"generator", o.data.empty() ? GeneratorJson(o.generator) : Json(nullptr)},
          {"name", bundle.name},
          {"source", bundle.source},
          {"licence", bundle.licence},
          {"made_by", bundle.made_by},
          {"digest", report.data.digest},
          {"users", bundle.histories.users()},
          {"items", bundle.items.size()},
          {"behaviours", bundle.histories.items.size()},
          {"dim", bundle.items.dim()},
          {"normalized", o.normalize},
          {"norms", NormsJson(report.data.norms)},
          {"has_categories", !bundle.items.categories.empty()},
          {"has_candidates", bundle.candidates.has_value()},
          {"has_candidate_embeddings", bundle.items.candidate_embeddings.has_value()}};
}

Json ColdJson(const ColdReport& cold) {
  const char* how =
      cold.is_flushed
          ? "a buffer of cold_factor x last_level_cache_bytes is read before each turn of a method"
          : "each method holds copies of all prepared histories, cold_factor x "
            "last_level_cache_bytes in all, and uses them in turn";
  return {{"how", how},
          {"shared", "code table and embeddings are as warm as the requests of a turn leave them"},
          {"last_level_cache_bytes", cold.cache.bytes},
          {"last_level_cache_source", cold.cache.source},
          {"cold_factor", kColdFactor},
          {"requests_per_turn", cold.turn},
          {"prepared_bytes", cold.prepared_bytes},
          {"memory_limit_bytes", cold.memory_limit}};
}

Json SettingsJson(const Report& report) {
  const Options& o = report.options;
  const auto& loaded = report.data.hyperplanes;
  const auto& codebooks = report.data.codebooks;
  const std::string hyperplanes = o.hyperplanes ? HyperplaneKindName(*o.hyperplanes)
                                                : "gaussian; orthogonal for eta_norm and eta_asym";
  return {{"seed", o.seed},
          {"methods", o.methods},
          {"k", o.k},
          {"temperature", o.temperature},
          {"requests", o.requests},
          {"b", o.b},
          {"held_out", o.held_out},
          {"max_history", o.max_history},
          {"min_history", report.requests.choice.min_history},
          {"hyperplanes", hyperplanes},
          {"hyperplanes_loaded_bits", loaded ? Json(loaded->bits()) : Json(nullptr)},
          {"pq4_loaded_bits", codebooks ? Json(codebooks->bits()) : Json(nullptr)},
          {"threads", o.threads},
          {"split", SplitName(ResolveSplit(o.split, report.requests.requests, o.threads))},
          {"repeats", o.repeats},
          {"pinned", o.pin},
          {"warm_up_runs", 1},  // cold: before all repeats; warm: in each turn of a method
          {"repeats_per_turn", o.is_cold ? 1 : kRepeatsPerTurn},
          {"interleaved", true},
          {"requests_per_turn", TurnSize(o, report.requests.requests)},
          {"cache", o.is_cold ? "cold" : "warm"},
          {"cold", report.cold ? ColdJson(*report.cold) : Json(nullptr)}};
}

}  // namespace

Json EnvironmentJson(const Environment& e, const std::string& target) {
  return {{"date", e.date},
          {"cpu", e.cpu},
          {"logical_cpus", e.logical_cpus},
          {"usable_cpus", e.usable_cpus},
          {"cpu_quota", OrNull(e.cpu_quota)},
          {"governor", e.governor},
          {"cpu_mhz_start", OrNull(e.mhz_start)},
          {"cpu_mhz_end", OrNull(e.mhz_end)},
          {"counters", e.counters},
          {"load_average", e.load_average},
          {"kernel", e.kernel},
          {"target", target},
          {"compiler", kCompiler},
          {"compiler_flags", kCompilerFlags},
          {"build_type", kBuildType},
          {"variables", VariablesJson(e)},
          {"versions",
           {{"eta-simd", kProjectVersion},
            {"git_revision", kGitRevision},
            {"highway", kHighwayVersion},
            {"faiss", FaissBuild()}}}};
}

Json DefinitionsJson() {
  Json definitions = Json::object();
  for (const Column& column : kColumns) definitions[column.name] = column.meaning;
  definitions["recall_p50"] = "median over requests of their recall";
  definitions["p50_ns_per_candidate"] =
      "median over all samples of the latency divided by the candidates of the request";
  definitions["vs_exact"] = "p50_us of the method exact / p50_us: larger is faster";
  definitions["table_bytes"] =
      "memory of the tables that retrieval reads, the item embeddings only where it reads them";
  definitions["latency_samples"] = "requests x repeats, of which the percentiles are";
  definitions["voluntary_switches"] =
      "context switches of the process during the timed runs because a thread waited";
  definitions["involuntary_switches"] = "the same, because another program or thread got the CPU";
  definitions["cycles_per_code"] =
      "CPU cycles in user mode during the timed runs / (candidates x behaviours); with one thread "
      "and where the CPU's counters are open to programs";
  definitions["instructions_per_code"] = "as cycles_per_code, instructions";
  definitions["repeat_p50_us"] = "median latency of each repeat of all requests, in microseconds";
  definitions["recall_histogram"] =
      "requests by recall, in equal bins from 0 to 1; each has its lower edge, the last also 1";
  definitions["positions_digest"] =
      "equal where the same positions were returned for every candidate, in whatever order";
  definitions["requests_with_recall"] = "requests with a history, of which the recall means are";
  return definitions;
}

std::string JsonText(const Report& report) {
  Json rows = Json::array();
  for (const Row& row : report.rows) rows.push_back(RowJson(row));
  const Json json = {{"format", "eta-simd retrieval_bench 1"},
                     {"command_line", report.options.command_line},
                     {"data", DataJson(report)},
                     {"settings", SettingsJson(report)},
                     {"requests", RequestsJson(report.requests)},
                     {"environment", EnvironmentJson(report.environment, report.target)},
                     {"notes", report.notes},
                     {"rows", rows},
                     {"load", LoadJson(report.load, report.options)},
                     {"definitions", DefinitionsJson()}};
  // File names and bundle texts need not be UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace eta::bench
