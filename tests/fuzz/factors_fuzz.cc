// SPDX-License-Identifier: Apache-2.0
// simd/factors.h against core/reference/factors.h.
#include "simd/factors.h"

#include "core/reference/factors.h"
#include "core/reference/hamming.h"
#include "tests/fuzz/code_inputs.h"
#include "tests/support/topk_calls.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

// Sets the unused bits of codes of `bits` bits to 0; codes begin every `stride` bytes.
void ClearTails(std::vector<uint8_t>& codes, size_t bits, size_t stride) {
  if (bits % 8 == 0) return;
  for (size_t at = bits / 8; at < codes.size(); at += stride) {
    codes[at] = static_cast<uint8_t>(codes[at] & ((1u << bits % 8) - 1));
  }
}

struct Case {
  explicit Case(Input& in)
      : bits(in.Size(1, 4096)),
        code_bytes((bits + 7) / 8),
        n(std::min(in.Size(0, 3000), (size_t{1} << 11) / code_bytes)),
        count(in.Between(0, 4)),
        offset(in.Between(0, 7)),
        gap(in.Between(0, 3)),
        rows(in.Any<uint8_t>(n * simd::FactorCodeBytes(bits))),
        queries(in.Any<uint8_t>(count * code_bytes)) {
    ClearTails(rows, bits, code_bytes + 1);
    ClearTails(queries, bits, code_bytes);
    // Few rows have large factors where most have a small one.
    const size_t most = in.Flag() ? in.Between(0, 255) : 255;
    for (size_t i = 0; most < 255 && i < n; ++i) {
      uint8_t& factor = rows[i * (code_bytes + 1) + code_bytes];
      if (factor % 16 != 0) factor = static_cast<uint8_t>(factor % (most + 1));
    }
    for (size_t q = 0; q < count; ++q) {
      auto added = AnyWeights(in, code_bytes);
      std::fill(added.begin() + static_cast<ptrdiff_t>(bits), added.end(), int8_t{0});
      weights.insert(weights.end(), added.begin(), added.end());
    }
    blocks = BlocksWithGarbage(in, rows, code_bytes + 1);
    call = {in.TopK(n), in.Flag()};
  }

  size_t bits, code_bytes, n, count, offset, gap;
  std::vector<uint8_t> rows, queries, blocks;
  std::vector<int8_t> weights;
  test::TopKCall call;
};

// One of the two forms: T is uint8_t for query codes, int8_t for weights.
template <class T>
struct Form {
  std::span<const T> queries;  // one after another, `width` each
  size_t width;
  std::vector<uint32_t> (*twin)(std::span<const uint8_t>, size_t, std::span<const T>);
  void (*distances)(const simd::FactorBlocksView&, const T*, uint8_t*);
  size_t (*scratch_bytes)(size_t, size_t, size_t);
  size_t (*top_k)(const simd::FactorBlocksView&, const simd::Queries<T>&, const simd::TopKOptions&,
                  simd::ScratchView, const simd::TopKResult<uint16_t>&);
};

template <class T>
void Check(const Case& c, const simd::FactorBlocksView& rows, const Form<T>& form) {
  std::vector<test::Ranking<uint16_t>> rankings(c.count);
  for (size_t q = 0; q < c.count; ++q) {
    const auto of_query = form.queries.subspan(q * form.width, form.width);
    const auto expected = form.twin(c.rows, c.bits, of_query);
    Buffer<T> query(of_query, c.offset);
    Buffer<uint8_t> distances(simd::PaddedRows(c.n), c.offset);
    form.distances(rows, query.data(), distances.data());
    for (size_t i = 0; i < c.n; ++i) ASSERT_EQ(distances[i], expected[i]) << i << " of " << c.n;
    for (const auto& [position, distance] :
         reference::NearestOf(expected, c.n + 1, c.call.options.ties)) {
      rankings[q].push_back({position, static_cast<uint16_t>(distance)});
    }
  }
  const size_t stride = form.width + c.gap;
  Buffer<T> queries(test::WithStride<T>(form.queries, form.width, stride, T{99}), c.offset);
  const size_t scratch = form.scratch_bytes(c.n, c.bits, c.call.options.k);
  test::ExpectTopK<uint16_t>(c.call, {c.n, scratch, c.offset, c.n}, rankings,
                             [&](const simd::TopKOptions& options, void* memory,
                                 const simd::TopKResult<uint16_t>& result) {
                               return form.top_k(rows, {queries.data(), c.count, stride}, options,
                                                 {memory, scratch}, result);
                             });
}

// The numbers that codes come with. They use no SIMD, so once is enough.
void CheckFactors(Input& in) {
  const auto row = in.Floats(in.Size(1, 80)), projections = in.Floats(in.Size(1, 80));
  Buffer<float> exact_row(row, 0), exact_projections(projections, 0);
  const float norm = simd::NormFactor(exact_row.data(), row.size());
  const float asym =
      simd::AsymFactor(exact_row.data(), row.size(), exact_projections.data(), projections.size());
  ASSERT_TRUE(test::Same(norm, reference::NormFactor(row))) << norm;
  ASSERT_TRUE(test::Same(asym, reference::AsymFactor(row, projections))) << asym;
  float unit = std::abs(in.Value<float>());
  if (!(unit > 0)) unit = 1;
  for (const float factor : {norm, asym, in.Value<float>(), 1.5f * unit}) {
    ASSERT_EQ(simd::QuantizeFactor(factor, unit), reference::QuantizeFactor(factor, unit))
        << factor << " / " << unit;
  }
}

void Run(Input in) {
  const Case c(in);
  Buffer<uint8_t> blocks(c.blocks, c.offset);
  const simd::FactorBlocksView rows = {blocks.data(), c.n, c.bits};
  OnTargets(in, [&] {
    Check<uint8_t>(c, rows,
                   {c.queries, c.code_bytes, reference::NormDistances, simd::NormDistances,
                    simd::NormTopKScratchBytes, simd::NormTopK});
    Check<int8_t>(
        c, rows,
        {c.weights, c.code_bytes * 8, reference::AsymFactorDistances, simd::AsymFactorDistances,
         simd::AsymFactorTopKScratchBytes, simd::AsymFactorTopK});
  });
  CheckFactors(in);
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
