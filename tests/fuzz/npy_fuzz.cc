// SPDX-License-Identifier: Apache-2.0
// libFuzzer entry for the .npy reader; not part of the build. From the root of the project:
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/npy_fuzz.cc
//     core/data/npy.cc -o npy_fuzz && ./npy_fuzz -max_total_time=60
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/check.h"
#include "core/data/npy.h"

namespace {

template <class Parse>
void MustParseOrThrowDataError(Parse parse) {
  try {
    parse();
  } catch (const eta::DataError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  MustParseOrThrowDataError([&] { eta::ParseNpyMatrix<float>(bytes, "fuzz"); });
  MustParseOrThrowDataError([&] { eta::ParseNpyVector<int32_t>(bytes, "fuzz"); });
  MustParseOrThrowDataError([&] { eta::ParseNpyVector<int64_t>(bytes, "fuzz"); });
  return 0;
}
