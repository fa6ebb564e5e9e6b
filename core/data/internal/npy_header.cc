// SPDX-License-Identifier: Apache-2.0
#include "core/data/internal/npy_header.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace eta {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kPreambleV1 = 10;  // magic, two bytes of version, uint16 header length
constexpr size_t kHeaderAlignment = 64;

// Bytes of the file for a message: short, printable, on one line.
std::string Quote(std::string_view text) {
  constexpr size_t kShown = 24;
  std::string quoted = "\"";
  for (const char c : text.substr(0, kShown)) quoted += c >= ' ' && c <= '~' ? c : '?';
  return quoted + (text.size() > kShown ? "...\"" : "\"");
}

// Parses the header, a Python dict literal such as
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  void Parse() {
    Take('{', "a dict");
    while (!TryTake('}')) {
      ParseEntry();
      if (TryTake(',')) continue;
      Take('}', "',' or '}' after a value");
      break;
    }
    SkipSpace();
    if (position_ != text_.size()) Fail("header goes on after its dict", "the end of the header");
    Need(descr_.has_value(), "descr");
    Need(fortran_order_.has_value(), "fortran_order");
    Need(shape_.has_value(), "shape");
  }

  std::string_view descr() const { return *descr_; }
  bool fortran_order() const { return *fortran_order_; }
  const std::vector<uint64_t>& shape() const { return *shape_; }

 private:
  void ParseEntry() {
    const std::string_view key = TakeString("a key in quotes");
    Take(':', "':' after a key");
    if (key == "descr" && !descr_) {
      descr_ = TakeString("a simple type such as '<f4' as descr");
    } else if (key == "fortran_order" && !fortran_order_) {
      fortran_order_ = TakeBool();
    } else if (key == "shape" && !shape_) {
      shape_ = TakeShape();
    } else {
      ThrowNpyError(file_, "unknown or repeated header key", Quote(key),
                    "descr, fortran_order and shape, once each");
    }
  }

  std::string_view TakeString(std::string_view expected) {
    SkipSpace();
    const char quote = Peek();
    if (quote != '\'' && quote != '"') Fail("malformed header", expected);
    const size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) Fail("header ends inside a string", expected);
    const std::string_view value = text_.substr(position_ + 1, end - position_ - 1);
    position_ = end + 1;
    return value;
  }

  bool TakeBool() {
    SkipSpace();
    for (const std::string_view word : {"False", "True"}) {
      if (!text_.substr(position_).starts_with(word)) continue;
      position_ += word.size();
      return word == "True";
    }
    Fail("malformed header", "True or False as fortran_order");
  }

  std::vector<uint64_t> TakeShape() {
    std::vector<uint64_t> shape;
    Take('(', "a tuple as shape");
    while (!TryTake(')')) {
      shape.push_back(TakeSize());
      if (TryTake(',')) continue;
      if (shape.size() == 1) Fail("malformed header", "',' after the only size of a shape");
      Take(')', "',' or ')' after a size");
      break;
    }
    return shape;
  }

  uint64_t TakeSize() {
    SkipSpace();
    uint64_t size = 0;
    const char* begin = text_.data() + position_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), size);
    const bool leading_zero = error == std::errc() && *begin == '0' && end - begin > 1;
    constexpr uint64_t kMaxSize = std::numeric_limits<int64_t>::max();
    if (error != std::errc() || size > kMaxSize || leading_zero) {
      Fail("impossible size in shape", "an integer in [0, 2^63)");
    }
    position_ = static_cast<size_t>(end - text_.data());
    return size;
  }

  void SkipSpace() {
    while (position_ < text_.size() && (Peek() == ' ' || Peek() == '\n')) ++position_;
  }

  char Peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  bool TryTake(char c) {
    SkipSpace();
    if (position_ == text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }

  void Take(char c, std::string_view expected) {
    if (!TryTake(c)) Fail("malformed header", expected);
  }

  void Need(bool present, std::string_view key) const {
    if (!present) ThrowNpyError(file_, "header key missing", "none", key);
  }

  [[noreturn]] void Fail(std::string_view what, std::string_view expected) const {
    const std::string_view rest = text_.substr(position_);
    ThrowNpyError(file_, what, rest.empty() ? "its end" : Quote(rest), expected);
  }

  std::string_view text_;
  std::string_view file_;
  size_t position_ = 0;
  std::optional<std::string_view> descr_;
  std::optional<bool> fortran_order_;
  std::optional<std::vector<uint64_t>> shape_;
};

// Checks magic, version and length; returns where the header text lies: {offset, length}.
std::pair<size_t, size_t> LocateHeader(Bytes prefix, uint64_t file_size, std::string_view file) {
  if (file_size < kPreambleV1) {
    ThrowNpyError(file, "too short for a .npy file", Cat(file_size, " bytes"),
                  Cat("at least ", kPreambleV1, " bytes"));
  }
  if (std::memcmp(prefix.data(), kMagic.data(), kMagic.size()) != 0) {
    ThrowNpyError(file, "not a .npy file",
                  Quote({reinterpret_cast<const char*>(prefix.data()), kMagic.size()}),
                  "the magic string \\x93NUMPY");
  }
  const int major = static_cast<int>(prefix[6]);
  const int minor = static_cast<int>(prefix[7]);
  if (major < 1 || major > 3 || minor != 0) {
    ThrowNpyError(file, "unknown .npy version", Cat(major, ".", minor), "1.0, 2.0 or 3.0");
  }
  const size_t offset = major == 1 ? kPreambleV1 : kMaxNpyPreamble;
  uint32_t length = 0;
  if (file_size >= offset) std::memcpy(&length, prefix.data() + 8, offset - 8);
  if (length > kMaxNpyHeader) {
    ThrowNpyError(file, "header too long", Cat(length, " bytes"), "at most ", kMaxNpyHeader,
                  " bytes");
  }
  if (file_size < offset + length) {
    ThrowNpyError(file, "file ends inside its header", Cat(file_size), offset + length,
                  " bytes or more");
  }
  return {offset, length};
}

// Fills in the shape and the count of elements, whose bytes must be countable in a size_t.
void SetShape(const std::vector<uint64_t>& shape, std::string_view file, NpyLayout& layout) {
  constexpr uint64_t kMaxCount = std::numeric_limits<size_t>::max() / sizeof(int64_t);
  std::copy(shape.begin(), shape.end(), layout.shape);
  layout.count = 1;
  std::string text;
  for (const uint64_t size : shape) {
    text += Cat(text.empty() ? "" : " x ", size);
    if (size != 0 && layout.count > kMaxCount / size) {
      ThrowNpyError(file, "shape is impossibly large", text, "at most ", kMaxCount, " values");
    }
    layout.count *= size;
  }
}

}  // namespace

NpyLayout ParseNpyHeader(Bytes prefix, uint64_t file_size, std::string_view file,
                         const NpyWanted& wanted) {
  const auto [offset, length] = LocateHeader(prefix, file_size, file);
  HeaderParser header({reinterpret_cast<const char*>(prefix.data()) + offset, length}, file);
  header.Parse();
  if (header.descr() != wanted.descr) {
    ThrowNpyError(file, "wrong dtype", Quote(header.descr()), '"', wanted.descr, '"');
  }
  if (header.fortran_order()) {
    ThrowNpyError(file, "array is in Fortran order", "fortran_order True", "fortran_order False");
  }
  if (header.shape().size() != wanted.rank) {
    ThrowNpyError(file, "wrong number of dimensions", Cat(header.shape().size()), wanted.rank);
  }
  NpyLayout layout;
  layout.data_offset = offset + length;
  SetShape(header.shape(), file, layout);
  const uint64_t found = file_size - layout.data_offset;
  if (layout.count != found / wanted.item_bytes || found % wanted.item_bytes != 0) {
    ThrowNpyError(file, "data does not fit the shape", Cat(found, " bytes"), layout.count,
                  " values of ", wanted.item_bytes, " bytes");
  }
  return layout;
}

std::string MakeNpyHeader(std::string_view descr, std::string_view shape) {
  std::string dict =
      Cat("{'descr': '", descr, "', 'fortran_order': False, 'shape': ", shape, ", }");
  const size_t unpadded = kPreambleV1 + dict.size() + 1;
  dict.append((kHeaderAlignment - unpadded % kHeaderAlignment) % kHeaderAlignment, ' ');
  dict += '\n';
  const auto length = static_cast<uint16_t>(dict.size());
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  return header + dict;
}

}  // namespace eta
