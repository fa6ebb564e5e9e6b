// SPDX-License-Identifier: Apache-2.0
// NumPy .npy files: versions 1 to 3, little-endian, C order, one to three dimensions.
//
// T is float, int8_t, uint8_t, int32_t or int64_t; a file of another type is refused, never
// converted. Readers treat every byte as hostile: nothing is allocated before the shape has been
// found to fit the size of the file exactly. What is wrong is thrown as DataError: "file: what
// (expected ..., found ...)".
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/export.h"
#include "core/base/matrix.h"

namespace eta {

// One dimension.
template <class T>
ETA_CORE_API std::vector<T> ReadNpyVector(const std::filesystem::path& file);
// Two dimensions: rows x cols.
template <class T>
ETA_CORE_API Matrix<T> ReadNpyMatrix(const std::filesystem::path& file);
// Three dimensions: shape[0] matrices of shape[1] x shape[2], one below the other. `shape` says
// what the file must hold, since a matrix cannot tell where one ends.
template <class T>
ETA_CORE_API Matrix<T> ReadNpyStack(const std::filesystem::path& file,
                                    const std::array<size_t, 3>& shape);

// The same for a file whose bytes are given; messages call it `name`.
template <class T>
ETA_CORE_API std::vector<T> ParseNpyVector(std::span<const std::byte> bytes, std::string_view name);
template <class T>
ETA_CORE_API Matrix<T> ParseNpyMatrix(std::span<const std::byte> bytes, std::string_view name);

// Write the bytes that numpy.save would, over a file that is there. Throw DataError when the file
// cannot be written whole; what has been written then stays.
template <class T>
ETA_CORE_API void WriteNpyVector(const std::filesystem::path& file, std::span<const T> values);
template <class T>
ETA_CORE_API void WriteNpyMatrix(const std::filesystem::path& file, const Matrix<T>& matrix);

// Writes the same file row by row, so that memory need not hold it.
template <class T>
class ETA_CORE_API NpyRowWriter {
 public:
  // A matrix of rows x cols. Throws DataError when the file cannot be written, as all here do.
  NpyRowWriter(const std::filesystem::path& file, size_t rows, size_t cols);
  // A vector of `rows` values.
  NpyRowWriter(const std::filesystem::path& file, size_t rows);

  // Adds the next row. Throws std::invalid_argument when it is one too many or has another length.
  void Append(std::span<const T> row);
  // Ends the file, which is not whole before. Throws std::invalid_argument when rows are missing.
  void Close();

 private:
  NpyRowWriter(const std::filesystem::path& file, size_t rows, size_t cols, std::string_view shape);
  void Check() const;

  std::filesystem::path file_;
  std::ofstream out_;
  size_t missing_;
  size_t cols_;
};

// These bytes, for who writes files in another way.
template <class T>
ETA_CORE_API std::string NpyMatrixBytes(const Matrix<T>& matrix);

}  // namespace eta
