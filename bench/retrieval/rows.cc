// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/rows.h"

#include <algorithm>
#include <cmath>

#include "bench/retrieval/interval.h"
#include "core/retrieval/metrics.h"

namespace eta::bench {
namespace {

std::optional<double> MeanOf(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return Mean(values);
}

std::optional<double> PercentileOf(std::vector<double> values, double percent) {
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  return Percentile(values, percent);
}

void FillLatencies(const Measurements& m, Row& row) {
  std::vector<double> sorted = m.latencies;
  std::ranges::sort(sorted);
  row.p50_us = 1e6 * Percentile(sorted, 50);
  row.p95_us = 1e6 * Percentile(sorted, 95);
  row.p99_us = 1e6 * Percentile(sorted, 99);
  row.p999_us = 1e6 * Percentile(sorted, 99.9);
  row.samples = sorted.size();
  for (const std::vector<double>& latencies : m.repeat_latencies) {
    row.repeat_p50_us.push_back(1e6 * *PercentileOf(latencies, 50));
  }
  if (const auto interval = MedianInterval(row.repeat_p50_us)) {
    row.p50_low_us = interval->low;
    row.p50_high_us = interval->high;
  }
  row.p50_ns_per_candidate = 1e9 * *PercentileOf(m.latencies_per_candidate, 50);
  row.candidates_per_s = static_cast<double>(m.candidates) / m.retrieve_seconds;
  row.build_us = 1e6 * m.build_seconds / static_cast<double>(m.builds);
  row.user_bytes = static_cast<double>(m.user_bytes) / static_cast<double>(m.builds);
  if (m.behaviours > 0) {
    row.bytes_per_behaviour = static_cast<double>(m.user_bytes) / static_cast<double>(m.behaviours);
  }
}

std::optional<double> PerCode(const std::optional<uint64_t>& count, size_t codes) {
  if (!count || codes == 0) return std::nullopt;
  return static_cast<double>(*count) / static_cast<double>(codes);
}

void FillMachine(const Measurements& m, Row& row) {
  row.voluntary_switches = m.switches.voluntary;
  row.involuntary_switches = m.switches.involuntary;
  row.cycles_per_code = PerCode(m.cycles, m.codes);
  row.instructions_per_code = PerCode(m.instructions, m.codes);
}

void FillQuality(const Measurements& m, Row& row) {
  std::vector<double> recalls, recalls_ties, masses;
  for (const std::optional<Quality>& quality : m.quality) {
    if (!quality) continue;
    recalls.push_back(quality->recall);
    recalls_ties.push_back(quality->recall_ties);
    if (quality->attention_mass) masses.push_back(*quality->attention_mass);
  }
  row.recall = MeanOf(recalls);
  row.recall_p5 = PercentileOf(recalls, 5);
  row.recall_p50 = PercentileOf(recalls, 50);
  row.recall_ties = MeanOf(recalls_ties);
  row.attention_mass = MeanOf(masses);
  row.requests_with_recall = recalls.size();
  row.recall_histogram = {};
  for (const double recall : recalls) {
    const auto bin = static_cast<size_t>(recall * static_cast<double>(kRecallBins));
    ++row.recall_histogram[std::min(bin, kRecallBins - 1)];
  }
  row.positions_digest = m.positions_digest;
}

}  // namespace

RequestSummary SummarizeRequests(std::span<const UserRequest> requests, const UserChoice& choice) {
  std::vector<double> lengths;
  std::vector<double> candidates;
  for (const UserRequest& request : requests) {
    lengths.push_back(static_cast<double>(request.history.size()));
    candidates.push_back(static_cast<double>(request.candidates.size()));
  }
  std::ranges::sort(lengths);
  RequestSummary summary;
  summary.choice = choice;
  summary.requests = requests.size();
  summary.behaviours_min = static_cast<size_t>(lengths.front());
  summary.behaviours_median = static_cast<size_t>(Percentile(lengths, 50));
  summary.behaviours_max = static_cast<size_t>(lengths.back());
  summary.empty_histories = static_cast<size_t>(std::ranges::count(lengths, 0.0));
  summary.l_mean = Mean(lengths);
  summary.b_mean = Mean(candidates);
  return summary;
}

std::optional<double> Spread(const Row& row) {
  if (!row.p50_low_us || !row.p50_high_us) return std::nullopt;
  return (*row.p50_high_us - *row.p50_low_us) / row.p50_us;
}

std::vector<Row> SummarizeMethods(std::span<const Contender> contenders, const DataSet& data,
                                  const RequestSummary& requests, const Options& options) {
  std::vector<Row> rows;
  for (const Contender& contender : contenders) {
    const Retriever& retriever = contender.retriever();
    Row& row = rows.emplace_back();
    row.method = retriever.name();
    row.bits = retriever.bits();
    row.dim = data.bundle.items.dim();
    row.k = options.k;
    row.l_mean = requests.l_mean;
    row.b = static_cast<size_t>(std::llround(requests.b_mean));
    row.threads = contender.measurements().threads.value_or(options.threads);
    row.target = retriever.target();
    row.cache = options.is_cold ? "cold" : "warm";
    row.table_bytes = retriever.table_bytes();
    row.shared_bytes = retriever.shared_bytes(data.bundle.items.embedding_bytes());
    FillQuality(contender.measurements(), row);
    FillLatencies(contender.measurements(), row);
    FillMachine(contender.measurements(), row);
  }
  const auto exact = std::ranges::find(rows, "exact", &Row::method);
  if (exact == rows.end()) return rows;
  for (Row& row : rows) row.vs_exact = exact->p50_us / row.p50_us;
  return rows;
}

}  // namespace eta::bench
