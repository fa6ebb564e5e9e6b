// SPDX-License-Identifier: Apache-2.0
#include "bench/common/output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "bench/common/text.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(const std::string& path, const std::string& reason) {
  throw DataError(Cat(path, ": cannot be written: ", reason));
}

// What a rename must not replace. All of /dev counts, because /dev/stdout is a symbolic link to
// whatever stdout was redirected to, which may be a regular file; only /dev/shm has files of users.
bool IsDevice(const fs::path& path) {
  const std::string text = path.string();
  if (text.starts_with("/dev/") && !text.starts_with("/dev/shm/")) return true;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

// The file that `path` means, through symbolic links: a rename would replace the link itself.
fs::path Resolve(const std::string& path) {
  std::error_code error;
  const fs::path resolved = fs::weakly_canonical(path, error);
  return error ? fs::path(path) : resolved;
}

fs::path TemporaryBeside(const fs::path& path) {
  return Cat(path.string(), ".", ::getpid(), ".tmp");
}

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

void WriteTo(const fs::path& file_path, const char* mode, const std::string& path,
             const std::string& content) {
  File file(std::fopen(file_path.c_str(), mode));
  if (!file) Fail(path, std::strerror(errno));
  const bool is_written =
      std::fwrite(content.data(), 1, content.size(), file.get()) == content.size();
  // Buffered bytes are written now: a full disk shows here and not before.
  const bool is_flushed = std::fflush(file.get()) == 0;
  if (!is_written || !is_flushed) Fail(path, std::strerror(errno));
}

// Whether `path` is still the name of the open file: who had the lock before may have removed it
// between our open and our lock.
bool IsFileOf(int file, const std::string& path) {
  using Status = struct stat;  // the function of that name hides the type
  Status open_file{}, named{};
  return ::fstat(file, &open_file) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

// Returns the open file, or -1 where another process has the lock.
int TryLock(const std::string& lock_path, const std::string& path) {
  for (;;) {
    const int file = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) Fail(path, Cat(lock_path, ": ", std::strerror(errno)));
    const int error = ::flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    if (error == 0 && IsFileOf(file, lock_path)) return file;
    ::close(file);
    if (error == EWOULDBLOCK) return -1;
    if (error != 0) Fail(path, Cat("no lock on ", lock_path, ": ", std::strerror(error)));
  }
}

void CheckWritable(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) Fail(path, "it is a folder");
  if (!path.empty() && path.back() == '/') Fail(path, "it does not name a file");
  if (IsDevice(path)) return;
  const fs::path temporary = TemporaryBeside(Resolve(path));
  WriteTo(temporary, "wb", path, "");
  fs::remove(temporary, error);
}

// Whether both are the same regular file, through symbolic and hard links and names such as
// /dev/stdin.
bool IsSameInode(const fs::path& a, const fs::path& b) {
  using Status = struct stat;
  Status first{}, second{};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
         S_ISREG(first.st_mode) && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// Absolute first: a relative name of a file that does not exist yet would stay as it is.
fs::path Canonical(const fs::path& path) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? path : canonical;
}

bool IsSameFile(const std::string& a, const std::string& b) {
  return a == b || Canonical(a) == Canonical(b) || IsSameInode(a, b);
}

// Names of files in a bundle or in the folder of an exported model.
bool IsOwnedName(const fs::path& file) {
  const fs::path name = file.filename();
  return name.extension() == ".npy" || name.extension() == ".pt" || name == "bundle.json" ||
         name == "manifest.json" || name == "report.json";
}

bool IsInside(const fs::path& folder, const fs::path& file) {
  const fs::path canonical = Canonical(folder);
  return std::ranges::mismatch(canonical, Canonical(file)).in1 == canonical.end();
}

// Whether `output` is one of the folder's own files, there already or not.
bool IsOwnedBy(const fs::path& folder, const fs::path& output) {
  constexpr int kDepth = 3;  // SNAPSHOTS/step_000100/bundle/item_embeddings.npy
  if (IsInside(folder, output) && IsOwnedName(Canonical(output))) return true;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder,
                                         fs::directory_options::skip_permission_denied |
                                             fs::directory_options::follow_directory_symlink,
                                         error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry.depth() >= kDepth) entry.disable_recursion_pending();
    if (IsOwnedName(entry->path()) && IsSameInode(entry->path(), output)) return true;
  }
  return false;
}

void RequireNoInput(const std::string& output, const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {
    if (input.empty()) continue;
    std::error_code error;
    const bool is_owned = fs::is_directory(input, error) && IsOwnedBy(input, output);
    Require(!is_owned && !IsSameFile(output, input), output,
            ": would be written over what is read: ", input);
  }
}

}  // namespace

void CheckOutputs(const std::vector<std::string>& outputs, const std::vector<std::string>& inputs) {
  const std::vector<std::string> streams = {"/dev/stdout", "/dev/stderr"};
  for (const std::string& stream : streams) RequireNoInput(stream, inputs);
  for (auto path = outputs.begin(); path != outputs.end(); ++path) {
    if (path->empty()) continue;
    for (auto other = outputs.begin(); other != path; ++other) {
      Require(other->empty() || !IsSameFile(*path, *other), "two outputs are to be written to ",
              *path);
    }
    for (const std::string& stream : streams) {  // a device is appended to, a file replaced
      Require(IsDevice(*path) || !IsSameInode(*path, stream), *path,
              ": would be written over what is printed: ", stream, " goes there");
    }
    RequireNoInput(*path, inputs);
    CheckWritable(*path);
  }
}

OutputFiles::~OutputFiles() {
  std::error_code ignored;  // a destructor cannot report it
  for (const Staged& file : staged_) {
    if (!file.temporary.empty()) fs::remove(file.temporary, ignored);
  }
}

void OutputFiles::Add(const std::string& path, std::string content) {
  if (IsDevice(path)) {
    staged_.push_back({path, {}, {}, std::move(content)});
    return;
  }
  const fs::path target = Resolve(path);
  // Noted before it is written, so that half a file is removed as well.
  staged_.push_back({path, TemporaryBeside(target), target, {}});
  WriteTo(staged_.back().temporary, "wb", path, content);
}

void OutputFiles::Commit(StagedFolder* folder) {
  for (const Staged& file : staged_) {  // to append spares what stdout holds already
    if (file.temporary.empty()) WriteTo(file.path, "ab", file.path, file.content);
  }
  if (folder != nullptr) folder->Commit();
  for (Staged& file : staged_) {
    if (file.temporary.empty()) continue;
    std::error_code error;
    fs::rename(file.temporary, file.target, error);
    if (error) Fail(file.path, error.message());
    file.temporary.clear();
  }
  staged_.clear();
}

void WriteWholeFile(const std::string& path, std::string content) {
  OutputFiles files;
  files.Add(path, std::move(content));
  files.Commit();
}

FileLock::FileLock(const std::string& path) {
  if (path.empty() || IsDevice(path)) return;
  lock_path_ = Resolve(path).string() + ".lock";
  file_ = TryLock(lock_path_, path);
  if (file_ >= 0) return;
  throw DataError(Cat(path, ": another process is at work on it and has locked ", lock_path_));
}

FileLock::~FileLock() {
  if (file_ < 0) return;
  ::unlink(lock_path_.c_str());  // while it is locked, so that nobody else's is removed
  ::close(file_);
}

Progress::Progress(bool is_wanted) : is_shown_(is_wanted && ::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_shown_) std::fputs("\r\033[K", stderr);
}

void Progress::Show(const std::string& text) {
  if (!is_shown_) return;
  std::fprintf(stderr, "\r\033[K%s%s", prefix_.c_str(), Printable(text).c_str());
  std::fflush(stderr);
}

}  // namespace eta::bench
