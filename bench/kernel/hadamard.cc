// SPDX-License-Identifier: Apache-2.0
// Rows for SimHash with structured hyperplanes, beside the dense product of the same shape.
#include <algorithm>

#include "bench/kernel/kernel_bench.h"
#include "core/base/check.h"
#include "core/reference/hadamard.h"
#include "simd/hadamard.h"
#include "simd/simhash.h"

namespace eta::bench {
namespace {

constexpr size_t kRows = 1024;

void Encode(benchmark::State& state, size_t dim, size_t bits) {
  const auto rows = RandomNormals(kRows * dim, 1);
  const size_t count = simd::HadamardSignCount(dim, bits);
  const auto sign_bits = RandomBytes(count / 8, 2);
  AlignedVector<uint32_t> signs(count);
  simd::PackHadamardSigns(sign_bits.data(), count, signs.data());
  const size_t code_bytes = simd::CodeBytes(bits);
  AlignedVector<uint8_t> codes(kRows * code_bytes);
  const auto x = simd::DenseRows(rows.data(), kRows, dim);
  const auto encode = [&] {
    simd::HadamardEncode(x, {signs.data(), bits}, codes.data(), code_bytes);
  };
  encode();
  const auto expected = reference::HadamardRows(rows, dim, sign_bits, bits);
  if (!std::equal(codes.begin(), codes.end(), expected.begin(), expected.end())) {
    return state.SkipWithError("differs from the reference");
  }
  const auto planes = RandomNormals(dim * bits, 3);
  AlignedVector<float> packed(simd::PackedHyperplanesSize(dim, bits));
  simd::PackHyperplanes(simd::DenseRows(planes.data(), dim, bits), packed.data());
  AlignedVector<uint8_t> dense_codes(codes.size());
  const auto dense = [&] {
    simd::SimHashEncode(x, {packed.data(), dim, bits}, dense_codes.data(), code_bytes);
  };
  const auto seconds = BestSeconds({dense, encode});
  for (auto _ : Counted(state)) {
    encode();
    benchmark::ClobberMemory();
  }
  const auto items = state.iterations() * static_cast<int64_t>(kRows);
  state.SetItemsProcessed(items);
  state.SetBytesProcessed(items * static_cast<int64_t>(dim * sizeof(float)));
  state.counters["x_dense"] = seconds[0] / seconds[1];
}

}  // namespace

void RegisterHadamard() {
  for (const size_t dim : {size_t{64}, size_t{128}, size_t{256}}) {
    for (const size_t bits : {size_t{64}, size_t{128}, size_t{256}}) {
      RegisterPerTarget(Cat("hadamard_encode/rows:", kRows, "/dim:", dim, "/bits:", bits),
                        [=](benchmark::State& state) { Encode(state, dim, bits); });
    }
  }
}

}  // namespace eta::bench
