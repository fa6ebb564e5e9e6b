// SPDX-License-Identifier: Apache-2.0
// simd/hamming.h against core/reference/hamming.h.
#include "simd/hamming.h"

#include "core/reference/hamming.h"
#include "tests/fuzz/code_inputs.h"
#include "tests/support/topk_calls.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

struct Case {
  explicit Case(Input& in)
      : code_bytes(in.Size(1, 512)),
        n(std::min(in.Size(0, 5000), (size_t{1} << 13) / code_bytes)),
        offset(in.Between(0, 7)),
        stride(code_bytes + in.Between(0, 3)),
        codes(in.Any<uint8_t>(n * code_bytes)),
        queries(in.Any<uint8_t>(in.Between(0, 6) * code_bytes)),
        call{in.TopK(n), in.Flag()} {
    // A query that is a code, so that the smallest distance is 0.
    if (n > 0 && !queries.empty() && in.Flag()) {
      std::copy_n(codes.begin(), code_bytes, queries.begin());
    }
    blocks = BlocksWithGarbage(in, codes, code_bytes);
  }

  size_t query_count() const { return queries.size() / code_bytes; }
  std::span<const uint8_t> query(size_t q) const {
    return {queries.data() + q * code_bytes, code_bytes};
  }

  size_t code_bytes, n, offset, stride;
  std::vector<uint8_t> codes, queries, blocks;
  test::TopKCall call;
};

template <class Distance>
void CheckDistances(const Case& c, const simd::CodeBlocksView& rows) {
  for (size_t q = 0; q < c.query_count(); ++q) {
    const auto expected = reference::HammingDistances(c.codes, c.query(q));
    Buffer<uint8_t> query(c.query(q), c.offset);
    Buffer<Distance> distances(simd::PaddedRows(c.n), c.offset);
    simd::HammingDistances(rows, query.data(), distances.data());
    for (size_t i = 0; i < c.n; ++i) ASSERT_EQ(distances[i], expected[i]) << i << " of " << c.n;
  }
}

void CheckTopK(const Case& c, const simd::CodeBlocksView& rows) {
  std::vector<test::Ranking<uint16_t>> rankings;
  for (size_t q = 0; q < c.query_count(); ++q) {
    rankings.emplace_back();
    for (const auto& [position, distance] :
         reference::HammingTopK(c.codes, c.query(q), c.n + 1, c.call.options.ties)) {
      rankings.back().push_back({position, static_cast<uint16_t>(distance)});
    }
  }
  Buffer<uint8_t> queries(
      test::WithStride<uint8_t>(c.queries, c.code_bytes, c.stride, uint8_t{0xA5}), c.offset);
  const size_t scratch = simd::HammingTopKScratchBytes(c.n, c.code_bytes, c.call.options.k);
  test::ExpectTopK<uint16_t>(c.call, {c.n, scratch, c.offset, c.n}, rankings,
                             [&](const simd::TopKOptions& options, void* memory,
                                 const simd::TopKResult<uint16_t>& result) {
                               return simd::HammingTopK(rows,
                                                        {queries.data(), c.query_count(), c.stride},
                                                        options, memory, result);
                             });
}

void Run(Input in) {
  const Case c(in);
  Buffer<uint8_t> blocks(c.blocks, c.offset);
  const simd::CodeBlocksView rows = {blocks.data(), c.n, c.code_bytes};
  OnTargets(in, [&] {
    if (c.code_bytes <= simd::kMaxByteDistanceCodeBytes) CheckDistances<uint8_t>(c, rows);
    CheckDistances<uint16_t>(c, rows);
    CheckTopK(c, rows);
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
