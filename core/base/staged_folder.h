// SPDX-License-Identifier: Apache-2.0
// Writing a folder of files so that nobody ever sees half of it.
#pragma once

#include <filesystem>

#include "core/base/export.h"

namespace eta {

// A folder that appears complete or not at all: it is filled under a temporary name next to its
// final one, and removed again unless Commit is reached.
class ETA_CORE_API StagedFolder {
 public:
  // Throws DataError when `target` exists already or its parent cannot be written.
  explicit StagedFolder(const std::filesystem::path& target);
  ~StagedFolder();  // removes what was not committed
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const std::filesystem::path& path() const { return staging_; }  // write files here

  // Brings the files to disk and renames the folder. Throws DataError when that fails, also when
  // somebody else has made `target` meanwhile.
  void Commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path staging_;
  bool committed_ = false;
};

}  // namespace eta
