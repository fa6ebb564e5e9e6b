// SPDX-License-Identifier: Apache-2.0
// simd/attention_heads_i8.h against its scalar twin, bit for bit.
#include "simd/attention_heads_i8.h"

#include <numeric>

#include "core/reference/attention_i8.h"
#include "tests/fuzz/input.h"
#include "tests/support/attention_test_util.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

struct Case {
  explicit Case(Input& in)
      : layout{in.Between(1, 9),
               in.Between(0, 15) == 0 ? in.Between(1, simd::kI8MaxPart) : in.Size(1, 70)},
        items(in.Between(1, 80)),
        gap(in.Between(0, 3)),
        offset(in.Between(0, 7)) {
    for (size_t queries_left = in.Between(1, 5); queries_left > 0; --queries_left) {
      counts.push_back(in.Size(0, std::min<size_t>(1100, 20000 / dim())));
    }
    keys = in.Floats(items * dim());
    values = in.Floats(items * dim());
    queries = in.Floats(counts.size() * dim());
    if (in.Flag()) {  // weights on more than one row
      for (float& value : queries) value *= 0.1f;
    }
    rng = in.Random();
    is_chosen_anew = in.Flag();
  }

  size_t dim() const { return layout.dim(); }

  simd::I8HeadLayout layout;
  size_t items, gap, offset;
  std::vector<size_t> counts;  // one per query
  std::vector<float> keys, values, queries;
  test::Rng rng;
  bool is_chosen_anew;  // by the list and the queries' ids; else these are in order
};

// `count` ids of as many rows.
std::vector<int32_t> Ids(test::Rng& rng, size_t count, bool is_chosen_anew) {
  if (is_chosen_anew) return test::RandomIds(rng, count, count);
  std::vector<int32_t> ids(count);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

void Check(const Case& c) {
  const size_t dim = c.dim(), stride = dim + c.gap, b_count = c.counts.size();
  const size_t row_bytes = c.layout.row_bytes(), table_stride = row_bytes + c.gap;
  Buffer<float> keys(test::WithStride<float>(c.keys, dim, stride, 1e30f), c.offset);
  Buffer<float> values(test::WithStride<float>(c.values, dim, stride, 1e30f), c.offset);
  Buffer<uint8_t> table((c.items - 1) * table_stride + row_bytes, c.offset, 8);
  Buffer<float> factors(2 * c.items, c.offset, 8);
  simd::PackHeadsI8({keys.data(), c.items, dim, stride}, {values.data(), c.items, dim, stride},
                    c.layout, {table.data(), factors.data(), table_stride});
  for (size_t r = 1; r < c.items; ++r) {
    ASSERT_TRUE(table.Untouched(r * table_stride - c.gap, r * table_stride));
  }
  test::Rng rng = c.rng;
  test::ChosenIds chosen(rng, c.counts, c.items);
  Buffer<float> floats(test::WithStride<float>(c.queries, dim, stride, 1e30f), c.offset);
  const size_t columns = c.layout.columns(), query_stride = columns + c.gap;
  Buffer<int8_t> queries((b_count - 1) * query_stride + columns, c.offset, 8);
  Buffer<float> query_factors(b_count * c.layout.heads, c.offset, 8);
  simd::PackHeadQueriesI8({floats.data(), b_count, dim, stride}, c.layout,
                          {queries.data(), query_factors.data(), query_stride});
  Buffer<int32_t> query_ids(Ids(rng, b_count, c.is_chosen_anew), c.offset);
  Buffer<int32_t> list(Ids(rng, c.items, c.is_chosen_anew), c.offset);
  auto scratch = test::MakeScratch(simd::AttendHeadsI8ScratchBytes(c.layout, chosen.most), c.offset,
                                   c.layout.part);
  Buffer<float> out(floats.size(), c.offset, 8);
  simd::AttendHeadsI8({{table.data(), c.items, row_bytes, table_stride},
                       factors.data(),
                       {list.data(), list.size()},
                       chosen.ids.data(),
                       chosen.counts.data(),
                       chosen.most},
                      c.layout,
                      {{queries.data(), b_count, columns, query_stride},
                       query_factors.data(),
                       query_ids.data(),
                       b_count},
                      {scratch.data(), scratch.size()}, {out.data(), stride});
  const reference::I8Heads twin = reference::QuantizeHeads(c.keys, c.values, dim);
  for (size_t b = 0; b < b_count; ++b) {
    std::vector<int32_t> rows;
    for (size_t j = 0; j < c.counts[b]; ++j) {
      rows.push_back(list[static_cast<size_t>(chosen.ids[b * chosen.most + j])]);
    }
    const float* query = c.queries.data() + static_cast<size_t>(query_ids[b]) * dim;
    const auto expected = reference::AttendHeadsI8({query, dim}, c.layout.heads, twin, rows);
    ASSERT_TRUE(test::SameValues<float>({out.data() + b * stride, dim}, expected)) << "query " << b;
    ASSERT_TRUE(b + 1 == b_count || out.Untouched(b * stride + dim, (b + 1) * stride));
  }
}

void Run(Input in) {
  const Case c(in);
  OnTargets(in, [&] { Check(c); });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
