// SPDX-License-Identifier: Apache-2.0
// simd/pq4_encode.h against core/reference/pq4.h on every target.
#include "simd/pq4_encode.h"

#include <limits>
#include <ostream>

#include "core/reference/pq4.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Shape {
  size_t dim, subspaces;

  size_t width() const { return (dim + subspaces - 1) / subspaces; }
};

// Even and uneven splits, subspaces of one dimension and of many, more subspaces than a byte of
// penalties has room for, and the largest.
constexpr Shape kShapes[] = {{2, 2},   {3, 2},     {64, 16},     {64, 32}, {64, 34},
                             {65, 16}, {100, 32},  {37, 36},     {67, 2},  {128, 16},
                             {130, 4}, {200, 128}, {1025, 1024}, {4096, 2}};

enum Kind { kBells, kTies, kHard, kConstant, kHuge, kKinds };

std::vector<float> MakeRows(Kind kind, Rng& rng, size_t rows, size_t dim) {
  if (kind == kHard) return HardRows(rng, rows, dim);
  return MakeFloats(rows * dim, [&] {
    return kind == kTies       ? SmallInteger(rng, 1)
           : kind == kConstant ? 1.0f
           : kind == kHuge     ? std::ldexp(BellFloat(rng), 120)
                               : BellFloat(rng);
  });
}

class Pq4EncodeTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(Pq4EncodeTest);

// Codebooks in exact-size buffers, what lies between the centroids being NaN.
struct Codebooks {
  Codebooks(const Shape& s, Kind kind, Rng& rng, size_t offset)
      : s(s),
        stride(s.width() + 1),
        rows(MakeRows(kind, rng, 16 * s.subspaces, stride)),
        twin(reference::MakePq4Codebooks(rows, stride, s.dim, s.subspaces)),
        packed(simd::PackedPq4CodebooksSize(s.dim, s.subspaces), offset, 16) {
    for (size_t r = 0; r < 16 * s.subspaces; ++r) {
      for (size_t d = twin.centroids[r].size(); d < stride; ++d) rows[r * stride + d] = kNan;
    }
    Buffer<float> exact(std::span<const float>(rows), offset);
    simd::PackPq4Codebooks({exact.data(), 16 * s.subspaces, s.width(), stride}, s.dim, s.subspaces,
                           packed.data());
  }

  simd::PackedPq4Codebooks view() const { return {packed.data(), s.dim, s.subspaces}; }

  Shape s;
  size_t stride;
  std::vector<float> rows;
  reference::Pq4Codebooks twin;
  Buffer<float> packed;
};

template <class Visit>
void ForEachCase(Visit visit) {
  uint64_t seed = 1;
  for (const Shape& s : kShapes) {
    for (int kind = 0; kind < kKinds; ++kind) {
      for (const size_t count : {size_t{0}, size_t{1}, size_t{3}, size_t{4}, size_t{5}, size_t{9},
                                 size_t{16}, size_t{17}, size_t{35}}) {
        if (s.dim > 1000 && count > 1) continue;
        Rng rng(++seed);
        SCOPED_TRACE(::testing::Message()
                     << "target=" << simd::TargetName(simd::ActiveTarget()) << " dim=" << s.dim
                     << " subspaces=" << s.subspaces << " kind=" << kind << " rows=" << count);
        const Codebooks codebooks(s, kind == kHard ? kBells : static_cast<Kind>(kind), rng,
                                  seed % 3);
        const auto dense = MakeRows(static_cast<Kind>(kind), rng, count, s.dim);
        const size_t stride = s.dim + seed % 2 * 3;
        Buffer<float> x(WithStride<float>(dense, s.dim, stride, kNan), seed % 4);
        visit(codebooks, dense, simd::RowsView<float>{x.data(), count, s.dim, stride}, seed);
      }
    }
  }
}

// Compares rows of `width` bytes, what lies between them being untouched.
void ExpectRows(Buffer<uint8_t>& actual, size_t width, size_t stride,
                const std::vector<std::vector<uint8_t>>& expected) {
  for (size_t r = 0; r < expected.size(); ++r) {
    EXPECT_TRUE(SameValues<uint8_t>({actual.data() + r * stride, width}, expected[r]))
        << "row " << r;
    if (r + 1 < expected.size()) {
      EXPECT_TRUE(actual.Untouched(r * stride + width, (r + 1) * stride));
    }
  }
}

TEST_P(Pq4EncodeTest, Encode) {
  ForEachCase([](const Codebooks& codebooks, const std::vector<float>& dense,
                 const simd::RowsView<float>& x, uint64_t seed) {
    const size_t width = codebooks.s.subspaces / 2, stride = width + seed % 3;
    Buffer<uint8_t> codes(x.count == 0 ? 0 : (x.count - 1) * stride + width, seed % 5, 16);
    simd::Pq4Encode(x, codebooks.view(), codes.data(), stride);
    std::vector<std::vector<uint8_t>> expected;
    for (size_t r = 0; r < x.count; ++r) {
      expected.push_back(
          reference::Pq4Encode(std::span(dense).subspan(r * x.width, x.width), codebooks.twin));
    }
    ExpectRows(codes, width, stride, expected);
  });
}

TEST_P(Pq4EncodeTest, Tables) {
  ForEachCase([](const Codebooks& codebooks, const std::vector<float>& dense,
                 const simd::RowsView<float>& x, uint64_t seed) {
    const size_t width = codebooks.s.subspaces * 16, stride = width + seed % 3;
    Buffer<uint8_t> tables(x.count == 0 ? 0 : (x.count - 1) * stride + width, seed % 5, 16);
    simd::Pq4Tables(x, codebooks.view(), tables.data(), stride);
    std::vector<std::vector<uint8_t>> expected;
    for (size_t r = 0; r < x.count; ++r) {
      expected.push_back(
          reference::Pq4Tables(std::span(dense).subspan(r * x.width, x.width), codebooks.twin));
    }
    ExpectRows(tables, width, stride, expected);
  });
}

// One value that is no number, in any subspace, is enough. With more than 32 subspaces the largest
// range alone gives the scale, and a comparison with NaN could pass over it.
TEST_P(Pq4EncodeTest, TablesOfQueriesThatAreNotFiniteAreZero) {
  for (const Shape& s : {Shape{64, 16}, Shape{64, 34}}) {
    Rng rng(s.subspaces);
    const Codebooks codebooks(s, kBells, rng, 0);
    for (const float bad : {kNan, kInf, -kInf}) {
      for (const size_t at : {size_t{0}, size_t{31}, size_t{63}}) {
        auto query = MakeRows(kBells, rng, 1, s.dim);
        query[at] = bad;
        std::vector<uint8_t> tables(16 * s.subspaces, 9);
        simd::Pq4Tables(simd::DenseRows(query.data(), 1, s.dim), codebooks.view(), tables.data(),
                        tables.size());
        EXPECT_EQ(tables, std::vector<uint8_t>(tables.size(), 0)) << bad << " at " << at;
      }
    }
  }
}

// Two subspaces of one dimension: centroids 0 to 15, and 0, -1, ... -14, -63. In literals, so that
// kernel and oracle cannot agree on others.
TEST_P(Pq4EncodeTest, ByHand) {
  std::vector<float> centroids;
  for (int m = 0; m < 16; ++m) centroids.push_back(static_cast<float>(m));
  for (int m = 0; m < 15; ++m) centroids.push_back(static_cast<float>(-m));
  centroids.push_back(-63.0f);
  std::vector<float> packed(simd::PackedPq4CodebooksSize(2, 2));
  simd::PackPq4Codebooks(simd::DenseRows(centroids.data(), 32, 1), 2, 2, packed.data());
  const simd::PackedPq4Codebooks codebooks = {packed.data(), 2, 2};
  EXPECT_EQ(packed[32 + 3], -4.5f);
  // 4.5 and -2.5 lie in the middle: the lower number wins. Only 0 times infinity is no number.
  const std::vector<float> x = {4.5f, -2.5f, 99.0f, -40.0f, kNan, -kInf};
  std::vector<uint8_t> codes(3);
  simd::Pq4Encode(simd::DenseRows(x.data(), 3, 2), codebooks, codes.data(), 1);
  EXPECT_EQ(codes, (std::vector<uint8_t>{0x24, 0xFF, 0x10}));
  // The ranges of inner products are 15 and 63: a step of the tables is 1.
  const std::vector<float> queries = {1.0f, 1.0f, 0.0f, 0.0f, 1.0f, kInf};
  std::vector<uint8_t> tables(96), expected;
  simd::Pq4Tables(simd::DenseRows(queries.data(), 3, 2), codebooks, tables.data(), 32);
  for (int m = 0; m < 16; ++m) expected.push_back(static_cast<uint8_t>(15 - m));
  for (int m = 0; m < 15; ++m) expected.push_back(static_cast<uint8_t>(m));
  expected.push_back(63);
  expected.resize(96, 0);
  EXPECT_EQ(tables, expected);
}

}  // namespace
}  // namespace eta::test
