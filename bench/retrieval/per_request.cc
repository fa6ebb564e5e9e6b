// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/per_request.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "bench/common/text.h"
#include "bench/retrieval/columns.h"
#include "core/base/check.h"
#include "core/retrieval/metrics.h"

namespace eta::bench {
namespace {

double MedianSeconds(const Measurements& measurements, size_t request) {
  std::vector<double> seconds;
  for (const auto& repeat : measurements.repeat_latencies) seconds.push_back(repeat[request]);
  std::ranges::sort(seconds);
  return Percentile(seconds, 50);
}

std::string Line(const Contender& contender, const UserRequest& request, size_t index) {
  const Measurements& measurements = contender.measurements();
  const auto& quality = measurements.quality[index];
  const auto value = [&](const std::optional<double>& number) { return Fixed(number, 6, ""); };
  return Cat(request.user, ',', request.history.size(), ',', request.candidates.size(), ',',
             CsvField(contender.retriever().name()), ',',
             value(quality ? std::optional(quality->recall) : std::nullopt), ',',
             value(quality ? std::optional(quality->recall_ties) : std::nullopt), ',',
             value(quality ? quality->attention_mass : std::nullopt), ',',
             Fixed(1e6 * MedianSeconds(measurements, index), 3), '\n');
}

}  // namespace

std::string PerRequestCsv(std::span<const Contender> contenders,
                          std::span<const UserRequest> requests) {
  std::string text;
  for (const Column& column : kPerRequestColumns) text += Cat(text.empty() ? "" : ",", column.name);
  text += '\n';
  for (size_t r = 0; r < requests.size(); ++r) {
    for (const Contender& contender : contenders) text += Line(contender, requests[r], r);
  }
  return text;
}

}  // namespace eta::bench
