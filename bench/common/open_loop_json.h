// SPDX-License-Identifier: Apache-2.0
// An open loop's result as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "bench/common/open_loop.h"

namespace eta::bench {

// All fields but `served`, which is arrivals less unserved.
nlohmann::ordered_json OpenLoopJson(const OpenLoopResult& result);

}  // namespace eta::bench
