// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/help.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "bench/retrieval/columns.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

constexpr size_t kWidth = 100;
constexpr size_t kIndent = 24;

// Breaks a text at blanks into lines of at most `width` characters. All but the first begin with
// `line_start`, which does not count.
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

std::string ColumnsText(std::span<const Column> columns) {
  const std::string indent(kIndent, ' ');
  std::string text;
  for (const Column& column : columns) {
    std::string name = Cat("  ", column.name);
    name.resize(kIndent, ' ');
    text += name + Wrap(column.meaning, kWidth - kIndent, indent) + "\n";
  }
  return text;
}

}  // namespace

HelpFormatter::HelpFormatter() { column_width(kIndent); }

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  const std::string value = option->get_default_str();
  const std::string text = option->get_description();
  // CLI11 indents the lines that follow a line break.
  return Wrap(value.empty() ? text : Cat(text, " [", value, "]"), kWidth - kIndent, "");
}

std::string HelpFooter() {
  return "Columns of the CSV and the JSON, and of the table by shorter names:\n" +
         ColumnsText(kColumns) + "\nColumns of --load-csv:\n" + ColumnsText(kLoadColumns) +
         "\nExit codes: 0 done; 1 unexpected failure; 2 bad arguments or data; 3 a kernel "
         "disagrees "
         "with the\nscalar reference.";
}

}  // namespace eta::bench
