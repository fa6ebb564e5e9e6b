// SPDX-License-Identifier: Apache-2.0
#include "core/store/internal/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>

#include "core/base/check.h"
#include "core/base/files.h"
#include "core/store/internal/log_check.h"

namespace eta::store {
namespace {

namespace fs = std::filesystem;

constexpr char kFormat[] = "eta history store 1";
constexpr char kMaxBehaviours[] = "max_behaviours ";
constexpr char kMaxAge[] = "max_age_seconds ";

template <class Value>
std::optional<Value> ParseNumber(std::string_view text) {
  Value value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string Describe(const StoreLimits& limits) {
  return Cat(kFormat, '\n', kMaxBehaviours, limits.max_behaviours, '\n', kMaxAge,
             limits.max_age_seconds, '\n');
}

// The number on a line that starts with `name`, or 0: ReadDescription compares the whole text.
uint64_t ReadLimit(std::istream& in, std::string_view name) {
  std::string line;
  if (!std::getline(in, line) || !line.starts_with(name)) return 0;
  return ParseNumber<uint64_t>(std::string_view(line).substr(name.size())).value_or(0);
}

StoreDamage Damage(const fs::path& file, std::string what) {
  return {Cat(kDatabase, "/", file.filename().string()), std::move(what)};
}

// The manifest that CURRENT names; opening the database reports what is wrong with CURRENT.
std::optional<fs::path> CurrentManifest(const fs::path& database) {
  std::error_code error;
  if (!fs::is_regular_file(database / "CURRENT", error)) return std::nullopt;
  std::string name = ReadWholeFile(database / "CURRENT");
  if (!name.starts_with("MANIFEST-") || name.find('/') != std::string::npos) return std::nullopt;
  while (!name.empty() && name.back() == '\n') name.pop_back();
  if (!fs::is_regular_file(database / name, error)) return std::nullopt;
  return database / name;
}

}  // namespace

void WriteDescription(const fs::path& folder, const StoreLimits& limits) {
  const fs::path file = folder / kDescription;
  std::ofstream out(file, std::ios::binary);
  out << Describe(limits);
  out.close();
  if (!out) throw DataError(Cat(file.string(), ": cannot be written"));
}

StoreLimits ReadDescription(const fs::path& folder) {
  const fs::path file = folder / kDescription;
  std::error_code error;
  if (!fs::exists(fs::symlink_status(file, error))) {
    throw DataError(Cat(folder.string(), ": no history store (it has no ", kDescription, ")"));
  }
  constexpr uint64_t kMostBytes = 256;  // a real one has less than 100
  if (RegularFileSize(file) > kMostBytes) {
    throw DataError(Cat(file.string(), ": damaged (larger than such a file can be)"));
  }
  const std::string text = ReadWholeFile(file);
  std::istringstream in(text);
  std::string line;
  std::getline(in, line);
  if (line != kFormat) {
    throw DataError(Cat(file.string(), ": damaged, or of another version (expected \"", kFormat,
                        "\" on its first line)"));
  }
  StoreLimits limits;
  limits.max_behaviours = ReadLimit(in, kMaxBehaviours);
  limits.max_age_seconds = ReadLimit(in, kMaxAge);
  if (text != Describe(limits)) throw DataError(Cat(file.string(), ": damaged (cannot be read)"));
  return limits;
}

FolderLock::FolderLock(const fs::path& folder, bool read_only) {
  const fs::path file = folder / kDescription;
  file_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) throw DataError(Cat(file.string(), ": cannot be read: ", std::strerror(errno)));
  if (::flock(file_, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) return;
  const int error = errno;
  ::close(file_);
  if (error != EWOULDBLOCK) {
    throw DataError(Cat(file.string(), ": cannot be locked: ", std::strerror(error)));
  }
  throw DataError(Cat(folder.string(), ": in use by another process",
                      read_only ? " that writes" : " (one writes, or several read)"));
}

FolderLock::~FolderLock() { ::close(file_); }

std::vector<fs::path> NumberedFiles(const fs::path& folder, const std::string& suffix) {
  std::map<uint64_t, fs::path> files;
  const fs::path database = folder / kDatabase;
  try {
    for (const auto& entry : fs::directory_iterator(database)) {
      if (entry.path().extension() != suffix) continue;
      if (const auto number = ParseNumber<uint64_t>(entry.path().stem().string())) {
        files[*number] = entry.path();
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw DataError(Cat(database.string(), ": cannot be read: ", error.code().message()));
  }
  std::vector<fs::path> sorted;
  for (const auto& [number, file] : files) sorted.push_back(file);
  return sorted;
}

std::vector<StoreDamage> FindDamagedLogs(const fs::path& folder) {
  std::vector<StoreDamage> damaged;
  fs::path before;
  uint64_t next = 0;  // where the log before ends; 0: unknown, for numbers begin at 1
  for (const fs::path& file : NumberedFiles(folder, ".log")) {
    const LogContent log = CheckLog(ReadWholeFile(file), LogKind::kAppends);
    if (!log.damage.empty()) damaged.push_back(Damage(file, log.damage));
    const uint64_t first = log.first_sequence.value_or(next);
    if (next != 0 && first != next) {
      damaged.push_back(
          Damage(before, Cat("its end is missing: updates ", next, " to ", first - 1)));
    }
    before = file;
    next = log.damage.empty() ? log.next_sequence.value_or(next) : 0;
  }
  if (const auto manifest = CurrentManifest(folder / kDatabase)) {
    const LogContent log = CheckLog(ReadWholeFile(*manifest), LogKind::kManifest);
    if (!log.damage.empty()) damaged.push_back(Damage(*manifest, log.damage));
  }
  return damaged;
}

}  // namespace eta::store
