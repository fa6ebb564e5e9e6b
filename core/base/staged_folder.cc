// SPDX-License-Identifier: Apache-2.0
#include "core/base/staged_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

#include "core/base/check.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(const fs::path& path, const char* what, const std::error_code& error) {
  throw DataError(Cat(path.string(), ": ", what, ": ", error.message()));
}

std::error_code LastError() { return {errno, std::generic_category()}; }

// "a/b/" and "a/b" name the same folder, but only the second has a last part to rename.
fs::path WithoutTrailingSlash(const fs::path& path) {
  return path.has_filename() || !path.has_relative_path() ? path : path.parent_path();
}

void RefuseExisting(const fs::path& target) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(target, error))) {
    throw DataError(Cat(target.string(), ": exists already (expected a new folder)"));
  }
}

fs::path MakeStaging(const fs::path& target) {
  constexpr int kAttempts = 1000;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const fs::path staging = target.parent_path() / Cat(".", target.filename().string(), ".tmp-",
                                                        ::getpid(), "-", attempt);
    std::error_code error;
    if (fs::create_directory(staging, error)) return staging;
    if (error) Fail(target, "cannot be made", error);
  }
  throw DataError(Cat(target.string(), ": too many abandoned temporary folders beside it"));
}

// Without this a crash of the machine soon after the rename could leave empty files behind it.
void Sync(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) Fail(path, "cannot be opened", LastError());
  const int result = ::fsync(file);
  const std::error_code error = LastError();
  ::close(file);
  // Some file systems cannot sync folders and say so with EINVAL.
  if (result != 0 && error != std::errc::invalid_argument) Fail(path, "cannot be written", error);
}

// Renames without replacing: plain rename would swallow an empty folder of the target's name.
bool RenameNew(const fs::path& from, const fs::path& to) {
#ifdef RENAME_NOREPLACE
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS) return false;
#endif
  RefuseExisting(to);
  return ::rename(from.c_str(), to.c_str()) == 0;
}

}  // namespace

StagedFolder::StagedFolder(const fs::path& target) : target_(WithoutTrailingSlash(target)) {
  if (target_.empty()) throw DataError("output folder has an empty name");
  RefuseExisting(target_);
  staging_ = MakeStaging(target_);
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;  // a destructor cannot report it
  if (!committed_) fs::remove_all(staging_, ignored);
}

void StagedFolder::Commit() {
  for (const auto& entry : fs::directory_iterator(staging_)) Sync(entry.path());
  Sync(staging_);
  if (!RenameNew(staging_, target_)) Fail(target_, "cannot be made", LastError());
  committed_ = true;
  const fs::path parent = target_.parent_path();
  Sync(parent.empty() ? fs::path(".") : parent);
}

}  // namespace eta
