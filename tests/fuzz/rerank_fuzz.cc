// SPDX-License-Identifier: Apache-2.0
// simd/rerank.h and simd/rerank_i8.h against core/reference/rerank.h.
#include "simd/rerank.h"

#include <numeric>

#include "core/reference/rerank.h"
#include "simd/code_blocks.h"
#include "simd/rerank_i8.h"
#include "tests/fuzz/input.h"
#include "tests/support/topk_calls.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

// DotRows and DotI8Rows.
struct Rows {
  explicit Rows(Input& in)
      : dim(in.Size(1, 300)),
        table_rows(in.Between(1, 40)),
        offset(in.Between(0, 7)),
        stride(dim + in.Between(0, 3)),
        ids(in.Ids(in.Size(0, 200), table_rows)),
        table(in.Floats(table_rows * dim)),
        query(in.Floats(dim)),
        i8_table{in.Any<int8_t>(table_rows * dim), in.Floats(table_rows)},
        i8_query{in.Any<int8_t>(dim), in.Floats(1)} {}

  void Check() const {
    Buffer<int32_t> id_list(ids, offset);
    const simd::IdsView view = {id_list.data(), ids.size()};
    Buffer<float> rows(test::WithStride<float>(table, dim, stride, 1e30f), offset);
    Buffer<float> one(query, offset), scores(ids.size(), offset, 8);
    simd::DotRows({rows.data(), table_rows, dim, stride}, view, one.data(), scores.data());
    ASSERT_TRUE(test::SameValues<float>(scores.span(), reference::DotRows(table, ids, query)));
    Buffer<int8_t> i8_rows(test::WithStride<int8_t>(i8_table.values, dim, stride, 99), offset);
    Buffer<int8_t> i8_one(i8_query.values, offset);
    Buffer<float> scales(i8_table.scales, offset), i8_scores(ids.size(), offset, 8);
    simd::DotI8Rows({i8_rows.data(), scales.data(), table_rows, dim, stride}, view,
                    {i8_one.data(), i8_query.scales[0]}, i8_scores.data());
    ASSERT_TRUE(test::SameValues<float>(i8_scores.span(),
                                        reference::DotI8Rows(i8_table, ids, i8_query, 0, dim)));
  }

  size_t dim, table_rows, offset, stride;
  std::vector<int32_t> ids;
  std::vector<float> table, query;
  reference::I8Matrix i8_table, i8_query;
};

// RerankTopK.
struct Lists {
  explicit Lists(Input& in)
      : length(in.Size(0, 1000)),
        padded(simd::PaddedRows(length)),
        count(in.Between(0, 4)),
        offset(in.Between(0, 7)),
        call{in.TopK(length), in.Flag()} {
    for (size_t q = 0; q < count; ++q) {
      // Distinct positions: steps of 1 and more, in order or not.
      const size_t first = in.Flag() ? in.Value<uint16_t>() : 0, gap = in.Between(0, 3);
      std::vector<int32_t> list;
      test::Rng rng = in.Random();
      size_t position = first;
      for (size_t i = 0; i < length; ++i) {
        list.push_back(static_cast<int32_t>(position));
        position += 1 + test::Below(rng, gap + 1);
      }
      if (in.Flag()) test::Shuffle(rng, list);
      if (in.Flag()) std::ranges::reverse(list);
      positions.push_back(list);
      scores.push_back(in.Floats(padded));
    }
  }

  void Check() const {
    std::vector<test::Ranking<float>> rankings(count);
    std::vector<int32_t> all_positions;
    std::vector<float> all_scores;
    for (size_t q = 0; q < count; ++q) {
      const std::span<const float> own(scores[q].data(), length);
      std::vector<std::pair<int32_t, float>> score_of;
      for (size_t i = 0; i < length; ++i) score_of.emplace_back(positions[q][i], own[i]);
      std::ranges::sort(score_of, {}, [](const auto& pair) { return pair.first; });
      for (const int32_t position :
           reference::RerankTopK(positions[q], own, length + 1, call.options.ties)) {
        const auto found = std::ranges::lower_bound(score_of, position, {},
                                                    [](const auto& pair) { return pair.first; });
        rankings[q].push_back({position, found->second});
      }
      all_positions.insert(all_positions.end(), positions[q].begin(), positions[q].end());
      all_scores.insert(all_scores.end(), scores[q].begin(), scores[q].end());
    }
    const size_t position_stride = length + offset, score_stride = padded + offset;
    Buffer<int32_t> lists(test::WithStride<int32_t>(all_positions, length, position_stride, -1),
                          offset);
    Buffer<float> values(test::WithStride<float>(all_scores, padded, score_stride, 1e30f), offset);
    test::ExpectTopK<float>(
        call, {length, simd::RerankTopKScratchBytes(length), offset, length}, rankings,
        [&](const simd::TopKOptions& options, void* scratch,
            const simd::TopKResult<float>& result) {
          return simd::RerankTopK(
              {lists.data(), position_stride, values.data(), score_stride, length, count}, options,
              scratch, result);
        });
  }

  size_t length, padded, count, offset;
  test::TopKCall call;
  std::vector<std::vector<int32_t>> positions;
  std::vector<std::vector<float>> scores;
};

void Run(Input in) {
  if (in.Flag()) {
    const Rows rows(in);
    OnTargets(in, [&] { rows.Check(); });
  } else {
    const Lists lists(in);
    OnTargets(in, [&] { lists.Check(); });
  }
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
