// SPDX-License-Identifier: Apache-2.0
// NumPy .npy files: versions 1 to 3, little-endian, C order, one or two dimensions.
//
// T is float, int32_t or int64_t; a file of another type is refused, never converted. Readers treat
// every byte as hostile: nothing is allocated before the shape has been found to fit the size of
// the file exactly. What is wrong is thrown as DataError: "file: what (expected ..., found ...)".
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "core/matrix.h"

namespace eta {

template <class T>
std::vector<T> ReadNpyVector(const std::filesystem::path& file);
template <class T>
Matrix<T> ReadNpyMatrix(const std::filesystem::path& file);

// The same for a file that is in memory already; `name` stands for it in messages.
template <class T>
std::vector<T> ParseNpyVector(std::span<const std::byte> bytes, std::string_view name);
template <class T>
Matrix<T> ParseNpyMatrix(std::span<const std::byte> bytes, std::string_view name);

// Write the bytes that numpy.save would. Throw DataError when the file cannot be written whole.
template <class T>
void WriteNpyVector(const std::filesystem::path& file, std::span<const T> values);
template <class T>
void WriteNpyMatrix(const std::filesystem::path& file, const Matrix<T>& matrix);

}  // namespace eta
