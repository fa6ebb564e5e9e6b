// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/row_json.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "core/base/check.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

// Calls visit(name, field) for all fields but the digest, in the order of the JSON.
template <class AnyRow, class Visit>
void VisitFields(AnyRow& row, const Visit& visit) {
  visit("method", row.method);
  visit("bits", row.bits);
  visit("dim", row.dim);
  visit("k", row.k);
  visit("l_mean", row.l_mean);
  visit("b", row.b);
  visit("threads", row.threads);
  visit("target", row.target);
  visit("cache", row.cache);
  visit("recall", row.recall);
  visit("recall_p5", row.recall_p5);
  visit("recall_ties", row.recall_ties);
  visit("attention_mass", row.attention_mass);
  visit("p50_us", row.p50_us);
  visit("p50_low_us", row.p50_low_us);
  visit("p50_high_us", row.p50_high_us);
  visit("p95_us", row.p95_us);
  visit("p99_us", row.p99_us);
  visit("p999_us", row.p999_us);
  visit("candidates_per_s", row.candidates_per_s);
  visit("bytes_per_behaviour", row.bytes_per_behaviour);
  visit("build_us", row.build_us);
  visit("user_bytes", row.user_bytes);
  visit("shared_bytes", row.shared_bytes);
  visit("recall_p50", row.recall_p50);
  visit("p50_ns_per_candidate", row.p50_ns_per_candidate);
  visit("vs_exact", row.vs_exact);
  visit("table_bytes", row.table_bytes);
  visit("latency_samples", row.samples);
  visit("requests_with_recall", row.requests_with_recall);
  visit("voluntary_switches", row.voluntary_switches);
  visit("involuntary_switches", row.involuntary_switches);
  visit("cycles_per_code", row.cycles_per_code);
  visit("instructions_per_code", row.instructions_per_code);
  visit("repeat_p50_us", row.repeat_p50_us);
  visit("recall_histogram", row.recall_histogram);
}

// As text, because a JSON number has 53 bits only.
std::string Hex(uint64_t value) {
  std::array<char, 17> text;
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

uint64_t FromHex(const std::string& text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  Require(error == std::errc() && stop == end, "positions_digest is no hexadecimal number");
  return value;
}

}  // namespace

Json RowJson(const Row& row) {
  Json json = Json::object();
  VisitFields(row, [&](const char* name, const auto& field) {
    if constexpr (std::is_same_v<decltype(field), const std::optional<double>&>) {
      json[name] = field ? Json(*field) : Json(nullptr);
    } else {
      json[name] = field;
    }
  });
  json["positions_digest"] = Hex(row.positions_digest);
  return json;
}

Row RowFromJson(const Json& json) {
  Row row{};
  VisitFields(row, [&](const char* name, auto& field) {
    const Json& value = json.at(name);
    using Field = std::remove_reference_t<decltype(field)>;
    if constexpr (std::is_same_v<Field, std::optional<double>>) {
      if (!value.is_null()) field = value.get<double>();
    } else if constexpr (std::is_integral_v<Field>) {
      field = WholeFromJson<Field>(value);
    } else if constexpr (std::is_same_v<Field, decltype(Row::recall_histogram)>) {
      for (size_t i = 0; i < field.size(); ++i) field[i] = WholeFromJson<size_t>(value.at(i));
    } else {
      value.get_to(field);
    }
  });
  row.positions_digest = FromHex(json.at("positions_digest"));
  return row;
}

Json RequestsJson(const RequestSummary& r) {
  const UserChoice& c = r.choice;
  return {{"users", c.users},
          {"users_median_behaviours", c.median},
          {"min_history_asked_for", c.asked_for},
          {"min_history_is_default", c.is_default},
          {"users_qualifying", c.qualifying},
          {"min_history", c.min_history},
          {"requests", r.requests},
          {"empty_histories", r.empty_histories},
          {"behaviours_min", r.behaviours_min},
          {"behaviours_median", r.behaviours_median},
          {"behaviours_mean", r.l_mean},
          {"behaviours_max", r.behaviours_max},
          {"candidates_mean", r.b_mean}};
}

RequestSummary RequestsFromJson(const Json& json) {
  const auto whole = [&](const char* name) { return WholeFromJson<size_t>(json.at(name)); };
  return {.choice = {.users = whole("users"),
                     .median = whole("users_median_behaviours"),
                     .is_default = json.at("min_history_is_default"),
                     .asked_for = whole("min_history_asked_for"),
                     .qualifying = whole("users_qualifying"),
                     .min_history = whole("min_history")},
          .requests = whole("requests"),
          .behaviours_min = whole("behaviours_min"),
          .behaviours_median = whole("behaviours_median"),
          .behaviours_max = whole("behaviours_max"),
          .empty_histories = whole("empty_histories"),
          .l_mean = json.at("behaviours_mean"),
          .b_mean = json.at("candidates_mean")};
}

}  // namespace eta::bench
