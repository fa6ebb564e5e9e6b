// SPDX-License-Identifier: Apache-2.0
// Whole folders out of one input.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/data/internal/npy_header.h"
#include "tests/fuzz/reading.h"

namespace eta::fuzz {

// The bytes of one file: of the input's own, or a sound .npy file of `descr` whose shape and values
// are, since few changes of bytes leave header and size of a file in agreement.
inline std::string FileContent(Input& in, std::string_view descr) {
  if (descr.empty() || in.Flag()) return in.Text(in.Between(0, 400));
  const size_t rows = in.Between(0, 40);
  const size_t item_bytes = static_cast<size_t>(descr[2] - '0');
  if (in.Flag()) {
    std::string data = in.Text(rows * item_bytes);
    data.resize(rows * item_bytes);
    return MakeNpyHeader(descr, Cat("(", rows, ",)")) + data;
  }
  const size_t cols = in.Between(0, 8);
  std::string data = in.Text(rows * cols * item_bytes);
  data.resize(rows * cols * item_bytes);
  return MakeNpyHeader(descr, Cat("(", rows, ", ", cols, ")")) + data;
}

}  // namespace eta::fuzz
