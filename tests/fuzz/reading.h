// SPDX-License-Identifier: Apache-2.0
// What the fuzzers of readers share: a reader takes its input or refuses it in one line.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "tests/fuzz/input.h"
#include "tests/support/temp_folder.h"

namespace eta::fuzz {

// True when read() ends; false when it throws DataError. Any other exception is a finding, and so
// is a message of more than one line or of more than some hundred bytes.
template <class Read>
bool Takes(Read read) {
  constexpr size_t kMostBytes = 1000;
  try {
    read();
    return true;
  } catch (const DataError& error) {
    const std::string_view message = error.what();
    EXPECT_FALSE(message.empty());
    EXPECT_LE(message.size(), kMostBytes) << message;
    EXPECT_TRUE(std::ranges::none_of(message, [](char c) {
      return (static_cast<unsigned char>(c) < ' ') || c == '\x7f';
    })) << message;
    return false;
  }
}

// A folder of this process, made at the first call and gone at its end.
inline const TempFolder& ProcessFolder() {
  static const TempFolder folder;
  return folder;
}

}  // namespace eta::fuzz
