// SPDX-License-Identifier: Apache-2.0
// What the tests of the store share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/store/history_store.h"
#include "tests/support/temp_folder.h"

namespace eta::test {

inline constexpr size_t kAll = SIZE_MAX;

// An event of a user whose id is a number.
inline Event EventOf(int64_t user, int32_t item, int64_t time) { return {user, {item, time}}; }

inline EventBatch BatchOf(std::vector<Event> events) { return {std::move(events), std::nullopt}; }

inline std::vector<int32_t> Items(const std::vector<Behaviour>& behaviours) {
  std::vector<int32_t> items;
  for (const Behaviour& behaviour : behaviours) items.push_back(behaviour.item);
  return items;
}

// The message of the DataError that `call` throws, or "" where it throws none.
template <class Call>
std::string DataErrorOf(const Call& call) {
  try {
    call();
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

// The regular files below a folder.
inline std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

// How many files below a folder have the bytes.
inline size_t FilesWith(const std::filesystem::path& folder, std::string_view bytes) {
  size_t count = 0;
  for (const auto& file : FilesBelow(folder)) {
    count += ReadText(file).find(bytes) != std::string::npos;
  }
  return count;
}

}  // namespace eta::test
