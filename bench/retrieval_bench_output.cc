// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval_bench_output.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "core/check.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(const std::string& path, const std::string& reason) {
  throw DataError(Cat(path, ": cannot be written: ", reason));
}

// What a rename must not replace. All of /dev counts: /dev/stdout is a symbolic link to whatever
// stdout was redirected to, which may be a regular file.
bool IsDevice(const fs::path& path) {
  if (path.string().starts_with("/dev/")) return true;
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

}  // namespace

void CheckWritable(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) Fail(path, "it is a folder");
  if (!path.empty() && path.back() == '/') Fail(path, "it does not name a file");
  if (IsDevice(path)) return;
  const fs::path temporary = TemporaryBeside(Resolve(path));
  WriteTo(temporary, "wb", path, "");
  fs::remove(temporary, error);
}

void WriteWholeFile(const std::string& path, const std::string& content) {
  if (IsDevice(path)) {
    WriteTo(path, "ab", path, content);  // to append spares what stdout holds already
    return;
  }
  const fs::path resolved = Resolve(path);
  const fs::path temporary = TemporaryBeside(resolved);
  std::error_code error;
  try {
    WriteTo(temporary, "wb", path, content);
    fs::rename(temporary, resolved, error);
    if (error) Fail(path, error.message());
  } catch (...) {
    fs::remove(temporary, error);
    throw;
  }
}

Progress::Progress(bool is_wanted) : is_shown_(is_wanted && ::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_shown_) std::fputs("\r\033[K", stderr);
}

void Progress::Show(const std::string& text) {
  if (!is_shown_) return;
  std::fprintf(stderr, "\r\033[K%s%s", prefix_.c_str(), text.c_str());
  std::fflush(stderr);
}

}  // namespace eta::bench
