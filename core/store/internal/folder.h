// SPDX-License-Identifier: Apache-2.0
// The folder of a store: a description with its format and limits, which is also what processes
// lock, and the database beside it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/store/check.h"
#include "core/store/history_store.h"

namespace eta::store {

inline constexpr char kDescription[] = "eta_store.txt";
inline constexpr char kDatabase[] = "db";

// Throws DataError where the file cannot be written.
void WriteDescription(const std::filesystem::path& folder, const StoreLimits& limits);

// Throws DataError where `folder` is no store, or one of another format.
StoreLimits ReadDescription(const std::filesystem::path& folder);

// Holds the right to a store while it lives: one writer, or several readers. Threads of one process
// exclude each other as processes do, and the end of a process frees it.
class FolderLock {
 public:
  // Throws DataError where another one is in the way.
  FolderLock(const std::filesystem::path& folder, bool read_only);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_;
};

// Checks the logs of appends and the current manifest. A log that ends before the next one begins
// is damaged too: its end is lost. Throws DataError where they cannot be read.
std::vector<StoreDamage> FindDamagedLogs(const std::filesystem::path& folder);

// The files of the database whose names are a number and `suffix`, such as ".log", in order of the
// numbers.
std::vector<std::filesystem::path> NumberedFiles(const std::filesystem::path& folder,
                                                 const std::string& suffix);

}  // namespace eta::store
