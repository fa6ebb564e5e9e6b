// SPDX-License-Identifier: Apache-2.0
// simd/dot.h against core/reference/dot.h and code_blocks.h.
#include "simd/dot.h"

#include "core/reference/code_blocks.h"
#include "core/reference/dot.h"
#include "tests/fuzz/input.h"
#include "tests/support/topk_calls.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

struct Case {
  explicit Case(Input& in)
      : dim(in.Size(1, 300)),
        n(std::min(in.Size(0, 3000), 8000 / dim)),
        count(in.Between(0, 5)),
        offset(in.Between(0, 7)),
        stride(dim + in.Between(0, 3)),
        rows(in.Floats(n * dim)),
        queries(in.Floats(count * dim)),
        ids(in.Ids(n == 0 ? 0 : in.Size(0, 200), std::max<size_t>(n, 1))),
        garbage(in.Any<float>((simd::PaddedRows(n) - n) * dim)),
        call{in.TopK(n), in.Flag()} {}

  std::span<const float> query(size_t q) const { return {queries.data() + q * dim, dim}; }

  size_t dim, n, count, offset, stride;
  std::vector<float> rows, queries;
  std::vector<int32_t> ids;
  std::vector<float> garbage;
  test::TopKCall call;
};

void CheckPacking(const Case& c, const simd::RowsView<float>& rows, Buffer<float>& blocks) {
  simd::PackFloatBlocks(rows, blocks.data());
  ASSERT_TRUE(test::SameValues<float>(blocks.span(), reference::PackFloatBlocks(c.rows, c.dim)));
  Buffer<int32_t> ids(c.ids, c.offset);
  Buffer<float> gathered(simd::FloatBlocksSize(ids.size(), c.dim), c.offset);
  simd::GatherFloatBlocks(rows, {ids.data(), ids.size()}, gathered.data());
  ASSERT_TRUE(
      test::SameValues<float>(gathered.span(), reference::GatherFloatBlocks(c.rows, c.dim, c.ids)));
}

void CheckScores(const Case& c, const simd::FloatBlocksView& rows,
                 const simd::Queries<float>& queries) {
  const size_t padded = simd::PaddedRows(c.n), stride = padded + c.offset;
  Buffer<float> scores(c.count == 0 ? 0 : (c.count - 1) * stride + padded, c.offset, 8);
  simd::DotScores(rows, queries, scores.data(), stride);
  for (size_t q = 0; q < c.count; ++q) {
    ASSERT_TRUE(test::SameValues<float>({scores.data() + q * stride, c.n},
                                        reference::DotScores(c.rows, c.query(q))))
        << "query " << q;
    ASSERT_TRUE(q + 1 == c.count || scores.Untouched(q * stride + padded, (q + 1) * stride));
  }
}

void CheckTopK(const Case& c, const simd::FloatBlocksView& rows,
               const simd::Queries<float>& queries) {
  std::vector<test::Ranking<float>> rankings(c.count);
  for (size_t q = 0; q < c.count; ++q) {
    for (const auto& [position, score] :
         reference::DotTopK(c.rows, c.query(q), c.n + 1, c.call.options.ties)) {
      rankings[q].push_back({position, score});
    }
  }
  test::ExpectTopK<float>(
      c.call, {c.n, simd::DotTopKScratchBytes(c.n, c.call.options.k), c.offset, c.n}, rankings,
      [&](const simd::TopKOptions& options, void* scratch, const simd::TopKResult<float>& result) {
        return simd::DotTopK(rows, queries, options, scratch, result);
      });
}

void Run(Input in) {
  const Case c(in);
  Buffer<float> table(test::WithStride<float>(c.rows, c.dim, c.stride, 1e30f), c.offset);
  Buffer<float> queries(test::WithStride<float>(c.queries, c.dim, c.stride, 1e30f), c.offset);
  const simd::Queries<float> query_view = {queries.data(), c.count, c.stride};
  OnTargets(in, [&] {
    Buffer<float> blocks(simd::FloatBlocksSize(c.n, c.dim), c.offset);
    CheckPacking(c, {table.data(), c.n, c.dim, c.stride}, blocks);
    for (size_t i = c.n; i < simd::PaddedRows(c.n); ++i) {
      for (size_t d = 0; d < c.dim; ++d) {
        blocks[reference::BlockIndex(i, d, c.dim)] = c.garbage[(i - c.n) * c.dim + d];
      }
    }
    const simd::FloatBlocksView view = {blocks.data(), c.n, c.dim};
    CheckScores(c, view, query_view);
    CheckTopK(c, view, query_view);
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
