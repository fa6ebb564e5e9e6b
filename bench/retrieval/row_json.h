// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "bench/retrieval/rows.h"

namespace eta::bench {

nlohmann::ordered_json RowJson(const Row& row);
// The inverse. Throws nlohmann::json::exception or std::invalid_argument on what RowJson does not
// write.
Row RowFromJson(const nlohmann::ordered_json& json);

nlohmann::ordered_json RequestsJson(const RequestSummary& requests);

}  // namespace eta::bench
