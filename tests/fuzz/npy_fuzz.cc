// SPDX-License-Identifier: Apache-2.0
// The .npy reader (core/data/npy.h): bytes and files give the same, and what is read can be written
// and read again.
#include "core/data/npy.h"

#include <span>

#include "tests/fuzz/reading.h"

namespace eta::fuzz {
namespace {

template <class T>
void Check(std::span<const uint8_t> data) {
  const auto bytes = std::as_bytes(data);
  const auto file = ProcessFolder() / "in.npy", copy = ProcessFolder() / "out.npy";
  Matrix<T> matrix;
  const bool is_matrix = Takes([&] { matrix = ParseNpyMatrix<T>(bytes, "fuzz"); });
  Matrix<T> from_file;
  ASSERT_EQ(is_matrix, Takes([&] { from_file = ReadNpyMatrix<T>(file); }));
  std::vector<T> vector;
  const bool is_vector = Takes([&] { vector = ParseNpyVector<T>(bytes, "fuzz"); });
  ASSERT_EQ(is_vector, Takes([&] { ReadNpyVector<T>(file); }));
  ASSERT_FALSE(is_matrix && is_vector);
  if (is_matrix) {
    ASSERT_EQ(matrix.values.size(), matrix.rows * matrix.cols);
    ASSERT_TRUE(test::SameValues<T>(matrix.values, from_file.values));
    WriteNpyMatrix(copy, matrix);
    const Matrix<T> again = ReadNpyMatrix<T>(copy);
    ASSERT_EQ(again.rows, matrix.rows);
    ASSERT_EQ(again.cols, matrix.cols);
    ASSERT_TRUE(test::SameValues<T>(again.values, matrix.values));
  }
  if (is_vector) {
    WriteNpyVector<T>(copy, vector);
    ASSERT_TRUE(test::SameValues<T>(ReadNpyVector<T>(copy), vector));
  }
}

void Run(std::span<const uint8_t> data) {
  WriteText(ProcessFolder() / "in.npy", {reinterpret_cast<const char*>(data.data()), data.size()});
  Check<float>(data);
  Check<int8_t>(data);
  Check<uint8_t>(data);
  Check<int32_t>(data);
  Check<int64_t>(data);
  Takes([&] { ReadNpyStack<float>(ProcessFolder() / "in.npy", {2, 3, 4}); });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
