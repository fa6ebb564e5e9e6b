// SPDX-License-Identifier: Apache-2.0
// What --load and --slo-ms measured, as text, CSV and JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "bench/retrieval/load/load.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/rows.h"

namespace eta::bench {

// Tables of --load and of --slo-ms; empty where neither was given.
std::string LoadTableText(const LoadReport& report, const Options& options);
// One line per rate of --load and per probe of --slo-ms; columns as in kLoadColumns.
std::string LoadCsvText(const LoadReport& report, const RequestSummary& requests,
                        const Options& options);
// Null where neither was given.
nlohmann::ordered_json LoadJson(const LoadReport& report, const Options& options);

}  // namespace eta::bench
