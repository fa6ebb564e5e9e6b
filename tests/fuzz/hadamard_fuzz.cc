// SPDX-License-Identifier: Apache-2.0
// simd/hadamard.h against core/reference/hadamard.h.
#include "simd/hadamard.h"

#include "core/reference/hadamard.h"
#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

void Run(Input in) {
  // All transforms up to 4,096, the large ones seldom.
  const size_t dim =
      in.Between(0, 15) == 0 ? in.Between(1, simd::kHadamardMaxSize) : in.Size(1, 600);
  const size_t size = simd::HadamardSize(dim);
  const size_t bits = in.Between(1, std::max<size_t>(3 * size, 600));
  const size_t groups = (bits + size - 1) / size;
  const size_t count = std::min(in.Between(0, 12), std::max<size_t>(1, 1024 / (size * groups)));
  const size_t offset = in.Between(0, 7), stride = dim + in.Between(0, 3);
  const size_t code_bytes = (bits + 7) / 8, code_stride = code_bytes + in.Between(0, 3);
  const auto dense = in.Floats(count * dim);
  const size_t sign_count = simd::HadamardSignCount(dim, bits);
  const auto sign_bits = in.Any<uint8_t>((sign_count + 7) / 8);
  Buffer<float> x(test::WithStride<float>(dense, dim, stride, 1e30f), offset);
  Buffer<uint8_t> packed_bits(sign_bits, offset);
  const auto expected = reference::HadamardRows(dense, dim, sign_bits, bits);
  OnTargets(in, [&] {
    Buffer<uint32_t> signs(sign_count, offset);
    simd::PackHadamardSigns(packed_bits.data(), sign_count, signs.data());
    for (size_t i = 0; i < sign_count; ++i) {
      ASSERT_EQ(signs[i], (sign_bits[i / 8] >> i % 8 & 1) != 0 ? 0x80000000u : 0u) << i;
    }
    Buffer<uint8_t> codes(count == 0 ? 0 : (count - 1) * code_stride + code_bytes, offset, 8);
    simd::HadamardEncode({x.data(), count, dim, stride}, {signs.data(), bits}, codes.data(),
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
