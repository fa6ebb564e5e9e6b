// SPDX-License-Identifier: Apache-2.0
// simd/pq4_encode.h against core/reference/pq4.h.
#include "simd/pq4_encode.h"

#include <limits>

#include "core/reference/pq4.h"
#include "tests/fuzz/input.h"

namespace eta::fuzz {
namespace {

using test::Buffer;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  explicit Case(Input& in)
      : dim(in.Flag() ? in.Between(2, 40) : in.Size(2, 700)),
        subspaces(2 * (1 + in.Between(0, 255) % std::min(dim / 2, size_t{128}))),
        count(in.Between(0, 6)),
        offset(in.Between(0, 7)),
        // What follows a centroid, a row or a code in its stride.
        gap(in.Between(0, 3)),
        width((dim + subspaces - 1) / subspaces),
        centroids(in.Floats(16 * subspaces * width)),
        x(in.Floats(count * dim)),
        twin(reference::MakePq4Codebooks(centroids, width, dim, subspaces)) {
    // The elements that a narrow subspace leaves over are not read.
    for (size_t r = 0; r < 16 * subspaces; ++r) {
      for (size_t d = twin.centroids[r].size(); d < width; ++d) centroids[r * width + d] = kNan;
    }
  }

  std::span<const float> row(size_t r) const { return {x.data() + r * dim, dim}; }

  size_t dim, subspaces, count, offset, gap, width;
  std::vector<float> centroids, x;
  reference::Pq4Codebooks twin;
};

// Rows of `bytes` bytes, each followed by a gap that must stay as it is but for the last.
struct Output {
  Output(const Case& c, size_t bytes)
      : bytes(bytes),
        stride(bytes + c.gap),
        rows(c.count == 0 ? 0 : (c.count - 1) * stride + bytes, c.offset, 16) {}

  void ExpectRow(size_t r, std::span<const uint8_t> expected) {
    ASSERT_TRUE(test::SameValues<uint8_t>({rows.data() + r * stride, bytes}, expected))
        << "row " << r;
    if ((r + 1) * stride <= rows.size()) {
      ASSERT_TRUE(rows.Untouched(r * stride + bytes, (r + 1) * stride));
    }
  }

  size_t bytes, stride;
  Buffer<uint8_t> rows;
};

void Check(const Case& c, const simd::PackedPq4Codebooks& codebooks) {
  const size_t stride = c.dim + c.gap;
  Buffer<float> x(test::WithStride<float>(c.x, c.dim, stride, kNan), c.offset);
  const simd::RowsView<float> rows = {x.data(), c.count, c.dim, stride};
  Output codes(c, c.subspaces / 2), tables(c, c.subspaces * 16);
  simd::Pq4Encode(rows, codebooks, codes.rows.data(), codes.stride);
  simd::Pq4Tables(rows, codebooks, tables.rows.data(), tables.stride);
  for (size_t r = 0; r < c.count; ++r) {
    codes.ExpectRow(r, reference::Pq4Encode(c.row(r), c.twin));
    tables.ExpectRow(r, reference::Pq4Tables(c.row(r), c.twin));
  }
}

void Run(Input in) {
  const Case c(in);
  const size_t stride = c.width + c.gap;
  Buffer<float> centroids(test::WithStride<float>(c.centroids, c.width, stride, kNan), c.offset);
  Buffer<float> packed(simd::PackedPq4CodebooksSize(c.dim, c.subspaces), c.offset, 16);
  OnTargets(in, [&] {
    simd::PackPq4Codebooks({centroids.data(), 16 * c.subspaces, c.width, stride}, c.dim,
                           c.subspaces, packed.data());
    Check(c, {packed.data(), c.dim, c.subspaces});
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
