// SPDX-License-Identifier: Apache-2.0
// simd/attention_all_i8.h against its scalar twin, bit for bit.
#include "simd/attention_all_i8.h"

#include "core/reference/attention_i8.h"
#include "tests/fuzz/input.h"
#include "tests/support/attention_test_util.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

constexpr float kMost = 1e15f;  // so that sums of products are finite

struct Case {
  explicit Case(Input& in)
      : heads(in.Between(1, 9)),
        part(in.Between(0, 15) == 0 ? in.Between(1, simd::kI8MaxDim) : in.Size(1, 70)),
        count(in.Size(0, std::min<size_t>(1100, 40000 / dim()))),
        query_count(in.Between(0, 14)),
        gap(in.Between(0, 3)),
        offset(in.Between(0, 7)),
        keys(in.BoundedFloats(count * dim(), kMost)),
        values(in.BoundedFloats(count * dim(), kMost)),
        queries(in.BoundedFloats(query_count * dim(), kMost)) {
    if (in.Flag()) {  // weights on more than one row
      for (float& value : queries) value *= 0.1f;
    }
  }

  size_t dim() const { return heads * part; }

  size_t heads, part, count, query_count, gap, offset;
  std::vector<float> keys, values, queries;
};

void Check(const Case& c) {
  const size_t dim = c.dim(), stride = dim + c.gap;
  Buffer<float> keys(test::WithStride<float>(c.keys, dim, stride, 1e30f), c.offset);
  Buffer<float> values(test::WithStride<float>(c.values, dim, stride, 1e30f), c.offset);
  Buffer<float> queries(test::WithStride<float>(c.queries, dim, stride, 1e30f), c.offset);
  Buffer<uint8_t> packed(simd::ProjectedI8Bytes(c.count, c.heads, c.part), c.offset);
  simd::PackProjectedI8({keys.data(), c.count, dim, stride}, {values.data(), c.count, dim, stride},
                        c.heads, packed.data());
  auto scratch =
      test::MakeScratch(simd::AttendAllI8ScratchBytes(c.count, c.part), c.offset, c.part);
  Buffer<float> out(queries.size(), c.offset, 8);
  simd::AttendAllI8({packed.data(), c.count, c.heads, c.part},
                    {queries.data(), c.query_count, stride}, {scratch.data(), scratch.size()},
                    {out.data(), stride});
  for (size_t b = 0; b < c.query_count; ++b) {
    const auto expected =
        reference::AttendAllI8({c.queries.data() + b * dim, dim}, c.heads, c.keys, c.values, dim);
    ASSERT_TRUE(test::SameValues<float>({out.data() + b * stride, dim}, expected)) << "query " << b;
    ASSERT_TRUE(b + 1 == c.query_count || out.Untouched(b * stride + dim, (b + 1) * stride));
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
