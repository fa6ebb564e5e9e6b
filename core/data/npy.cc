// SPDX-License-Identifier: Apache-2.0
#include "core/data/npy.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <new>
#include <optional>
#include <string>
#include <system_error>

#include "core/base/check.h"

namespace eta {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read as they are in memory");

using Bytes = std::span<const std::byte>;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kPreambleV1 = 10;       // magic, two bytes of version, uint16 header length
constexpr size_t kPreambleV2 = 12;       // the same with a uint32 length
constexpr size_t kMaxHeader = 64 << 10;  // what version 1 allows; a longer one is an attack
constexpr size_t kHeaderAlignment = 64;

template <class T>
constexpr std::string_view kDescr = "";
template <>
constexpr std::string_view kDescr<float> = "<f4";
template <>
constexpr std::string_view kDescr<int8_t> = "|i1";
template <>
constexpr std::string_view kDescr<uint8_t> = "|u1";
template <>
constexpr std::string_view kDescr<int32_t> = "<i4";
template <>
constexpr std::string_view kDescr<int64_t> = "<i8";

// What the caller wants the file to hold.
struct Wanted {
  std::string_view descr;
  size_t item_bytes;
  size_t rank;
};

struct Layout {
  uint64_t shape[3] = {1, 1, 1};
  size_t count = 0;  // elements
  size_t data_offset = 0;
};

template <class... Expected>
[[noreturn]] void Fail(std::string_view file, std::string_view what, std::string_view found,
                       const Expected&... expected) {
  throw DataError(Cat(file, ": ", what, " (expected ", expected..., ", found ", found, ")"));
}

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
      eta::Fail(file_, "unknown or repeated header key", Quote(key),
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
    if (!present) eta::Fail(file_, "header key missing", "none", key);
  }

  [[noreturn]] void Fail(std::string_view what, std::string_view expected) const {
    const std::string_view rest = text_.substr(position_);
    eta::Fail(file_, what, rest.empty() ? "its end" : Quote(rest), expected);
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
    Fail(file, "too short for a .npy file", Cat(file_size, " bytes"), "at least 10 bytes");
  }
  if (std::memcmp(prefix.data(), kMagic.data(), kMagic.size()) != 0) {
    Fail(file, "not a .npy file", Quote({reinterpret_cast<const char*>(prefix.data()), 6}),
         "the magic string \\x93NUMPY");
  }
  const int major = static_cast<int>(prefix[6]);
  const int minor = static_cast<int>(prefix[7]);
  if (major < 1 || major > 3 || minor != 0) {
    Fail(file, "unknown .npy version", Cat(major, ".", minor), "1.0, 2.0 or 3.0");
  }
  const size_t offset = major == 1 ? kPreambleV1 : kPreambleV2;
  uint32_t length = 0;
  if (file_size >= offset) std::memcpy(&length, prefix.data() + 8, offset - 8);
  if (length > kMaxHeader) {
    Fail(file, "header too long", Cat(length, " bytes"), "at most ", kMaxHeader, " bytes");
  }
  if (file_size < offset + length) {
    Fail(file, "file ends inside its header", Cat(file_size), offset + length, " bytes or more");
  }
  return {offset, length};
}

// Fills in the shape and the count of elements, whose bytes must be countable in a size_t.
void SetShape(const std::vector<uint64_t>& shape, std::string_view file, Layout& layout) {
  constexpr uint64_t kMaxCount = std::numeric_limits<size_t>::max() / sizeof(int64_t);
  std::copy(shape.begin(), shape.end(), layout.shape);
  layout.count = 1;
  std::string text;
  for (const uint64_t size : shape) {
    text += Cat(text.empty() ? "" : " x ", size);
    if (size != 0 && layout.count > kMaxCount / size) {
      Fail(file, "shape is impossibly large", text, "at most ", kMaxCount, " values");
    }
    layout.count *= size;
  }
}

// Checks everything but the data. `prefix` is the start of the file: all of it, or enough for the
// longest header.
Layout ParseLayout(Bytes prefix, uint64_t file_size, std::string_view file, const Wanted& wanted) {
  const auto [offset, length] = LocateHeader(prefix, file_size, file);
  HeaderParser header({reinterpret_cast<const char*>(prefix.data()) + offset, length}, file);
  header.Parse();
  if (header.descr() != wanted.descr) {
    Fail(file, "wrong dtype", Quote(header.descr()), '"', wanted.descr, '"');
  }
  if (header.fortran_order()) {
    Fail(file, "array is in Fortran order", "fortran_order True", "fortran_order False");
  }
  if (header.shape().size() != wanted.rank) {
    Fail(file, "wrong number of dimensions", Cat(header.shape().size()), wanted.rank);
  }
  Layout layout;
  layout.data_offset = offset + length;
  SetShape(header.shape(), file, layout);
  const uint64_t found = file_size - layout.data_offset;
  if (layout.count != found / wanted.item_bytes || found % wanted.item_bytes != 0) {
    Fail(file, "data does not fit the shape", Cat(found, " bytes"), layout.count, " values of ",
         wanted.item_bytes, " bytes");
  }
  return layout;
}

template <class Container>
void Resize(Container& values, size_t count, std::string_view file) {
  try {
    values.resize(count);
  } catch (const std::bad_alloc&) {
    Fail(file, "does not fit into memory", "too little", Cat("room for ", count, " values"));
  } catch (const std::length_error&) {
    Fail(file, "does not fit into memory", "too little", Cat("room for ", count, " values"));
  }
}

template <class T, class Container>
Layout ParseInto(Bytes bytes, std::string_view name, size_t rank, Container& values) {
  const Layout layout = ParseLayout(bytes, bytes.size(), name, {kDescr<T>, sizeof(T), rank});
  Resize(values, layout.count, name);
  if (layout.count > 0) {
    std::memcpy(values.data(), bytes.data() + layout.data_offset, layout.count * sizeof(T));
  }
  return layout;
}

void ReadExactly(std::istream& in, void* out, size_t bytes, std::string_view file) {
  in.read(static_cast<char*>(out), static_cast<std::streamsize>(bytes));
  if (static_cast<size_t>(in.gcount()) != bytes) {
    Fail(file, "cannot be read", Cat(in.gcount()), bytes, " bytes");
  }
}

uint64_t RegularFileSize(const std::filesystem::path& file) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) Fail(file.string(), "cannot be opened", "none", "a file");
  if (!std::filesystem::is_regular_file(status)) {
    Fail(file.string(), "cannot be read", "something else", "a regular file");
  }
  const uint64_t size = std::filesystem::file_size(file, error);
  if (error) Fail(file.string(), "cannot be read", error.message(), "a readable file");
  return size;
}

template <class T, class Container>
Layout ReadInto(const std::filesystem::path& path, size_t rank, Container& values) {
  const std::string file = path.string();
  const uint64_t size = RegularFileSize(path);
  std::ifstream in(path, std::ios::binary);
  if (!in) Fail(file, "cannot be opened", std::strerror(errno), "a readable file");
  std::vector<std::byte> prefix(std::min<uint64_t>(size, kPreambleV2 + kMaxHeader));
  ReadExactly(in, prefix.data(), prefix.size(), file);
  const Layout layout = ParseLayout(prefix, size, file, {kDescr<T>, sizeof(T), rank});
  Resize(values, layout.count, file);
  in.seekg(static_cast<std::streamoff>(layout.data_offset));
  ReadExactly(in, values.data(), layout.count * sizeof(T), file);
  return layout;
}

std::string MakeHeader(std::string_view descr, std::string_view shape) {
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

void WriteFile(const std::filesystem::path& file, std::string_view header, Bytes data) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(header.data(), static_cast<std::streamsize>(header.size()));
  out.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  out.close();
  if (!out) throw DataError(Cat(file.string(), ": cannot be written: ", std::strerror(errno)));
}

}  // namespace

template <class T>
std::vector<T> ReadNpyVector(const std::filesystem::path& file) {
  std::vector<T> values;
  ReadInto<T>(file, 1, values);
  return values;
}

template <class T>
Matrix<T> ReadNpyMatrix(const std::filesystem::path& file) {
  Matrix<T> matrix;
  const Layout layout = ReadInto<T>(file, 2, matrix.values);
  matrix.rows = layout.shape[0];
  matrix.cols = layout.shape[1];
  return matrix;
}

template <class T>
Matrix<T> ReadNpyStack(const std::filesystem::path& file, const std::array<size_t, 3>& shape) {
  Matrix<T> matrix;
  const Layout layout = ReadInto<T>(file, 3, matrix.values);
  if (!std::ranges::equal(layout.shape, shape)) {
    const auto text = [](const auto& s) { return Cat(s[0], " x ", s[1], " x ", s[2]); };
    Fail(file.string(), "wrong shape", text(layout.shape), text(shape));
  }
  matrix.rows = shape[0] * shape[1];
  matrix.cols = shape[2];
  return matrix;
}

template <class T>
std::vector<T> ParseNpyVector(std::span<const std::byte> bytes, std::string_view name) {
  std::vector<T> values;
  ParseInto<T>(bytes, name, 1, values);
  return values;
}

template <class T>
Matrix<T> ParseNpyMatrix(std::span<const std::byte> bytes, std::string_view name) {
  Matrix<T> matrix;
  const Layout layout = ParseInto<T>(bytes, name, 2, matrix.values);
  matrix.rows = layout.shape[0];
  matrix.cols = layout.shape[1];
  return matrix;
}

template <class T>
void WriteNpyVector(const std::filesystem::path& file, std::span<const T> values) {
  WriteFile(file, MakeHeader(kDescr<T>, Cat("(", values.size(), ",)")), std::as_bytes(values));
}

template <class T>
void WriteNpyMatrix(const std::filesystem::path& file, const Matrix<T>& matrix) {
  Require(matrix.values.size() == matrix.rows * matrix.cols, "matrix of ", matrix.rows, " x ",
          matrix.cols, " holds ", matrix.values.size(), " values");
  WriteFile(file, MakeHeader(kDescr<T>, Cat("(", matrix.rows, ", ", matrix.cols, ")")),
            std::as_bytes(std::span(matrix.values)));
}

#define ETA_INSTANTIATE_NPY(T)                                                                    \
  template std::vector<T> ReadNpyVector<T>(const std::filesystem::path&);                         \
  template Matrix<T> ReadNpyMatrix<T>(const std::filesystem::path&);                              \
  template Matrix<T> ReadNpyStack<T>(const std::filesystem::path&, const std::array<size_t, 3>&); \
  template std::vector<T> ParseNpyVector<T>(std::span<const std::byte>, std::string_view);        \
  template Matrix<T> ParseNpyMatrix<T>(std::span<const std::byte>, std::string_view);             \
  template void WriteNpyVector<T>(const std::filesystem::path&, std::span<const T>);              \
  template void WriteNpyMatrix<T>(const std::filesystem::path&, const Matrix<T>&)

ETA_INSTANTIATE_NPY(float);
ETA_INSTANTIATE_NPY(int8_t);
ETA_INSTANTIATE_NPY(uint8_t);
ETA_INSTANTIATE_NPY(int32_t);
ETA_INSTANTIATE_NPY(int64_t);
#undef ETA_INSTANTIATE_NPY

}  // namespace eta
