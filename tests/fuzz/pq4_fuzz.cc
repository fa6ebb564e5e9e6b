// SPDX-License-Identifier: Apache-2.0
// simd/pq4.h against core/reference/pq4.h.
#include "simd/pq4.h"

#include <limits>

#include "core/reference/pq4.h"
#include "tests/fuzz/code_inputs.h"
#include "tests/support/topk_calls.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

struct Case {
  explicit Case(Input& in)
      : code_bytes(in.Size(1, 512)),
        n(std::min(in.Size(0, 4000), (size_t{1} << 12) / code_bytes)),
        count(in.Between(0, 4)),
        offset(in.Between(0, 7)),
        stride(simd::Pq4TableBytes(code_bytes) + in.Between(0, 3)),
        codes(in.Any<uint8_t>(n * code_bytes)),
        tables(in.Any<uint8_t>(count * simd::Pq4TableBytes(code_bytes))),
        blocks(BlocksWithGarbage(in, codes, code_bytes)),
        call{in.TopK(n), in.Flag()} {
    // Small entries keep the sums of long codes in a byte.
    const size_t most = in.Between(0, simd::kPq4MaxEntry);
    for (uint8_t& entry : tables) entry = static_cast<uint8_t>(entry % (most + 1));
  }

  std::span<const uint8_t> tables_of(size_t q) const {
    const size_t bytes = simd::Pq4TableBytes(code_bytes);
    return {tables.data() + q * bytes, bytes};
  }

  size_t code_bytes, n, count, offset, stride;
  std::vector<uint8_t> codes, tables, blocks;
  test::TopKCall call;
};

template <class Penalty>
void CheckPenalties(const Case& c, const simd::CodeBlocksView& rows) {
  constexpr uint32_t kMost = std::numeric_limits<Penalty>::max();
  for (size_t q = 0; q < c.count; ++q) {
    const auto expected = reference::Pq4Penalties(c.codes, c.tables_of(q));
    Buffer<uint8_t> tables(c.tables_of(q), c.offset);
    Buffer<Penalty> penalties(simd::PaddedRows(c.n), c.offset);
    simd::Pq4Penalties(rows, tables.data(), penalties.data());
    for (size_t i = 0; i < c.n; ++i) {
      ASSERT_EQ(penalties[i], std::min(expected[i], kMost)) << i << " of " << c.n;
    }
  }
}

void CheckTopK(const Case& c, const simd::CodeBlocksView& rows) {
  std::vector<test::Ranking<uint16_t>> rankings(c.count);
  for (size_t q = 0; q < c.count; ++q) {
    for (const auto& [position, penalty] :
         reference::Pq4TopK(c.codes, c.tables_of(q), c.n + 1, c.call.options.ties)) {
      rankings[q].push_back({position, static_cast<uint16_t>(penalty)});
    }
  }
  Buffer<uint8_t> tables(test::WithStride<uint8_t>(c.tables, simd::Pq4TableBytes(c.code_bytes),
                                                   c.stride, uint8_t{0xFF}),
                         c.offset);
  const size_t scratch = simd::Pq4TopKScratchBytes(c.n, c.code_bytes, c.call.options.k);
  test::ExpectTopK<uint16_t>(
      c.call, {c.n, scratch, c.offset, c.n}, rankings,
      [&](const simd::TopKOptions& options, void* memory,
          const simd::TopKResult<uint16_t>& result) {
        return simd::Pq4TopK(rows, {tables.data(), c.count, c.stride}, options, memory, result);
      });
}

void Run(Input in) {
  const Case c(in);
  Buffer<uint8_t> blocks(c.blocks, c.offset);
  const simd::CodeBlocksView rows = {blocks.data(), c.n, c.code_bytes};
  OnTargets(in, [&] {
    if (c.code_bytes <= simd::kPq4MaxByteCodeBytes) CheckPenalties<uint8_t>(c, rows);
    CheckPenalties<uint16_t>(c, rows);
    CheckTopK(c, rows);
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
