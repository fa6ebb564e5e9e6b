// SPDX-License-Identifier: Apache-2.0
// Prometheus's text format, one metric after the other.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "core/serving/latency_histogram.h"

namespace eta::serving {

// Pairs of labels, such as `kind="score"` or "", and values.
using Values = std::initializer_list<std::pair<const char*, uint64_t>>;
using Latencies = std::initializer_list<std::pair<const char*, const LatencyHistogram*>>;

class MetricsText {
 public:
  void Counter(const std::string& name, const char* help, Values values) {
    Numbers(name, help, "counter", values);
  }
  void Gauge(const std::string& name, const char* help, uint64_t value) {
    Numbers(name, help, "gauge", {{"", value}});
  }
  void Histogram(const std::string& name, const char* help, Latencies latencies) {
    Head(name, help, "histogram");
    for (const auto& [labels, latency] : latencies) {
      text_ += latency->PrometheusText(name, labels);
    }
  }
  std::string text() && { return std::move(text_); }

 private:
  void Head(const std::string& name, const char* help, const char* type) {
    text_ += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  }
  void Numbers(const std::string& name, const char* help, const char* type, Values values) {
    Head(name, help, type);
    for (const auto& [labels, value] : values) {
      const std::string braces = *labels == '\0' ? "" : std::string("{") + labels + "}";
      text_ += name + braces + " " + std::to_string(value) + "\n";
    }
  }

  std::string text_;
};

}  // namespace eta::serving
