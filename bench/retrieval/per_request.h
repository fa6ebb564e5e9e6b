// SPDX-License-Identifier: Apache-2.0
// --per-request: a row for each request and method.
#pragma once

#include <span>
#include <string>

#include "bench/retrieval/measure.h"
#include "bench/retrieval/requests.h"

namespace eta::bench {

// The columns kPerRequestColumns, request after request, of each the methods in their order.
std::string PerRequestCsv(std::span<const Contender> contenders,
                          std::span<const UserRequest> requests);

}  // namespace eta::bench
