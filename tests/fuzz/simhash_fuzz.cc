// SPDX-License-Identifier: Apache-2.0
// simd/simhash.h against core/reference/simhash.h.
#include "simd/simhash.h"

#include "core/reference/simhash.h"
#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

constexpr float kGap = 1e30f;  // between rows

void Run(Input in) {
  const size_t dim = in.Size(1, 300), bits = std::min(in.Size(1, 600), 6000 / dim);
  const size_t count = std::min(in.Size(0, 70), 20000 / (dim * bits));
  const size_t offset = in.Between(0, 7), stride = dim + in.Between(0, 3);
  const size_t plane_stride = bits + in.Between(0, 3);
  const size_t code_bytes = simd::CodeBytes(bits), code_stride = code_bytes + in.Between(0, 3);
  const auto dense = in.Floats(count * dim), planes = in.Floats(dim * bits);
  Buffer<float> x(test::WithStride<float>(dense, dim, stride, kGap), offset);
  Buffer<float> matrix(test::WithStride<float>(planes, bits, plane_stride, kGap), offset);
  const auto expected = reference::SimHashRows(dense, dim, planes, bits);
  OnTargets(in, [&] {
    Buffer<float> packed(simd::PackedHyperplanesSize(dim, bits), offset);
    simd::PackHyperplanes({matrix.data(), dim, bits, plane_stride}, packed.data());
    for (size_t d = 0; d < dim; ++d) {
      for (size_t b = 0; b < packed.size() / dim; ++b) {
        const float value = b < bits ? planes[d * bits + b] : 0.0f;
        ASSERT_TRUE(test::Same(packed[((b / 64) * dim + d) * 64 + b % 64], value)) << d << ' ' << b;
      }
    }
    Buffer<uint8_t> codes(count == 0 ? 0 : (count - 1) * code_stride + code_bytes, offset, 8);
    simd::SimHashEncode({x.data(), count, dim, stride}, {packed.data(), dim, bits}, codes.data(),
                        code_stride);
    for (size_t r = 0; r < count; ++r) {
      const size_t at = r * code_stride;
      ASSERT_TRUE(test::SameValues<uint8_t>({codes.data() + at, code_bytes},
                                            {expected.data() + r * code_bytes, code_bytes}))
          << "row " << r;
      ASSERT_TRUE(r + 1 == count || codes.Untouched(at + code_bytes, at + code_stride));
    }
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
