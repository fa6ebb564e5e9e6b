// SPDX-License-Identifier: Apache-2.0
// Reads files in RocksDB's log format (write-ahead logs and manifests) to tell damage from the end
// that a crash tears off. RocksDB itself takes a damaged length in the last block for such an end,
// and drops what follows without a word.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace eta::store {

// What a log holds.
struct LogContent {
  std::string damage;                      // one phrase with the offset; empty where there is none
  uint64_t records = 0;                    // complete ones
  uint64_t torn_bytes = 0;                 // at the end, of a record that was being written
  std::optional<uint64_t> first_sequence;  // of a write-ahead log: number of its first update
  std::optional<uint64_t> next_sequence;   // and the number after its last one
};

enum class LogKind { kAppends, kManifest };

// Format: blocks of 32 KiB; a fragment is a masked CRC-32C (4 bytes) of type and payload, the
// payload's length (2), a type (1) and the payload; the last 6 bytes of a block may be unused.
// Damaged is a fragment whose checksum or place does not fit, unless it is the file's last and less
// of it is there than its length says. That is damage too where the bytes that are there have the
// right checksum. Of write-ahead logs, updates that are not numbered one after the other are
// damage.
LogContent CheckLog(std::string_view bytes, LogKind kind);

// The whole of a file. Throws DataError where it cannot be read.
std::string ReadWholeFile(const std::filesystem::path& file);

}  // namespace eta::store
