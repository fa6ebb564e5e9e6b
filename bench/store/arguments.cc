// SPDX-License-Identifier: Apache-2.0
#include "bench/store/arguments.h"

#include <cstdint>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>
#include <string_view>

#include "bench/common/text.h"
#include "core/base/check.h"
#include "core/base/files.h"

namespace eta::bench {
namespace {

constexpr char kHeader[] = "user,item,time";

// A decimal number that is written in one way only: no blanks, plus or leading zeros.
std::optional<int64_t> ParseNumber(std::string_view text) {
  const bool negative = text.starts_with('-');
  const auto size = ParseWhole(text.substr(negative ? 1 : 0));
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (!size || *size > kMost + (negative ? 1 : 0) || (negative && *size == 0)) return std::nullopt;
  return static_cast<int64_t>(negative ? 0 - *size : *size);
}

Event ParseEvent(const std::string& line, bool texts, const std::string& where) {
  const size_t time_at = line.rfind(',');
  const size_t item_at = time_at == std::string::npos || time_at == 0
                             ? std::string::npos
                             : line.rfind(',', time_at - 1);
  if (item_at == std::string::npos) {
    throw DataError(Cat(where, ": \"", Excerpt(line), "\" is not ", kHeader));
  }
  const std::string user = line.substr(0, item_at);
  const std::string item_text = line.substr(item_at + 1, time_at - item_at - 1);
  const auto item = ParseNumber(item_text);
  const auto time = ParseNumber(std::string_view(line).substr(time_at + 1));
  if (!item || *item < 0 || *item > std::numeric_limits<int32_t>::max()) {
    throw DataError(
        Cat(where, ": item \"", Excerpt(item_text), "\" is no number from 0 to 2^31 - 1"));
  }
  if (!time) {
    throw DataError(Cat(where, ": time \"", Excerpt(line.substr(time_at + 1)), "\" is no number"));
  }
  if (user.find_first_of(",\"") != std::string::npos) {
    throw DataError(Cat(where, ": user \"", Excerpt(user), "\" has a comma or quote"));
  }
  return {ParseUser(user, texts, where + ": "),
          {.item = static_cast<int32_t>(*item), .time = *time}};
}

std::vector<Event> ReadLines(std::istream& in, bool texts, const std::string& file) {
  std::string line;
  if (!std::getline(in, line) || line != kHeader) {
    throw DataError(Cat(file, ":1: expected \"", kHeader, "\", found \"", Excerpt(line), "\""));
  }
  std::vector<Event> events;
  for (size_t number = 2; std::getline(in, line); ++number) {
    const std::string where = Cat(file, ":", number);
    try {
      events.push_back(ParseEvent(line, texts, where));
    } catch (const std::invalid_argument& error) {
      throw DataError(error.what());
    }
    if (events.size() > kMaxBatchEvents) {
      throw DataError(Cat(where, ": more than ", kMaxBatchEvents, " events (split the file)"));
    }
  }
  if (in.bad()) throw DataError(Cat(file, ": cannot be read"));
  return events;
}

}  // namespace

UserId ParseUser(const std::string& text, bool texts, const std::string& where) {
  if (texts) {
    Require(!text.empty(), where, "the name of a user is empty");
    return text;
  }
  const auto number = ParseNumber(text);
  Require(number.has_value(), where, "user \"", Excerpt(text),
          "\" is not a whole number (--text-users takes names)");
  return *number;
}

std::string UserField(const UserId& user) {
  const int64_t* number = std::get_if<int64_t>(&user);
  return number != nullptr ? std::to_string(*number) : CsvField(std::get<std::string>(user));
}

std::vector<Event> ReadEvents(const std::string& file, bool texts) {
  if (file == "-") return ReadLines(std::cin, texts, "stdin");
  std::ifstream in = OpenRegularFile(file);
  return ReadLines(in, texts, file);
}

}  // namespace eta::bench
