// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/common/build_info.h"
#include "bench/common/open_loop_json.h"
#include "bench/serving/report.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

Json AgesJson(const std::optional<Ages>& ages) {
  if (!ages) return nullptr;
  return {{"requests", ages->requests},
          {"p50_s", ages->p50},
          {"p99_s", ages->p99},
          {"max_s", ages->max}};
}

Json PhaseJson(const PhaseResult& p, double quiet_p99) {
  Json swaps = Json::array(), slices = Json::array();
  for (const ModelSwap& swap : p.swaps) {
    swaps.push_back({{"begin_s", swap.begin}, {"end_s", swap.end}, {"version", swap.version}});
  }
  for (const LatencySlice& slice : p.slices) {
    slices.push_back({{"begin_s", slice.begin},
                      {"requests", slice.requests},
                      {"p50_us", slice.p50_us},
                      {"p99_us", slice.p99_us},
                      {"max_us", slice.max_us}});
  }
  Json appends = nullptr;
  if (p.appends) {
    appends = OpenLoopJson(*p.appends);
    appends["behaviours_per_s"] = p.appended_per_second;
  }
  return {
      {"name", p.plan.name},
      {"request", RequestName(p.plan.kind)},
      {"durability", p.plan.appends ? Json(DurabilityName(*p.plan.appends)) : Json(nullptr)},
      {"requests", OpenLoopJson(p.requests)},
      {"p99_of_quiet", p.requests.p99_us / quiet_p99},
      {"cpu_p50_us", p.processor.p50_us},
      {"cpu_p99_us", p.processor.p99_us},
      {"waited_s", p.processor.waited_seconds ? Json(*p.processor.waited_seconds) : Json(nullptr)},
      {"swap_priority", p.plan.swaps ? Json(PriorityName(*p.plan.swaps)) : Json(nullptr)},
      {"cache_hits", p.hits},
      {"cache_misses", p.misses},
      {"cache_drops", p.drops},
      {"cache_unkept", p.unkept},
      {"cache_gathers", p.gathers},
      {"disk_read_bytes", p.disk ? Json(p.disk->read) : Json(nullptr)},
      {"disk_written_bytes", p.disk ? Json(p.disk->written) : Json(nullptr)},
      {"appends", std::move(appends)},
      {"swaps", std::move(swaps)},
      {"behaviour_age", AgesJson(p.behaviour_age)},
      {"model_age", AgesJson(p.model_age)},
      {"stale", p.stale},
      {"checked", p.checked},
      {"wrong", p.wrong},
      {"slice_s", p.slice_seconds},
      {"slices", std::move(slices)}};
}

Json RatiosJson(const ServingRatios& r) {
  return {
      {"items", r.items},         {"rehash_ms", r.rehash_ms},        {"rebuild_ms", r.rebuild_ms},
      {"users", r.users},         {"behaviours_mean", r.behaviours}, {"eta_us", r.eta_us},
      {"cached_us", r.cached_us}, {"eta_gather_us", r.gather_us},    {"cold_us", r.cold_us},
      {"ctr_us", r.ctr_us},       {"scored_us", r.scored_us}};
}

Json StoreJson(const ServingReport& report) {
  return {{"users", report.users},
          {"behaviours", report.fill.behaviours},
          {"append_s", report.fill.append_seconds},
          {"compact_s", report.fill.compact_seconds},
          {"bytes", report.store_bytes}};
}

Json OptionsJson(const ServingOptions& o, size_t dim) {
  return {{"dim", dim},
          {"bits", o.bits},
          {"k", o.k},
          {"b", o.b},
          {"max_history", o.max_history},
          {"seed", o.seed},
          {"zipf", o.zipf},
          {"rate", o.rate},
          {"seconds", o.seconds},
          {"threads", o.threads},
          {"appends_per_s", o.appends},
          {"batch", o.batch},
          {"swap_every_s", o.swap_seconds},
          {"swap_threads", o.swap_threads},
          {"cache_bytes", o.cache_mib << 20}};
}

Json EnvironmentJson(const Environment& e) {
  return {{"date", e.date},
          {"cpu", e.cpu},
          {"usable_cpus", e.usable_cpus},
          {"load_average", e.load_average},
          {"cpu_quota", e.cpu_quota ? Json(*e.cpu_quota) : Json(nullptr)},
          {"kernel", e.kernel},
          {"variables", VariablesJson(e)}};
}

}  // namespace

std::string ServingJson(const ServingReport& report) {
  Json phases = Json::array(), appends = Json::array();
  for (const PhaseResult& phase : report.phases) {
    phases.push_back(PhaseJson(phase, QuietP99(report, phase.plan)));
  }
  for (const AppendRow& row : report.appends) {
    appends.push_back({{"durability", DurabilityName(row.durability)},
                       {"behaviours_per_s", row.per_second},
                       {"p50_us", row.p50_us},
                       {"p99_us", row.p99_us},
                       {"max_us", row.max_us}});
  }
  const Json json = {
      {"program", "serving_bench"},
      {"version", kProjectVersion},
      {"revision", kGitRevision},
      {"command_line", report.options.command_line},
      {"target", report.target},
      {"environment", EnvironmentJson(report.environment)},
      {"options", OptionsJson(report.options, report.dim)},
      {"store", StoreJson(report)},
      {"cache", {{"users", report.cache.users}, {"bytes", report.cache.bytes}}},
      {"memory_bytes", report.memory_bytes ? Json(*report.memory_bytes) : Json(nullptr)},
      {"ratios", RatiosJson(report.ratios)},
      {"appends_alone", std::move(appends)},
      {"phases", std::move(phases)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace eta::bench
