// SPDX-License-Identifier: Apache-2.0
// Rows and requests as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/retrieval/rows.h"
#include "core/base/check.h"

namespace eta::bench {

// The inverse functions throw nlohmann::json::exception or std::invalid_argument on what the others
// do not write.
nlohmann::ordered_json RowJson(const Row& row);
Row RowFromJson(const nlohmann::ordered_json& json);

nlohmann::ordered_json RequestsJson(const RequestSummary& requests);
RequestSummary RequestsFromJson(const nlohmann::ordered_json& json);

// The whole number that `json` is. Throws std::invalid_argument where T cannot hold it: nlohmann's
// own conversion cuts it, and that of a large floating-point number is undefined.
template <class T>
T WholeFromJson(const nlohmann::ordered_json& json) {
  Require(json.is_number_integer(), "a ", json.type_name(), " is no whole number");
  const bool fits = json.is_number_unsigned() ? std::in_range<T>(json.get<uint64_t>())
                                              : std::in_range<T>(json.get<int64_t>());
  Require(fits, "a whole number is out of range");
  return json.get<T>();
}

}  // namespace eta::bench
