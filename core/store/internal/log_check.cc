// SPDX-License-Identifier: Apache-2.0
#include "core/store/internal/log_check.h"

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>

#include "core/base/check.h"
#include "core/base/files.h"

namespace eta::store {
namespace {

constexpr size_t kBlock = 32768;
constexpr size_t kHeader = 7;
enum FragmentType : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = MakeTable();

// CRC-32C (Castagnoli) of bytes given one by one.
class Crc {
 public:
  void Add(char byte) {
    crc_ = kTable[(crc_ ^ static_cast<unsigned char>(byte)) & 0xff] ^ crc_ >> 8;
  }
  // As it is stored: rotated and shifted, because a checksum of checksums is weak.
  uint32_t Masked() const {
    const uint32_t crc = ~crc_;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
  }

 private:
  uint32_t crc_ = ~uint32_t{0};
};

template <class T>
T Load(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

class Reader {
 public:
  Reader(std::string_view bytes, LogKind kind) : bytes_(bytes), kind_(kind) {}

  LogContent Read() {
    while (content_.damage.empty() && at_ < bytes_.size()) {
      const size_t left = kBlock - at_ % kBlock;
      if (left < kHeader) {
        at_ += left;  // unused, whatever it holds
      } else if (!ReadFragment(left)) {
        break;
      }
    }
    if (content_.damage.empty() && in_record_) content_.torn_bytes = bytes_.size() - record_at_;
    return content_;
  }

 private:
  // False at the end of what can be read.
  bool ReadFragment(size_t left_in_block) {
    const size_t rest = bytes_.size() - at_;
    const std::string_view tail = bytes_.substr(at_);
    if (tail.find_first_not_of('\0') == std::string_view::npos) return Torn();  // preallocated
    if (rest < kHeader) return Torn();
    const size_t length = Load<uint16_t>(bytes_, at_ + 4);
    if (kHeader + length > left_in_block) return Damaged("a length that crosses a block");
    if (kHeader + length > rest) {
      return HasShorterRecord(rest) ? Damaged("a length beyond the end") : Torn();
    }
    if (!HasChecksum(at_, length)) return Damaged("a checksum that does not fit");
    const auto type = static_cast<uint8_t>(bytes_[at_ + 6]);
    const std::string_view payload = bytes_.substr(at_ + kHeader, length);
    if (!AddFragment(type, payload)) return false;
    at_ += kHeader + length;
    return true;
  }

  bool AddFragment(uint8_t type, std::string_view payload) {
    if (type < kFull || type > kLast) return true;  // of a later version, with a right checksum
    const bool begins = type == kFull || type == kFirst;
    if (begins == in_record_) return Damaged("a record in pieces that do not fit");
    if (begins) {
      record_.clear();
      record_at_ = at_;
    }
    record_ += payload;
    in_record_ = type == kFirst || type == kMiddle;
    return in_record_ || AddRecord();
  }

  // A batch of updates: number of the first (8 bytes), how many (4), and the updates.
  bool AddRecord() {
    ++content_.records;
    if (kind_ == LogKind::kManifest) return true;
    if (record_.size() < 12) return Damaged("a batch without a header");
    const auto sequence = Load<uint64_t>(record_, 0);
    if (content_.next_sequence && sequence != *content_.next_sequence) {
      return Damaged("a batch that does not follow the one before");
    }
    if (!content_.first_sequence) content_.first_sequence = sequence;
    content_.next_sequence = sequence + Load<uint32_t>(record_, 8);
    return true;
  }

  bool HasChecksum(size_t at, size_t length) const {
    Crc crc;
    for (const char byte : bytes_.substr(at + 6, 1 + length)) crc.Add(byte);
    return crc.Masked() == Load<uint32_t>(bytes_, at);
  }

  // Whether a whole fragment stands at `at`, or the file ends there.
  bool IsFragment(size_t at) const {
    const size_t left = kBlock - at % kBlock;
    if (at >= bytes_.size() || left < kHeader) return true;
    const size_t rest = bytes_.size() - at;
    if (rest < kHeader) return false;
    const size_t length = Load<uint16_t>(bytes_, at + 4);
    return kHeader + length <= std::min(rest, left) && HasChecksum(at, length);
  }

  // Whether the fragment has its checksum with a length that the file does hold. One test in 2^32
  // is right by chance, so what follows has to be right too.
  bool HasShorterRecord(size_t rest) const {
    Crc crc;
    crc.Add(bytes_[at_ + 6]);
    const auto stored = Load<uint32_t>(bytes_, at_);
    for (size_t length = 0;; ++length) {
      if (crc.Masked() == stored && IsFragment(at_ + kHeader + length)) return true;
      if (kHeader + length == rest) return false;
      crc.Add(bytes_[at_ + kHeader + length]);
    }
  }

  bool Damaged(const char* what) {
    content_.damage = Cat(what, " at byte ", at_);
    return false;
  }

  bool Torn() {
    content_.torn_bytes = bytes_.size() - at_;
    return false;
  }

  std::string_view bytes_;
  LogKind kind_;
  LogContent content_;
  size_t at_ = 0;
  std::string record_;
  size_t record_at_ = 0;
  bool in_record_ = false;
};

}  // namespace

LogContent CheckLog(std::string_view bytes, LogKind kind) { return Reader(bytes, kind).Read(); }

std::string ReadWholeFile(const std::filesystem::path& file) {
  std::ifstream in = OpenRegularFile(file);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) throw DataError(Cat(file.string(), ": cannot be read"));
  return bytes;
}

}  // namespace eta::store
