// SPDX-License-Identifier: Apache-2.0
// Rows and requests as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "bench/retrieval/rows.h"

namespace eta::bench {

// The inverse functions throw nlohmann::json::exception or std::invalid_argument on what the others
// do not write.
nlohmann::ordered_json RowJson(const Row& row);
Row RowFromJson(const nlohmann::ordered_json& json);

nlohmann::ordered_json RequestsJson(const RequestSummary& requests);
RequestSummary RequestsFromJson(const nlohmann::ordered_json& json);

}  // namespace eta::bench
