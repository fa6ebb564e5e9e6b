// SPDX-License-Identifier: Apache-2.0
// The header of a .npy file (NumPy's format, versions 1 to 3), read and written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/check.h"

namespace eta {

// The longest header that is read: what version 1 of the format allows. A longer one is an attack.
inline constexpr size_t kMaxNpyHeader = 64 << 10;
// Bytes before the header in versions 2 and 3: magic, two bytes of version, uint32 header length.
inline constexpr size_t kMaxNpyPreamble = 12;

// What the caller wants the file to hold.
struct NpyWanted {
  std::string_view descr;  // such as "<f4"
  size_t item_bytes;
  size_t rank;  // dimensions, up to 3
};

struct NpyLayout {
  uint64_t shape[3] = {1, 1, 1};
  size_t count = 0;  // elements
  size_t data_offset = 0;
};

// Throws DataError "file: what (expected ..., found ...)".
template <class... Expected>
[[noreturn]] void ThrowNpyError(std::string_view file, std::string_view what,
                                std::string_view found, const Expected&... expected) {
  throw DataError(Cat(file, ": ", what, " (expected ", expected..., ", found ", found, ")"));
}

// Checks everything but the data: magic, version, header, type and shape against `wanted`, and the
// shape against the size of the file. `prefix` is the start of the file: all of it, or enough for
// the longest preamble and header. Throws DataError; `file` stands in the message.
NpyLayout ParseNpyHeader(std::span<const std::byte> prefix, uint64_t file_size,
                         std::string_view file, const NpyWanted& wanted);

// Magic, version 1.0 and header, as numpy.save writes them; `shape` is a Python tuple.
std::string MakeNpyHeader(std::string_view descr, std::string_view shape);

}  // namespace eta
