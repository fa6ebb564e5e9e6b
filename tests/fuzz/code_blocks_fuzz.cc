// SPDX-License-Identifier: Apache-2.0
// simd/code_blocks.h against core/reference/code_blocks.h.
#include "simd/code_blocks.h"

#include "core/reference/code_blocks.h"
#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

void Run(Input in) {
  const size_t code_bytes = in.Size(1, 600);
  const size_t n = std::min(in.Size(0, 3000), (size_t{1} << 14) / code_bytes);
  const size_t offset = in.Between(0, 7), stride = code_bytes + in.Between(0, 9);
  const auto codes = in.Any<uint8_t>(n * code_bytes);
  Buffer<uint8_t> table(test::WithStride<uint8_t>(codes, code_bytes, stride, uint8_t{0xA5}),
                        offset);
  const simd::RowsView<uint8_t> rows = {table.data(), n, code_bytes, stride};
  const auto id_list = in.Ids(n == 0 ? 0 : in.Size(0, 300), std::max<size_t>(n, 1));
  Buffer<int32_t> ids(id_list, offset);
  OnTargets(in, [&] {
    Buffer<uint8_t> packed(simd::CodeBlocksBytes(n, code_bytes), offset, 8);
    simd::PackCodeBlocks(rows, packed.data());
    const auto expected = reference::PackCodeBlocks(codes, code_bytes);
    ASSERT_TRUE(test::SameValues<uint8_t>(packed.span(), expected));
    Buffer<uint8_t> gathered(simd::CodeBlocksBytes(ids.size(), code_bytes), offset, 8);
    simd::GatherCodeBlocks(rows, {ids.data(), ids.size()}, gathered.data());
    ASSERT_TRUE(test::SameValues<uint8_t>(gathered.span(),
                                          reference::GatherCodeBlocks(codes, code_bytes, id_list)));
    // The same blocks, one code after another.
    Buffer<uint8_t> grown(std::vector<uint8_t>(packed.size(), 0), offset);
    Buffer<uint8_t> back(code_bytes, offset);
    for (size_t i = 0; i < n; ++i) {
      simd::SetBlockCode(grown.data(), code_bytes, i, rows.row(i));
      simd::GetBlockCode(grown.data(), code_bytes, i, back.data());
      ASSERT_TRUE(test::SameValues<uint8_t>(back.span(), {rows.row(i), code_bytes}));
    }
    ASSERT_TRUE(test::SameValues<uint8_t>(grown.span(), expected));
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
