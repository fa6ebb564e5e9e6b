// SPDX-License-Identifier: Apache-2.0
#include "bench/common/text.h"

#include <algorithm>
#include <cstdio>

#include "core/base/check.h"

namespace eta::bench {

std::string Fixed(double value, int decimals) {
  char text[400];  // the largest double has 309 digits before its point
  std::snprintf(text, sizeof(text), "%.*f", decimals, value);
  return text;
}

std::string Fixed(const std::optional<double>& value, int decimals, const char* missing) {
  return value ? Fixed(*value, decimals) : missing;
}

std::string Align(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths(lines.front().size(), 0);
  for (const auto& line : lines) {
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  }
  std::string text;
  for (const auto& line : lines) {
    for (size_t c = 0; c < line.size(); ++c) {
      const std::string padding(widths[c] - line[c].size(), ' ');
      text += c == 0 ? line[c] + padding : "  " + padding + line[c];
    }
    text += '\n';
  }
  return text;
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

}  // namespace eta::bench
