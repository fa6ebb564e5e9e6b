// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "baselines/methods.h"
#include "bench/common/build_info.h"
#include "bench/retrieval/sweep/cells.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

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

}  // namespace

Json SweepKey(const Options& options, const std::string& data_digest, const Machine& machine) {
  const Options& o = options;
  Json key = Json::object();
  key["data"] = o.data.empty() ? "generated" : data_digest;
  if (o.data.empty()) AddGenerator(o.generator, key);
  key["normalize"] = o.normalize;
  key["methods"] = o.methods;
  key["k"] = o.k;
  key["temperature"] = o.temperature;
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

}  // namespace eta::bench
