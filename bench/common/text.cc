// SPDX-License-Identifier: Apache-2.0
#include "bench/common/text.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <system_error>

#include "core/base/check.h"

namespace eta::bench {
namespace {

template <class T>
std::optional<T> ParseAll(std::string_view text) {
  T value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

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

std::string OneLine(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  return text;
}

std::string Wrap(std::string_view text, size_t width, const std::string& line_start) {
  std::string wrapped;
  size_t used = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const bool fits = used + 1 + word.size() <= width;
    if (used > 0) wrapped += fits ? " " : "\n" + line_start;
    used = used > 0 && fits ? used + 1 + word.size() : word.size();
    wrapped += word;
  }
  return wrapped;
}

std::optional<uint64_t> ParseWhole(std::string_view text) {
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return ParseAll<uint64_t>(text);
}

std::optional<double> ParseDecimal(std::string_view text) { return ParseAll<double>(text); }

}  // namespace eta::bench
