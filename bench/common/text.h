// SPDX-License-Identifier: Apache-2.0
// Numbers and tables as text, and the small parsing that command lines need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace eta::bench {

// "%.*f": with so many decimals, never with an exponent.
std::string Fixed(double value, int decimals);
// The same, or `missing` where there is no value.
std::string Fixed(const std::optional<double>& value, int decimals, const char* missing);

// Texts in right-aligned columns, the first one left-aligned. `lines` is not empty and all its
// lines have the same number of texts.
std::string Align(const std::vector<std::vector<std::string>>& lines);

// A field of a CSV (RFC 4180), quoted only where it must be.
std::string CsvField(const std::string& text);

// The text with an escape such as \x1b for each control character and each byte that is not UTF-8,
// so that names from arguments and files stay on one line and a terminal obeys nothing in them.
// Characters that steer the direction or the joining of others count as control characters. Those
// in `kept` stay.
std::string Printable(std::string_view text, std::string_view kept = "");

// The same, cut to at most `most` bytes and "...": text of a file, for a message.
std::string Excerpt(std::string text, size_t most = 100);

// The lines of --help have at most so many characters, and the text of an option begins there.
inline constexpr size_t kHelpWidth = 100;
inline constexpr size_t kHelpIndent = 24;

// Breaks a text at blanks into lines of at most `width` characters. All but the first begin with
// `line_start`, which does not count.
std::string Wrap(std::string_view text, size_t width, const std::string& line_start);

// The whole number that `text` is, in decimal without sign, blanks or leading zeros (which some
// take for octal); nothing for any other text.
std::optional<uint64_t> ParseWhole(std::string_view text);

// The decimal number that `text` is, a finite one; nothing for any other text.
std::optional<double> ParseDecimal(std::string_view text);

}  // namespace eta::bench
