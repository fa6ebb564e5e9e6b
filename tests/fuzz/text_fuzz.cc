// SPDX-License-Identifier: Apache-2.0
// Numbers and tables as text (bench/common/text.h): what command lines hold is any text.
#include "bench/common/text.h"

#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

// The text of a field of a CSV, as RFC 4180 has it.
std::string Unquoted(const std::string& field) {
  if (field.empty() || field[0] != '"') return field;
  std::string text;
  for (size_t i = 1; i + 1 < field.size(); ++i) {
    text += field[i];
    if (field[i] == '"') ++i;
  }
  return text;
}

void CheckNumbers(const std::string& text) {
  if (const auto whole = bench::ParseWhole(text)) {
    ASSERT_EQ(std::to_string(*whole), text);
    ASSERT_TRUE(bench::ParseDecimal(text).has_value());
  }
  if (const auto decimal = bench::ParseDecimal(text)) {
    ASSERT_TRUE(std::isfinite(*decimal));
    ASSERT_FALSE(bench::Fixed(*decimal, 3).empty());
  }
}

void CheckTexts(const std::string& text, size_t width) {
  const std::string field = bench::CsvField(text);
  ASSERT_EQ(Unquoted(field), text);
  ASSERT_TRUE(field == text || (field.front() == '"' && field.back() == '"'));
  const std::string line = bench::Printable(text);
  ASSERT_EQ(bench::Printable(line), line);
  ASSERT_TRUE(std::ranges::none_of(
      line, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }));
  // Wrapping moves blanks only.
  std::string wrapped = bench::Wrap(line, width, ""), joined = line;
  std::erase_if(wrapped, [](char c) { return c == ' ' || c == '\n'; });
  std::erase(joined, ' ');
  ASSERT_EQ(wrapped, joined);
}

void Run(Input in) {
  const size_t width = in.Between(1, 100);
  const std::string text = in.Text(in.left());
  CheckNumbers(text);
  CheckTexts(text, width);
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
