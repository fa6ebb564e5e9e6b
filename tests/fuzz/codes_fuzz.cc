// SPDX-License-Identifier: Apache-2.0
// Code tables and code blocks (core/retrieval/codes.h) against lists of codes, over any sequence of
// appending, replacing and reading; hyperplanes that are given from outside.
#include "core/retrieval/codes.h"

#include <optional>

#include "core/reference/hamming.h"
#include "core/reference/simhash.h"
#include "simd/hamming.h"
#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using Codes = std::vector<std::vector<uint8_t>>;

// True when f() ends; false when it throws std::invalid_argument.
template <class F>
bool Allows(F f) {
  try {
    f();
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

void CheckBlocks(const CodeBlocks& blocks, const Codes& codes) {
  ASSERT_EQ(blocks.size(), codes.size());
  if (codes.empty()) return;
  std::vector<uint16_t> distances(simd::PaddedRows(codes.size()));
  simd::HammingDistances(blocks.view(), codes[0].data(), distances.data());
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto code = blocks.code(i);
    ASSERT_TRUE(std::ranges::equal(code, codes[i])) << i;
    ASSERT_EQ(distances[i], reference::HammingDistance(codes[0], codes[i])) << i;
  }
}

// Calls in any order on blocks that begin with the codes of `items`.
void CheckCalls(Input& in, CodeBlocks blocks, Codes codes) {
  for (size_t calls = in.Between(0, 200); calls > 0; --calls) {
    // Sometimes of a wrong width, or for a position that is not there.
    const size_t width = blocks.code_bytes() + (in.Between(0, 15) == 15 ? 1 : 0);
    const auto code = in.Any<uint8_t>(width);
    const size_t position = in.Between(0, codes.size());
    const bool fits = width == blocks.code_bytes(), exists = position < codes.size();
    if (in.Flag()) {
      ASSERT_EQ(Allows([&] { blocks.Append(code); }), fits);
      if (fits) codes.push_back(code);
    } else {
      ASSERT_EQ(Allows([&] { blocks.Replace(position, code); }), fits && exists);
      if (fits && exists) codes[position] = code;
      ASSERT_EQ(Allows([&] { (void)blocks.code(position); }), exists);
    }
  }
  CheckBlocks(blocks, codes);
}

void Run(Input in) {
  const size_t dim = in.Between(0, 20), bits = in.Size(0, 300), items = in.Between(0, 40);
  Matrix<float> planes(dim, bits);
  const auto plane_values = in.Floats(dim * bits);
  std::ranges::copy(plane_values, planes.values.begin());
  const bool is_good = dim > 0 && bits > 0 &&
                       std::ranges::all_of(plane_values, [](float v) { return std::isfinite(v); });
  std::optional<Hyperplanes> hyperplanes;
  ASSERT_EQ(Allows([&] { hyperplanes = Hyperplanes::FromMatrix(planes); }), is_good);
  if (!is_good) return;
  ItemTable table;
  table.embeddings = Matrix<float>(items, dim);
  const auto embeddings = in.Floats(items * dim);
  std::ranges::copy(embeddings, table.embeddings.values.begin());
  CodeTable code_table(table, *hyperplanes);
  Codes expected;
  for (size_t i = 0; i < items; ++i) {
    expected.push_back(
        reference::SimHash(std::span(embeddings).subspan(i * dim, dim), plane_values, bits));
    ASSERT_TRUE(std::ranges::equal(code_table.row(i), expected[i])) << i;
  }
  std::vector<int32_t> ids;
  for (const auto id : in.Any<int8_t>(in.Size(0, 200))) ids.push_back(id);
  const bool in_range = std::ranges::all_of(
      ids, [&](int32_t id) { return id >= 0 && static_cast<size_t>(id) < items; });
  std::optional<CodeBlocks> blocks;
  ASSERT_EQ(Allows([&] { blocks.emplace(code_table, ids); }), in_range);
  Codes codes;
  for (const int32_t id : ids) {
    if (in_range) codes.push_back(expected[static_cast<size_t>(id)]);
  }
  if (!in_range) blocks.emplace(bits);
  CheckCalls(in, *blocks, codes);
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
