// SPDX-License-Identifier: Apache-2.0
#include "bench/common/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <system_error>
#include <utility>

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

struct Character {
  char32_t code;  // a byte that is not UTF-8 stands for itself
  size_t bytes;
  bool is_printable;
};

bool IsPrintable(char32_t code) {
  constexpr std::pair<char32_t, char32_t> kNotPrintable[] = {
      {0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},      // controls, soft hyphen
      {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F},  // joiners, line ends, directions
      {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F}};
  return std::ranges::none_of(kNotPrintable, [code](const auto& range) {
    return code >= range.first && code <= range.second;
  });
}

// `text` is not empty.
Character FirstCharacter(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t bytes = byte(0) < 0x80   ? 1
                       : byte(0) < 0xC2 ? 0
                       : byte(0) < 0xE0 ? 2
                       : byte(0) < 0xF0 ? 3
                       : byte(0) < 0xF5 ? 4
                                        : 0;
  const Character raw{byte(0), 1, bytes == 1 && IsPrintable(byte(0))};
  if (bytes < 2 || text.size() < bytes) return raw;
  char32_t code = byte(0) & (0x7F >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return raw;
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kLeast[bytes] || code > 0x10FFFF || is_surrogate) return raw;
  return {code, bytes, IsPrintable(code)};
}

// As Python's scripts print it.
std::string Escape(char32_t code) {
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  char text[16];
  const char* format = code <= 0xFF ? "\\x%02x" : code <= 0xFFFF ? "\\u%04x" : "\\U%08x";
  std::snprintf(text, sizeof(text), format, static_cast<unsigned>(code));
  return text;
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

std::string Printable(std::string_view text, std::string_view kept) {
  std::string printable;
  while (!text.empty()) {
    const Character c = FirstCharacter(text);
    const std::string_view bytes = text.substr(0, c.bytes);
    if (c.is_printable || kept.find(text[0]) != std::string_view::npos) {
      printable += bytes;
    } else {
      printable += Escape(c.code);
    }
    text.remove_prefix(c.bytes);
  }
  return printable;
}

std::string Excerpt(std::string text, size_t most) {
  if (text.size() > most) text = text.substr(0, most) + "...";
  return Printable(text);
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

std::optional<double> ParseDecimal(std::string_view text) {
  const std::optional<double> value = ParseAll<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;  // from_chars takes "inf", "nan"
}

}  // namespace eta::bench
