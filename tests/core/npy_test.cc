// SPDX-License-Identifier: Apache-2.0
#include "core/data/npy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "core/base/random.h"
#include "tests/support/mutation.h"
#include "tests/support/temp_folder.h"

namespace eta {
namespace {

using namespace std::string_literals;

std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// A version 1 file with this header text, unpadded.
std::string File(const std::string& header, const std::string& data = "") {
  const auto length = static_cast<uint16_t>(header.size());
  return "\x93NUMPY\x01\x00"s + static_cast<char>(length & 255) + static_cast<char>(length >> 8) +
         header + data;
}

std::string Header(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

const std::string kSixFloats(24, '\0');
const std::string kGood = File(Header("<f4", "False", "(2, 3)"), kSixFloats);

// What the parser says about a bad file; "" when it takes it.
template <class T = float>
std::string ErrorOf(const std::string& file, bool as_matrix = true) {
  try {
    if (as_matrix) {
      ParseNpyMatrix<T>(Bytes(file), "x.npy");
    } else {
      ParseNpyVector<T>(Bytes(file), "x.npy");
    }
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

void ExpectRefused(const std::string& file, const std::string& reason) {
  const std::string error = ErrorOf(file);
  EXPECT_EQ(error.rfind("x.npy: ", 0), 0u) << error;
  EXPECT_NE(error.find(reason), std::string::npos) << "wanted " << reason << ", got " << error;
  EXPECT_NE(error.find("(expected "), std::string::npos) << error;
  EXPECT_NE(error.find(", found "), std::string::npos) << error;
  for (const char c : error) EXPECT_TRUE(c >= ' ' && c <= '~') << error;
}

TEST(NpyTest, TakesAGoodFile) {
  EXPECT_EQ(ErrorOf(kGood), "");
  const std::string values = "\0\0\x80\x3f\0\0\0\xc0"s;  // 1 and -2
  const auto vector =
      ParseNpyVector<float>(Bytes(File(Header("<f4", "False", "(2,)"), values)), "");
  EXPECT_EQ(vector, (std::vector<float>{1, -2}));
}

TEST(NpyTest, TakesAnyKeyOrderSpacingAndQuotes) {
  for (const char* header : {
           "{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}",
           "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(2,3,)}",
           "  { 'fortran_order' : False , 'descr' : '<f4' ,\n 'shape' : ( 2 , 3 ) , } \n\n",
       }) {
    EXPECT_EQ(ErrorOf(File(header, kSixFloats)), "") << header;
  }
}

TEST(NpyTest, TakesVersionsTwoAndThree) {
  const std::string header = Header("<f4", "False", "(2, 3)");
  for (const char version : {'\x02', '\x03'}) {
    const std::string file = "\x93NUMPY"s + version + "\0"s + static_cast<char>(header.size()) +
                             "\0\0\0"s + header + kSixFloats;
    EXPECT_EQ(ErrorOf(file), "");
    ExpectRefused(file + "x", "does not fit");
  }
}

TEST(NpyTest, TakesEmptyArrays) {
  EXPECT_EQ(ErrorOf(File(Header("<f4", "False", "(0,)")), false), "");
  const auto matrix = ParseNpyMatrix<float>(Bytes(File(Header("<f4", "False", "(0, 64)"))), "");
  EXPECT_EQ(matrix.rows, 0u);
  EXPECT_EQ(matrix.cols, 64u);
}

TEST(NpyTest, RefusesWhatIsNotNpy) {
  ExpectRefused("", "too short");
  ExpectRefused("\x93NUMPY", "too short");
  ExpectRefused("PK\x03\x04 a zip archive", "not a .npy file");
  ExpectRefused("\x93NUMPY\x04\x00\x00\x00    "s, "version");
  ExpectRefused("\x93NUMPY\x01\x01\x00\x00    "s, "version");
  ExpectRefused("\x93NUMPY\x00\x00\x00\x00    "s, "version");
}

TEST(NpyTest, RefusesEveryTruncationAndTrailingByte) {
  for (size_t size = 0; size < kGood.size(); ++size) {
    EXPECT_NE(ErrorOf(kGood.substr(0, size)), "") << size;
  }
  ExpectRefused(kGood + '\0', "data does not fit the shape");
}

TEST(NpyTest, RefusesHeaderBombs) {
  ExpectRefused("\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'"s, "header too long");
  ExpectRefused("\x93NUMPY\x01\x00\xff\xff{'descr'"s, "ends inside its header");
  ExpectRefused("\x93NUMPY\x02\x00\x00\x00"s, "ends inside its header");
  ExpectRefused(File(std::string(60000, '(')), "malformed header");
  ExpectRefused(File(std::string(60000, '{')), "malformed header");
}

TEST(NpyTest, RefusesOtherTypesAndOrders) {
  for (const char* descr :
       {">f4", "<f8", "<f2", "|i4", "=f4", "f4", "<i4", "<u4", "<c8", "|O", ""}) {
    ExpectRefused(File(Header(descr, "False", "(2, 3)"), kSixFloats), "wrong dtype");
  }
  ExpectRefused(File(Header("<f4", "True", "(2, 3)"), kSixFloats), "Fortran");
  EXPECT_NE(ErrorOf<int32_t>(File(Header("<u4", "False", "(6,)"), kSixFloats), false), "");
  EXPECT_EQ(ErrorOf<int32_t>(File(Header("<i4", "False", "(6,)"), kSixFloats), false), "");
  EXPECT_EQ(ErrorOf<int64_t>(File(Header("<i8", "False", "(3,)"), kSixFloats), false), "");
}

TEST(NpyTest, RefusesOtherShapes) {
  for (const char* shape : {"()", "(6,)", "(1, 2, 3)"}) {
    ExpectRefused(File(Header("<f4", "False", shape), kSixFloats), "dimensions");
  }
  for (const char* shape : {"(2, 2)", "(3, 3)", "(0, 0)", "(0, 6)", "(6, 1000000)"}) {
    ExpectRefused(File(Header("<f4", "False", shape), kSixFloats), "does not fit the shape");
  }
  ExpectRefused(File("{'shape': (2,"), "impossible size");
  for (const char* shape :
       {"(-2, -3)", "(2, 9223372036854775808)", "(2, 99999999999999999999)", "(02, 3)"}) {
    ExpectRefused(File(Header("<f4", "False", shape), kSixFloats), "impossible size");
  }
}

// 2^62 x 4 + 6 and its kin wrap around to a few bytes.
TEST(NpyTest, RefusesShapesThatOverflow) {
  for (const char* shape : {"(4611686018427387904, 4)", "(4294967296, 4294967296)",
                            "(9223372036854775807, 9223372036854775807)",
                            "(3, 6148914691236517206)", "(4611686018427387905, 6)"}) {
    ExpectRefused(File(Header("<f4", "False", shape), kSixFloats), "impossibly large");
  }
  ExpectRefused(File(Header("<f4", "False", "(1, 1000000000000)"), kSixFloats), "does not fit");
}

TEST(NpyTest, RefusesMalformedHeaders) {
  for (const char* header : {
           "",
           "[]",
           "{}",
           "{'descr': '<f4'}",
           "{'descr' '<f4'}",
           "{'descr': <f4}",
           "{'descr: 1}",
           "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3)}",
           "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (6)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3.0)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} 1",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
           "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
           "{'descr': '<f4', 'fortran_order': False, 'fortran_order': False}",
           "{'descr': '<f4', 'fortran_order': False}",
           "{'descr': '<f4', 'shape': (2, 3)}",
           "{'fortran_order': False, 'shape': (2, 3)}",
           "{,}",
       }) {
    ExpectRefused(File(header, kSixFloats), "header");
  }
  ExpectRefused(File("{'\n\x1b[2J': 1}", kSixFloats), "unknown or repeated header key");
}

TEST(NpyTest, RefusesFilesThatAreNotThere) {
  TempFolder folder;
  EXPECT_THROW(ReadNpyMatrix<float>(folder / "none.npy"), DataError);
  EXPECT_THROW(ReadNpyMatrix<float>(folder.path()), DataError);
  EXPECT_THROW(ReadNpyMatrix<float>("/dev/zero"), DataError);
  EXPECT_THROW(WriteNpyVector<int32_t>(folder / "no" / "x.npy", {}), DataError);
}

TEST(NpyTest, ReadsFilesAsItParsesMemory) {
  TempFolder folder;
  WriteText(folder / "good.npy", kGood);
  EXPECT_EQ(ReadNpyMatrix<float>(folder / "good.npy").rows, 2u);
  WriteText(folder / "long.npy", kGood + "x");
  EXPECT_THROW(ReadNpyMatrix<float>(folder / "long.npy"), DataError);
  WriteText(folder / "short.npy", kGood.substr(0, kGood.size() - 1));
  EXPECT_THROW(ReadNpyMatrix<float>(folder / "short.npy"), DataError);
}

Matrix<float> OddMatrix() {
  Matrix<float> matrix(3, 2);
  matrix.values = {1.5f, -0.0f, std::numeric_limits<float>::infinity(), std::nanf(""), 1e-42f, 7};
  return matrix;
}

TEST(NpyTest, WritesWhatItReads) {
  TempFolder folder;
  WriteNpyMatrix(folder / "m.npy", OddMatrix());
  EXPECT_EQ(NpyMatrixBytes(OddMatrix()), ReadText(folder / "m.npy"));
  const auto matrix = ReadNpyMatrix<float>(folder / "m.npy");
  EXPECT_EQ(matrix.rows, 3u);
  EXPECT_EQ(matrix.cols, 2u);
  EXPECT_EQ(std::memcmp(matrix.values.data(), OddMatrix().values.data(), 24), 0);
  const std::vector<int64_t> values = {0, -1, std::numeric_limits<int64_t>::min()};
  WriteNpyVector<int64_t>(folder / "v.npy", values);
  EXPECT_EQ(ReadNpyVector<int64_t>(folder / "v.npy"), values);
  WriteNpyVector<int32_t>(folder / "e.npy", {});
  EXPECT_TRUE(ReadNpyVector<int32_t>(folder / "e.npy").empty());
}

// numpy reads each file, and saving what it read gives the very same bytes.
TEST(NpyTest, AgreesWithNumpy) {
  if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
    GTEST_SKIP() << "no numpy for /usr/bin/python3";
  }
  TempFolder folder;
  std::vector<int32_t> many(12345);
  std::iota(many.begin(), many.end(), -7);
  WriteNpyMatrix(folder / "0.npy", OddMatrix());
  WriteNpyVector<int32_t>(folder / "1.npy", many);
  WriteNpyVector<int64_t>(folder / "2.npy", {});
  WriteText(folder / "check.py",
            "import numpy as np, sys\n"
            "arrays = [np.load(f'{sys.argv[1]}/{i}.npy') for i in range(3)]\n"
            "assert arrays[0].dtype == '<f4' and arrays[0].shape == (3, 2)\n"
            "assert arrays[0][0, 0] == 1.5 and np.isnan(arrays[0][1, 1]) and arrays[0][2, 1] == 7\n"
            "assert (arrays[1] == np.arange(12345) - 7).all() and arrays[1].dtype == '<i4'\n"
            "assert arrays[2].shape == (0,) and arrays[2].dtype == '<i8'\n"
            "for i, array in enumerate(arrays): np.save(f'{sys.argv[1]}/numpy{i}.npy', array)\n");
  const std::string command =
      "/usr/bin/python3 " + (folder / "check.py").string() + " " + folder.path().string();
  ASSERT_EQ(std::system(command.c_str()), 0);
  for (const std::string i : {"0", "1", "2"}) {
    EXPECT_EQ(ReadText(folder / (i + ".npy")), ReadText(folder / ("numpy" + i + ".npy"))) << i;
  }
}

TEST(NpyTest, SurvivesMutations) {
  Random random(10);
  int taken = 0;
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    // Each mutant is a string of its own size, so that a sanitizer sees a read past its end.
    const std::string mutant = Mutate(kGood, random);
    const std::string error = ErrorOf(mutant);
    ++(error.empty() ? taken : refused);
    EXPECT_EQ(error.find('\n'), std::string::npos);
  }
  EXPECT_GT(taken, 500);  // changes of data alone
  EXPECT_GT(refused, 10000);
}

TEST(NpyRowWriter, WritesWhatNumpyWouldRowByRow) {
  const TempFolder folder;
  Matrix<float> matrix(3, 2);
  std::iota(matrix.values.begin(), matrix.values.end(), 1.0f);
  WriteNpyMatrix(folder / "whole.npy", matrix);
  NpyRowWriter<float> writer(folder / "rows.npy", 3, 2);
  for (size_t r = 0; r < 3; ++r) {
    EXPECT_THROW(writer.Close(), std::invalid_argument) << "after " << r;
    writer.Append({matrix.row(r), 2});
  }
  EXPECT_THROW(writer.Append({matrix.row(0), 2}), std::invalid_argument);
  writer.Close();
  EXPECT_EQ(ReadNpyMatrix<float>(folder / "rows.npy").values, matrix.values);
  EXPECT_EQ(std::filesystem::file_size(folder / "rows.npy"),
            std::filesystem::file_size(folder / "whole.npy"));

  NpyRowWriter<int32_t> vector(folder / "vector.npy", 1);
  const int32_t values[] = {7, 8};
  EXPECT_THROW(vector.Append(values), std::invalid_argument);
  vector.Append({values, 1});
  vector.Close();
  EXPECT_EQ(ReadNpyVector<int32_t>(folder / "vector.npy"), std::vector<int32_t>{7});
  EXPECT_THROW(NpyRowWriter<float>(folder / "none" / "x.npy", 1, 1), DataError);
}

}  // namespace
}  // namespace eta
