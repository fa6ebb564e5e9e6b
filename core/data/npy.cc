// SPDX-License-Identifier: Apache-2.0
#include "core/data/npy.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <new>
#include <string>

#include "core/base/check.h"
#include "core/base/files.h"
#include "core/data/internal/npy_header.h"

namespace eta {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read as they are in memory");

using Bytes = std::span<const std::byte>;

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

template <class Container>
void Resize(Container& values, size_t count, std::string_view file) {
  try {
    values.resize(count);
  } catch (const std::bad_alloc&) {
    ThrowNpyError(file, "does not fit into memory", "too little",
                  Cat("room for ", count, " values"));
  } catch (const std::length_error&) {
    ThrowNpyError(file, "does not fit into memory", "too little",
                  Cat("room for ", count, " values"));
  }
}

template <class T, class Container>
NpyLayout ParseInto(Bytes bytes, std::string_view name, size_t rank, Container& values) {
  const NpyLayout layout = ParseNpyHeader(bytes, bytes.size(), name, {kDescr<T>, sizeof(T), rank});
  Resize(values, layout.count, name);
  if (layout.count > 0) {
    std::memcpy(values.data(), bytes.data() + layout.data_offset, layout.count * sizeof(T));
  }
  return layout;
}

void ReadExactly(std::istream& in, void* out, size_t bytes, std::string_view file) {
  in.read(static_cast<char*>(out), static_cast<std::streamsize>(bytes));
  if (static_cast<size_t>(in.gcount()) != bytes) {
    ThrowNpyError(file, "cannot be read", Cat(in.gcount()), bytes, " bytes");
  }
}

template <class T, class Container>
NpyLayout ReadInto(const std::filesystem::path& path, size_t rank, Container& values) {
  const std::string file = path.string();
  const uint64_t size = RegularFileSize(path);
  std::ifstream in = OpenRegularFile(path);
  std::vector<std::byte> prefix(std::min<uint64_t>(size, kMaxNpyPreamble + kMaxNpyHeader));
  ReadExactly(in, prefix.data(), prefix.size(), file);
  const NpyLayout layout = ParseNpyHeader(prefix, size, file, {kDescr<T>, sizeof(T), rank});
  Resize(values, layout.count, file);
  in.seekg(static_cast<std::streamoff>(layout.data_offset));
  ReadExactly(in, values.data(), layout.count * sizeof(T), file);
  return layout;
}

void WriteFile(const std::filesystem::path& file, std::string_view header, Bytes data) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(header.data(), static_cast<std::streamsize>(header.size()));
  out.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  out.close();
  if (!out) throw DataError(Cat(file.string(), ": cannot be written: ", std::strerror(errno)));
}

template <class T>
std::string HeaderOf(const Matrix<T>& matrix) {
  Require(matrix.values.size() == matrix.rows * matrix.cols, "matrix of ", matrix.rows, " x ",
          matrix.cols, " holds ", matrix.values.size(), " values");
  return MakeNpyHeader(kDescr<T>, Cat("(", matrix.rows, ", ", matrix.cols, ")"));
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
  const NpyLayout layout = ReadInto<T>(file, 2, matrix.values);
  matrix.rows = layout.shape[0];
  matrix.cols = layout.shape[1];
  return matrix;
}

template <class T>
Matrix<T> ReadNpyStack(const std::filesystem::path& file, const std::array<size_t, 3>& shape) {
  Matrix<T> matrix;
  const NpyLayout layout = ReadInto<T>(file, 3, matrix.values);
  if (!std::ranges::equal(layout.shape, shape)) {
    const auto text = [](const auto& s) { return Cat(s[0], " x ", s[1], " x ", s[2]); };
    ThrowNpyError(file.string(), "wrong shape", text(layout.shape), text(shape));
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
  const NpyLayout layout = ParseInto<T>(bytes, name, 2, matrix.values);
  matrix.rows = layout.shape[0];
  matrix.cols = layout.shape[1];
  return matrix;
}

template <class T>
void WriteNpyVector(const std::filesystem::path& file, std::span<const T> values) {
  WriteFile(file, MakeNpyHeader(kDescr<T>, Cat("(", values.size(), ",)")), std::as_bytes(values));
}

template <class T>
void WriteNpyMatrix(const std::filesystem::path& file, const Matrix<T>& matrix) {
  WriteFile(file, HeaderOf(matrix), std::as_bytes(std::span(matrix.values)));
}

template <class T>
NpyRowWriter<T>::NpyRowWriter(const std::filesystem::path& file, size_t rows, size_t cols)
    : NpyRowWriter(file, rows, cols, Cat("(", rows, ", ", cols, ")")) {}

template <class T>
NpyRowWriter<T>::NpyRowWriter(const std::filesystem::path& file, size_t rows)
    : NpyRowWriter(file, rows, 1, Cat("(", rows, ",)")) {}

template <class T>
NpyRowWriter<T>::NpyRowWriter(const std::filesystem::path& file, size_t rows, size_t cols,
                              std::string_view shape)
    : file_(file), out_(file, std::ios::binary | std::ios::trunc), missing_(rows), cols_(cols) {
  const std::string header = MakeNpyHeader(kDescr<T>, shape);
  out_.write(header.data(), static_cast<std::streamsize>(header.size()));
  Check();
}

template <class T>
void NpyRowWriter<T>::Append(std::span<const T> row) {
  Require(missing_ > 0, file_.string(), ": more rows than there should be");
  Require(row.size() == cols_, file_.string(), ": a row of ", row.size(), " values, not ", cols_);
  out_.write(reinterpret_cast<const char*>(row.data()),
             static_cast<std::streamsize>(row.size_bytes()));
  Check();
  --missing_;
}

template <class T>
void NpyRowWriter<T>::Close() {
  Require(missing_ == 0, file_.string(), ": ", missing_, " rows are missing");
  out_.close();
  Check();
}

template <class T>
void NpyRowWriter<T>::Check() const {
  if (!out_) throw DataError(Cat(file_.string(), ": cannot be written: ", std::strerror(errno)));
}

template <class T>
std::string NpyMatrixBytes(const Matrix<T>& matrix) {
  std::string bytes = HeaderOf(matrix);
  bytes.append(reinterpret_cast<const char*>(matrix.values.data()),
               matrix.values.size() * sizeof(T));
  return bytes;
}

#define ETA_INSTANTIATE_NPY(T)                                                                    \
  template std::vector<T> ReadNpyVector<T>(const std::filesystem::path&);                         \
  template Matrix<T> ReadNpyMatrix<T>(const std::filesystem::path&);                              \
  template Matrix<T> ReadNpyStack<T>(const std::filesystem::path&, const std::array<size_t, 3>&); \
  template std::vector<T> ParseNpyVector<T>(std::span<const std::byte>, std::string_view);        \
  template Matrix<T> ParseNpyMatrix<T>(std::span<const std::byte>, std::string_view);             \
  template void WriteNpyVector<T>(const std::filesystem::path&, std::span<const T>);              \
  template void WriteNpyMatrix<T>(const std::filesystem::path&, const Matrix<T>&);                \
  template class NpyRowWriter<T>;                                                                 \
  template std::string NpyMatrixBytes<T>(const Matrix<T>&)

ETA_INSTANTIATE_NPY(float);
ETA_INSTANTIATE_NPY(int8_t);
ETA_INSTANTIATE_NPY(uint8_t);
ETA_INSTANTIATE_NPY(int32_t);
ETA_INSTANTIATE_NPY(int64_t);
#undef ETA_INSTANTIATE_NPY

}  // namespace eta
