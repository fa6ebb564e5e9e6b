// SPDX-License-Identifier: Apache-2.0
// simd/dot_i8.h against core/reference/dot_i8.h.
#include "simd/dot_i8.h"

#include "core/reference/dot_i8.h"
#include "tests/fuzz/input.h"
#include "tests/support/topk_calls.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

struct Case {
  explicit Case(Input& in)
      : dim(in.Between(0, 31) == 0 ? in.Between(1, simd::kI8MaxDim) : in.Size(1, 300)),
        n(std::min(in.Size(0, 3000), 8000 / dim)),
        count(in.Between(0, 5)),
        offset(in.Between(0, 7)),
        stride(dim + in.Between(0, 3)),
        floats(in.Floats(std::min<size_t>(n, 5) * dim)),
        rows{in.Any<int8_t>(n * dim), in.Floats(n)},
        queries{in.Any<int8_t>(count * dim), in.Floats(count)},
        ids(in.Ids(n == 0 ? 0 : in.Size(0, 200), std::max<size_t>(n, 1))),
        garbage(in.Any<uint8_t>((simd::PaddedRows(n) - n) * dim)),
        scale_garbage(in.Any<float>(simd::PaddedRows(n) - n)),
        call{in.TopK(n), in.Flag()} {}

  size_t dim, n, count, offset, stride;
  std::vector<float> floats;
  reference::I8Matrix rows, queries;
  std::vector<int32_t> ids;
  std::vector<uint8_t> garbage;
  std::vector<float> scale_garbage;
  test::TopKCall call;
};

void CheckQuantizing(const Case& c) {
  const size_t count = c.floats.size() / c.dim;
  Buffer<float> rows(test::WithStride<float>(c.floats, c.dim, c.stride, 1e30f), c.offset);
  Buffer<int8_t> values(count == 0 ? 0 : (count - 1) * c.stride + c.dim, c.offset, 8);
  Buffer<float> scales(count, c.offset, 8);
  simd::QuantizeI8({rows.data(), count, c.dim, c.stride}, values.data(), c.stride, scales.data());
  const reference::I8Matrix expected = reference::QuantizeI8(c.floats, c.dim);
  ASSERT_TRUE(test::SameValues<float>(scales.span(), expected.scales));
  for (size_t r = 0; r < count; ++r) {
    ASSERT_TRUE(test::SameValues<int8_t>({values.data() + r * c.stride, c.dim},
                                         {expected.values.data() + r * c.dim, c.dim}))
        << "row " << r;
  }
}

void ExpectBlocks(const Case& c, std::span<const int8_t> values, std::span<const float> scales,
                  Buffer<uint8_t>& blocks, Buffer<float>& block_scales) {
  ASSERT_TRUE(test::SameValues<uint8_t>(blocks.span(), reference::PackI8Blocks(values, c.dim)));
  std::vector<float> padded(scales.begin(), scales.end());
  padded.resize(block_scales.size());
  ASSERT_TRUE(test::SameValues<float>(block_scales.span(), padded));
}

void CheckGather(const Case& c, const simd::I8RowsView& rows) {
  Buffer<int32_t> ids(c.ids, c.offset);
  Buffer<uint8_t> blocks(simd::I8BlocksBytes(ids.size(), c.dim), c.offset);
  Buffer<float> scales(simd::PaddedRows(ids.size()), c.offset);
  simd::GatherI8Blocks(rows, {ids.data(), ids.size()}, blocks.data(), scales.data());
  reference::I8Matrix chosen;
  for (const int32_t id : c.ids) {
    const auto row = c.rows.values.begin() + static_cast<ptrdiff_t>(id * c.dim);
    chosen.values.insert(chosen.values.end(), row, row + static_cast<ptrdiff_t>(c.dim));
    chosen.scales.push_back(c.rows.scales[id]);
  }
  ExpectBlocks(c, chosen.values, chosen.scales, blocks, scales);
}

void CheckScores(const Case& c, const simd::I8BlocksView& rows, const simd::I8Queries& queries) {
  const size_t padded = simd::PaddedRows(c.n), stride = padded + c.offset;
  Buffer<float> scores(c.count == 0 ? 0 : (c.count - 1) * stride + padded, c.offset, 8);
  std::vector<uint8_t> score_scratch(simd::DotI8ScoresScratchBytes());
  simd::DotI8Scores(rows, queries, {score_scratch.data(), score_scratch.size()}, scores.data(),
                    stride);
  for (size_t q = 0; q < c.count; ++q) {
    ASSERT_TRUE(test::SameValues<float>({scores.data() + q * stride, c.n},
                                        reference::DotI8Scores(c.rows, c.queries, q, c.dim)))
        << "query " << q;
    ASSERT_TRUE(q + 1 == c.count || scores.Untouched(q * stride + padded, (q + 1) * stride));
  }
}

void CheckTopK(const Case& c, const simd::I8BlocksView& rows, const simd::I8Queries& queries) {
  std::vector<test::Ranking<float>> rankings(c.count);
  for (size_t q = 0; q < c.count; ++q) {
    for (const auto& [position, score] :
         reference::DotI8TopK(c.rows, c.queries, q, c.dim, c.n + 1, c.call.options.ties)) {
      rankings[q].push_back({position, score});
    }
  }
  test::ExpectTopK<float>(
      c.call, {c.n, simd::DotI8TopKScratchBytes(c.n, c.call.options.k), c.offset, c.n}, rankings,
      [&](const simd::TopKOptions& options, void* scratch, const simd::TopKResult<float>& result) {
        return simd::DotI8TopK(rows, queries, options, scratch, result);
      });
}

void Run(Input in) {
  const Case c(in);
  Buffer<int8_t> table(test::WithStride<int8_t>(c.rows.values, c.dim, c.stride, -128), c.offset);
  Buffer<float> table_scales(c.rows.scales, c.offset);
  Buffer<int8_t> values(test::WithStride<int8_t>(c.queries.values, c.dim, c.stride, -128),
                        c.offset);
  Buffer<float> scales(c.queries.scales, c.offset);
  const simd::I8RowsView rows = {table.data(), table_scales.data(), c.n, c.dim, c.stride};
  const simd::I8Queries queries = {values.data(), scales.data(), c.count, c.stride};
  OnTargets(in, [&] {
    CheckQuantizing(c);
    CheckGather(c, rows);
    Buffer<uint8_t> blocks(simd::I8BlocksBytes(c.n, c.dim), c.offset);
    Buffer<float> block_scales(simd::PaddedRows(c.n), c.offset);
    simd::PackI8Blocks(rows, blocks.data(), block_scales.data());
    ExpectBlocks(c, c.rows.values, c.rows.scales, blocks, block_scales);
    for (size_t i = c.n; i < simd::PaddedRows(c.n); ++i) {
      block_scales[i] = c.scale_garbage[i - c.n];
      for (size_t d = 0; d < c.dim; ++d) {
        blocks[reference::I8BlockIndex(i, d, c.dim)] = c.garbage[(i - c.n) * c.dim + d];
      }
    }
    const simd::I8BlocksView view = {blocks.data(), block_scales.data(), c.n, c.dim};
    CheckScores(c, view, queries);
    CheckTopK(c, view, queries);
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
