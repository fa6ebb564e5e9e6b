// SPDX-License-Identifier: Apache-2.0
// simd/asym.h against core/reference/asym.h.
#include "simd/asym.h"

#include "core/reference/asym.h"
#include "tests/fuzz/code_inputs.h"
#include "tests/support/topk_calls.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

struct Case {
  explicit Case(Input& in)
      : bits(in.Size(1, 4096)),
        code_bytes((bits + 7) / 8),
        n(std::min(in.Size(0, 3000), (size_t{1} << 11) / code_bytes)),
        count(in.Between(0, 4)),
        offset(in.Between(0, 7)),
        stride(code_bytes * 8 + in.Between(0, 3)),
        codes(in.Any<uint8_t>(n * code_bytes)),
        projections(in.Floats(bits)),
        blocks(BlocksWithGarbage(in, codes, code_bytes)),
        call{in.TopK(n), in.Flag()} {
    for (size_t q = 0; q < count; ++q) {
      const auto added =
          q == 0 ? reference::QuantizeProjections(projections) : AnyWeights(in, code_bytes);
      weights.insert(weights.end(), added.begin(), added.end());
    }
  }

  std::span<const int8_t> weights_of(size_t q) const {
    return {weights.data() + q * code_bytes * 8, code_bytes * 8};
  }

  size_t bits, code_bytes, n, count, offset, stride;
  std::vector<uint8_t> codes;
  std::vector<float> projections;
  std::vector<uint8_t> blocks;
  std::vector<int8_t> weights;
  test::TopKCall call;
};

template <class Penalty>
void CheckPenalties(const Case& c, const simd::CodeBlocksView& rows) {
  for (size_t q = 0; q < c.count; ++q) {
    const auto expected = reference::AsymPenalties(c.codes, c.weights_of(q));
    Buffer<int8_t> weights(c.weights_of(q), c.offset);
    Buffer<Penalty> penalties(simd::PaddedRows(c.n), c.offset);
    simd::AsymPenalties(rows, weights.data(), penalties.data());
    for (size_t i = 0; i < c.n; ++i) ASSERT_EQ(penalties[i], expected[i]) << i << " of " << c.n;
  }
}

void CheckTopK(const Case& c, const simd::CodeBlocksView& rows) {
  std::vector<test::Ranking<uint16_t>> rankings(c.count);
  for (size_t q = 0; q < c.count; ++q) {
    for (const auto& [position, penalty] :
         reference::AsymTopK(c.codes, c.weights_of(q), c.n + 1, c.call.options.ties)) {
      rankings[q].push_back({position, static_cast<uint16_t>(penalty)});
    }
  }
  Buffer<int8_t> weights(
      test::WithStride<int8_t>(c.weights, c.code_bytes * 8, c.stride, int8_t{99}), c.offset);
  const size_t scratch = simd::AsymTopKScratchBytes(c.n, c.code_bytes, c.call.options.k);
  test::ExpectTopK<uint16_t>(
      c.call, {c.n, scratch, c.offset, c.n}, rankings,
      [&](const simd::TopKOptions& options, void* memory,
          const simd::TopKResult<uint16_t>& result) {
        return simd::AsymTopK(rows, {weights.data(), c.count, c.stride}, options, memory, result);
      });
}

void Run(Input in) {
  const Case c(in);
  Buffer<float> projections(c.projections, c.offset);
  Buffer<int8_t> weights(c.code_bytes * 8, c.offset, 8);
  simd::QuantizeProjections(projections.data(), c.bits, weights.data());
  ASSERT_TRUE(
      test::SameValues<int8_t>(weights.span(), reference::QuantizeProjections(c.projections)));
  Buffer<uint8_t> blocks(c.blocks, c.offset);
  const simd::CodeBlocksView rows = {blocks.data(), c.n, c.code_bytes};
  OnTargets(in, [&] {
    if (c.code_bytes <= simd::kMaxBytePenaltyCodeBytes) {
      CheckPenalties<uint8_t>(c, rows);
    } else {
      CheckPenalties<uint16_t>(c, rows);
    }
    CheckTopK(c, rows);
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
