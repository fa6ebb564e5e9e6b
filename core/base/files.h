// SPDX-License-Identifier: Apache-2.0
// Files that are read: what is no regular file is refused, because a pipe or device may never end
// and what is read of it once is gone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>

#include "core/base/export.h"

namespace eta {

// The size in bytes of a regular file, or of one that `file` links to. Throws DataError, which says
// so where the file does not exist, is a folder, or is a pipe or device.
ETA_CORE_API uint64_t RegularFileSize(const std::filesystem::path& file);

// A binary stream at the start of a regular file. Throws DataError as above, and where the file
// cannot be opened.
ETA_CORE_API std::ifstream OpenRegularFile(const std::filesystem::path& file);

}  // namespace eta
