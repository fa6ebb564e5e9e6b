// SPDX-License-Identifier: Apache-2.0
// simd/attention_all.h, attention_heads.h and attention_rows.h against sums in double.
#include "simd/attention_all.h"
#include "simd/attention_heads.h"
#include "simd/attention_rows.h"
#include "simd/linear.h"
#include "tests/fuzz/input.h"
#include "tests/support/attention_test_util.h"

namespace eta::fuzz {
namespace {

using test::Buffer;
using test::FloatSpans;

constexpr float kGap = 1e30f;  // between rows

// What all three have: a table of items with keys and values, queries, and rows chosen for each.
struct Case {
  explicit Case(Input& in)
      : heads(in.Between(1, 9)),
        part(in.Size(1, 70)),
        dim(heads * part),
        items(in.Between(1, 80)),
        gap(in.Between(0, 3)),
        offset(in.Between(0, 7)) {
    for (size_t queries_left = in.Between(1, 5); queries_left > 0; --queries_left) {
      counts.push_back(in.Size(0, std::min<size_t>(200, 8000 / dim)));
    }
    const float size = in.OneOf({1.0f, 1e-3f, 30.0f, 1e10f});
    keys = in.BoundedFloats(items * dim, in.OneOf({1.0f, 5.0f}));
    values = in.BoundedFloats(items * dim, size);
    queries = in.BoundedFloats(counts.size() * dim, in.OneOf({1.0f, 20.0f}));
    rng = in.Random();
  }

  // The bound of the error of softmax-weighted sums of `values`. A score is a sum of products whose
  // rounding moves it by a few 2^-24 of the sum of their magnitudes; that shift is relative in the
  // weights. Exp and the division add kExpError and some roundings.
  double Tolerance(std::span<const float> query, const FloatSpans& key_rows,
                   const FloatSpans& value_rows) const {
    double most_score = 0, most_value = 0;
    for (const auto key : key_rows) {
      double sum = 0;
      for (size_t i = 0; i < query.size(); ++i) {
        sum += std::abs(static_cast<double>(query[i]) * static_cast<double>(key[i]));
      }
      most_score = std::max(most_score, sum);
    }
    for (const auto row : value_rows) {
      for (const float value : row) {
        most_value = std::max(most_value, std::abs(static_cast<double>(value)));
      }
    }
    const double steps = 8 + static_cast<double>(query.size());
    return most_value * (4e-6 + 1.2e-7 * steps * most_score) + 1e-30;
  }

  void Expect(const float* actual, std::span<const float> query, const FloatSpans& key_rows,
              const FloatSpans& value_rows, size_t width) const {
    const auto expected = test::ExpectedAttention(query, key_rows, value_rows, width);
    const double tolerance = Tolerance(query, key_rows, value_rows);
    for (size_t i = 0; i < width; ++i) {
      if (value_rows.empty()) {
        ASSERT_EQ(actual[i], 0.0f);
      } else {
        ASSERT_NEAR(actual[i], expected[i], tolerance) << i << " of " << width;
      }
    }
  }

  size_t heads, part, dim, items, gap, offset;
  std::vector<size_t> counts;  // one per query
  std::vector<float> keys, values, queries;
  test::Rng rng;
};

void CheckAll(const Case& c) {
  const size_t count = std::min(c.counts[0], c.items), b_count = c.counts.size();
  const std::vector<float> keys(c.keys.begin(), c.keys.begin() + count * c.dim);
  const std::vector<float> values(c.values.begin(), c.values.begin() + count * c.dim);
  const size_t stride = c.dim + c.gap;
  Buffer<float> key_rows(test::WithStride<float>(keys, c.dim, stride, kGap), c.offset);
  Buffer<float> value_rows(test::WithStride<float>(values, c.dim, stride, kGap), c.offset);
  Buffer<float> packed_keys(c.heads * simd::PackedLinearSize(c.part, count), c.offset);
  Buffer<float> packed_values(c.heads * simd::PackedLinearSize(count, c.part), c.offset);
  simd::PackProjectedRows({key_rows.data(), count, c.dim, stride},
                          {value_rows.data(), count, c.dim, stride}, c.heads, packed_keys.data(),
                          packed_values.data());
  Buffer<float> queries(test::WithStride<float>(c.queries, c.dim, stride, kGap), c.offset);
  auto scratch = test::MakeScratch(simd::AttendAllScratchBytes(count), c.offset, c.part);
  Buffer<float> out(queries.size(), c.offset, 8);
  simd::AttendAll({packed_keys.data(), packed_values.data(), count, c.heads, c.part},
                  {queries.data(), b_count, stride}, scratch.data(), {out.data(), stride});
  for (size_t b = 0; b < b_count; ++b) {
    for (size_t h = 0; h < c.heads; ++h) {
      FloatSpans k, v;
      for (size_t j = 0; j < count; ++j) {
        k.push_back({keys.data() + j * c.dim + h * c.part, c.part});
        v.push_back({values.data() + j * c.dim + h * c.part, c.part});
      }
      c.Expect(out.data() + b * stride + h * c.part,
               {c.queries.data() + b * c.dim + h * c.part, c.part}, k, v, c.part);
    }
    ASSERT_TRUE(b + 1 == b_count || out.Untouched(b * stride + c.dim, (b + 1) * stride));
  }
}

// Rows in the layout of the heads, those of the second side behind those of the first.
std::vector<float> InLayout(const Case& c, const std::vector<std::vector<float>>& sides) {
  const simd::HeadLayout layout = {c.heads, c.part};
  std::vector<float> rows;
  for (size_t r = 0; r * c.dim < sides[0].size(); ++r) {
    if (r > 0) rows.insert(rows.end(), c.gap, kGap);
    for (const std::vector<float>& side : sides) {
      std::vector<float> row(layout.columns());
      for (size_t i = 0; i < c.dim; ++i) {
        row[layout.column(i / c.part, i % c.part)] = side[r * c.dim + i];
      }
      rows.insert(rows.end(), row.begin(), row.end());
    }
  }
  return rows;
}

void CheckHeads(const Case& c) {
  const simd::HeadLayout layout = {c.heads, c.part};
  const size_t columns = layout.columns(), stride = columns + c.gap, b_count = c.counts.size();
  test::Rng rng = c.rng;
  test::ChosenIds chosen(rng, c.counts, c.items);
  Buffer<float> table(InLayout(c, {c.keys, c.values}), c.offset);
  Buffer<float> queries(InLayout(c, {c.queries}), c.offset);
  auto scratch = test::MakeScratch(simd::AttendHeadsScratchBytes(chosen.most), c.offset, c.part);
  Buffer<float> out(queries.size(), c.offset, 8);
  simd::AttendHeads(chosen.Of({table.data(), c.items, 2 * columns, 2 * columns + c.gap}), layout,
                    {queries.data(), b_count, stride}, scratch.data(), {out.data(), stride});
  for (size_t b = 0; b < b_count; ++b) {
    std::vector<float> padding(out.data() + b * stride, out.data() + b * stride + columns);
    for (size_t h = 0; h < c.heads; ++h) {
      std::vector<float> head;
      for (size_t i = 0; i < c.part; ++i) {
        head.push_back(std::exchange(padding[layout.column(h, i)], 0.0f));
      }
      c.Expect(head.data(), {c.queries.data() + b * c.dim + h * c.part, c.part},
               chosen.Rows(c.keys, c.dim, b, h * c.part, c.part),
               chosen.Rows(c.values, c.dim, b, h * c.part, c.part), c.part);
    }
    ASSERT_TRUE(std::ranges::all_of(padding, [](float value) { return value == 0; }));
    ASSERT_TRUE(b + 1 == b_count || out.Untouched(b * stride + columns, (b + 1) * stride));
  }
}

void CheckRows(const Case& c) {
  // Few rows of `dim` floats, and a query of that width for each head.
  const size_t width = c.part, stride = width + c.gap, b_count = c.counts.size();
  test::Rng rng = c.rng;
  test::ChosenIds chosen(rng, c.counts, c.items);
  const std::span<const float> dense(c.keys.data(), c.items * width);
  Buffer<float> table(test::WithStride<float>(dense, width, stride, kGap), c.offset);
  Buffer<float> queries(test::WithStride<float>(c.queries, width, stride, kGap), c.offset);
  auto scratch = test::MakeScratch(simd::AttendRowsScratchBytes(chosen.most, width, c.heads),
                                   c.offset, c.part);
  Buffer<float> sums(queries.size(), c.offset, 8);
  simd::AttendRows(chosen.Of({table.data(), c.items, width, stride}), c.heads,
                   {queries.data(), b_count * c.heads, stride}, scratch.data(),
                   {sums.data(), stride});
  for (size_t b = 0; b < b_count; ++b) {
    const FloatSpans rows = chosen.Rows(dense, width, b, 0, width);
    for (size_t q = b * c.heads; q < (b + 1) * c.heads; ++q) {
      c.Expect(sums.data() + q * stride, {c.queries.data() + q * width, width}, rows, rows, width);
      ASSERT_TRUE(q + 1 == b_count * c.heads ||
                  sums.Untouched(q * stride + width, (q + 1) * stride));
    }
  }
}

void Run(Input in) {
  const auto check = in.OneOf({CheckAll, CheckHeads, CheckRows});
  const Case c(in);
  OnTargets(in, [&] { check(c); });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
