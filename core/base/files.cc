// SPDX-License-Identifier: Apache-2.0
#include "core/base/files.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/base/check.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(const fs::path& file, const std::string& what) {
  throw DataError(Cat(file.string(), ": ", what));
}

}  // namespace

uint64_t RegularFileSize(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (status.type() == fs::file_type::not_found) {
    const bool is_link = fs::is_symlink(file, error);
    Fail(file, is_link ? "links to a file that does not exist" : "does not exist");
  }
  if (!fs::status_known(status)) Fail(file, Cat("cannot be read: ", error.message()));
  if (fs::is_directory(status)) Fail(file, "cannot be read (expected a file, found a folder)");
  if (!fs::is_regular_file(status)) {
    Fail(file, "not a regular file (write what the pipe or device holds to a file first)");
  }
  const uint64_t size = fs::file_size(file, error);
  if (error) Fail(file, Cat("cannot be read: ", error.message()));
  return size;
}

std::ifstream OpenRegularFile(const fs::path& file) {
  RegularFileSize(file);
  std::ifstream in(file, std::ios::binary);
  if (!in) Fail(file, Cat("cannot be read: ", std::strerror(errno)));
  return in;
}

}  // namespace eta
