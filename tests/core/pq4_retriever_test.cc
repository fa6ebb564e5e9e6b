// SPDX-License-Identifier: Apache-2.0
// core/retrieval/pq4.h and pq4_codebooks.h: retrieval as by the scalar twin, codebooks that are the
// same on every target, what a rotation is worth, and what is refused.
#include "core/retrieval/pq4.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "core/base/symmetric_eigen.h"
#include "core/data/generator.h"
#include "core/reference/pq4.h"
#include "core/reference/rerank.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/exact.h"
#include "core/retrieval/rerank.h"
#include "tests/support/retrieval_test_util.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

ItemTable Generated(size_t items, size_t dim) {
  return GenerateBundle({.seed = 3, .users = 1, .items = items, .dim = dim, .fixed_length = 10})
      .items;
}

// x R of a row, fused multiply-adds in the order of rows, as Hyperplanes::Project.
std::vector<float> Rotated(const Pq4Codebooks& codebooks, const float* row) {
  std::vector<float> x(row, row + codebooks.dim());
  const auto rotation = codebooks.rotation();
  if (!rotation) return x;
  std::vector<float> y(x.size(), 0.0f);
  for (size_t d = 0; d < x.size(); ++d) {
    for (size_t j = 0; j < y.size(); ++j) y[j] = std::fma(x[d], rotation->row(d)[j], y[j]);
  }
  return y;
}

reference::Pq4Codebooks Twin(const Pq4Codebooks& c) {
  return reference::MakePq4Codebooks(c.centroids().values, c.centroids().cols, c.dim(),
                                     c.subspaces());
}

class Pq4RetrieverTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(Pq4RetrieverTest);

TEST_P(Pq4RetrieverTest, AsReference) {
  const ItemTable items = Generated(300, 23);
  for (const Pq4Rotation rotation : {Pq4Rotation::kNone, Pq4Rotation::kPca}) {
    for (const size_t bits : {8, 40, 88}) {
      const auto codebooks = Pq4Codebooks::Train(items, bits, {.rotation = rotation});
      const auto twin = Twin(codebooks);
      const auto pq4 = MakePq4Retriever("pq4", items, codebooks, 2);
      const auto scratch = pq4->NewScratch();
      Rng rng(bits);
      for (const size_t n : {400, 0, 1, 64, 65}) {
        const auto history = RandomIds(rng, n, items.size()), candidates = RandomIds(rng, 9, 300);
        std::vector<uint8_t> codes;
        for (const int32_t item : history) {
          const auto code =
              reference::Pq4Encode(Rotated(codebooks, items.embeddings.row(item)), twin);
          codes.insert(codes.end(), code.begin(), code.end());
        }
        for (const size_t k : {1, 64, 300}) {
          Lists expected;
          for (const int32_t candidate : candidates) {
            const auto tables =
                reference::Pq4Tables(Rotated(codebooks, items.embeddings.row(candidate)), twin);
            expected.emplace_back();
            for (const auto& row :
                 reference::Pq4TopK(codes, tables, k, simd::TieOrder::kNewestFirst)) {
              expected.back().push_back(row.position);
            }
          }
          EXPECT_EQ(Sorted(Retrieve(*pq4, *pq4->Prepare(history), candidates, k, *scratch)),
                    Sorted(expected))
              << "bits = " << bits << ", n = " << n << ", k = " << k;
        }
      }
    }
  }
}

uint64_t HashOf(const Pq4Codebooks& codebooks) {
  uint64_t hash = 1;
  const auto add = [&](const Matrix<float>& m) {
    for (const float value : m.values)
      hash = (hash ^ std::bit_cast<uint32_t>(value)) * 0x100000001b3;
  };
  add(codebooks.centroids());
  if (const auto rotation = codebooks.rotation()) add(*rotation);
  return hash;
}

// A number that must not change with target, compiler or machine.
TEST_P(Pq4RetrieverTest, TrainsTheSameCodebooksEverywhere) {
  EXPECT_EQ(HashOf(Pq4Codebooks::Train(Generated(700, 20), 40)), uint64_t{5011260645625158581});
}

TEST_P(Pq4RetrieverTest, RerankFindsAllThatIsInTheShortlist) {
  const ItemTable items = Generated(300, 24);
  const auto codebooks = Pq4Codebooks::Train(items, 48);
  Rng rng(4);
  const auto history = RandomIds(rng, 200, 300), candidates = RandomIds(rng, 70, 300);
  const auto rerank =
      MakeRerankRetriever("pq4+rerank", items, MakePq4Retriever("pq4", items, codebooks), 4);
  const auto exact = MakeExactRetriever("exact", items);
  const auto scratch = rerank->NewScratch(), exact_scratch = exact->NewScratch();
  EXPECT_EQ(Sorted(Retrieve(*rerank, *rerank->Prepare(history), candidates, 50, *scratch)),
            Sorted(Retrieve(*exact, *exact->Prepare(history), candidates, 50, *exact_scratch)));
  EXPECT_THROW(MakeRerankRetriever("r", items, nullptr, 4), std::invalid_argument);
}

TEST_P(Pq4RetrieverTest, SaysWhatItIs) {
  const ItemTable items = Generated(100, 16);
  const auto pq4 = MakePq4Retriever("pq4:64", items, Pq4Codebooks::Train(items, 64));
  EXPECT_EQ(pq4->name(), "pq4:64");
  EXPECT_EQ(pq4->target(), simd::TargetName(GetParam()));
  EXPECT_EQ(pq4->bits(), 64u);
  EXPECT_EQ(pq4->table_bytes(), 100u * (8 + 256));
  EXPECT_EQ(pq4->Prepare(std::vector<int32_t>(65, 1))->bytes(), 128u * 8);
  EXPECT_THROW(MakePq4Retriever("p", items, Pq4Codebooks::Train(items, 64), 0),
               std::invalid_argument);
  EXPECT_THROW(MakePq4Retriever("p", Generated(100, 17), Pq4Codebooks::Train(items, 64)),
               std::invalid_argument);
}

// The mean square of errors of inner products between items.
double Error(const ItemTable& items, const Pq4Codebooks& codebooks) {
  const auto twin = Twin(codebooks);
  double sum = 0;
  for (size_t i = 0; i < 200; ++i) {
    const auto x = Rotated(codebooks, items.embeddings.row(i));
    const auto code = reference::Pq4Encode(x, twin);
    std::vector<float> decoded;
    for (size_t s = 0; s < twin.subspaces; ++s) {
      const auto& c = twin.centroids[16 * s + (code[s / 2] >> s % 2 * 4) % 16];
      decoded.insert(decoded.end(), c.begin(), c.end());
    }
    for (size_t j = 200; j < 400; ++j) {
      const auto q = Rotated(codebooks, items.embeddings.row(j));
      double error = 0;
      for (size_t d = 0; d < q.size(); ++d) {
        error += static_cast<double>(q[d]) * (static_cast<double>(x[d]) - decoded[d]);
      }
      sum += error * error;
    }
  }
  return sum;
}

// Items without common directions, whose dimensions differ in variance pair by pair, are best cut
// as they are; generated ones are not.
TEST(Pq4CodebooksTest, TakesTheBetterRotation) {
  const ItemTable generated = Generated(2000, 32);
  ItemTable clustered;
  clustered.embeddings = Matrix<float>(2000, 32);
  Rng rng(6);
  for (size_t i = 0; i < 2000; ++i) {
    for (size_t d = 0; d < 32; d += 4) {
      // One of 16 corners: a subspace holds it without error, a rotation mixes eight of them.
      const size_t corner = Below(rng, 16);
      for (size_t j = 0; j < 4; ++j) {
        clustered.embeddings.row(i)[d + j] =
            (corner >> j & 1) != 0 ? 1.0f + 0.1f * static_cast<float>(j) : -1.0f;
      }
    }
  }
  for (const ItemTable* items : {&generated, static_cast<const ItemTable*>(&clustered)}) {
    const auto with = [&](Pq4Rotation rotation) {
      return Pq4Codebooks::Train(*items, 32, {.rotation = rotation});
    };
    const auto none = with(Pq4Rotation::kNone), pca = with(Pq4Rotation::kPca),
               best = with(Pq4Rotation::kBest);
    EXPECT_EQ(best.rotation().has_value(), items == &generated);
    EXPECT_EQ(HashOf(best), HashOf(items == &generated ? pca : none));
    EXPECT_EQ(Error(*items, best), std::min(Error(*items, none), Error(*items, pca)));
  }
}

TEST(Pq4CodebooksTest, ImportsWhatItExports) {
  const ItemTable items = Generated(400, 21);
  for (const Pq4Rotation rotation : {Pq4Rotation::kNone, Pq4Rotation::kPca}) {
    const auto codebooks = Pq4Codebooks::Train(items, 32, {.rotation = rotation});
    const auto again = Pq4Codebooks::FromMatrices(21, codebooks.centroids(), codebooks.rotation());
    EXPECT_EQ(again.bits(), 32u);
    EXPECT_EQ(HashOf(again), HashOf(codebooks));
    const CodeTable first(items, codebooks), second(items, again, 2);
    EXPECT_TRUE(std::equal(first.data(), first.data() + first.bytes(), second.data()));
  }
}

// As many behaviours appended, and items changed, as table and blocks made anew.
TEST(Pq4CodebooksTest, AppendAndRehash) {
  ItemTable items = Generated(150, 16);
  const auto codebooks = Pq4Codebooks::Train(items, 64);
  CodeTable table(items, codebooks);
  for (size_t d = 0; d < 16; ++d) items.embeddings.row(7)[d] = items.embeddings.row(9)[d];
  std::vector<uint8_t> code(codebooks.code_bytes());
  codebooks.Encode({items.embeddings.row(7), 16}, code);
  table.Replace(7, code);
  const CodeTable anew(items, codebooks);
  EXPECT_TRUE(std::equal(table.data(), table.data() + table.bytes(), anew.data()));
  CodeBlocks blocks(64);
  std::vector<int32_t> history(130);
  std::iota(history.begin(), history.end(), 0);
  for (const int32_t item : history) blocks.Append(table.row(static_cast<size_t>(item)));
  const CodeBlocks gathered(anew, history);
  for (size_t i = 0; i < 130; ++i) EXPECT_EQ(blocks.code(i), gathered.code(i));
}

TEST(Pq4CodebooksTest, ItemsThatAreNoNumbersDoNotCount) {
  ItemTable items = Generated(200, 8);
  const auto clean = Pq4Codebooks::Train(items, 16);
  items.embeddings.row(5)[3] = std::numeric_limits<float>::quiet_NaN();
  items.embeddings.row(6)[0] = std::numeric_limits<float>::infinity();
  const auto codebooks = Pq4Codebooks::Train(items, 16);
  for (const float value : codebooks.centroids().values) EXPECT_TRUE(std::isfinite(value));
  EXPECT_NE(HashOf(codebooks), HashOf(clean));
  // Nothing to train from, or the same again and again.
  for (float& value : items.embeddings.values) value = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Pq4Codebooks::Train(items, 16).centroids().values, AlignedVector<float>(4 * 16 * 2));
  for (float& value : items.embeddings.values) value = 2;
  const auto equal = Pq4Codebooks::Train(items, 16);
  for (const float value : equal.centroids().values) EXPECT_NEAR(value, 2, 0.1);
  ItemTable none;
  none.embeddings = Matrix<float>(0, 8);
  EXPECT_EQ(Pq4Codebooks::Train(none, 16).bits(), 16u);
}

TEST(Pq4CodebooksTest, RefusesWhatIsWrong) {
  const ItemTable items = Generated(100, 16);
  for (const size_t bits : {size_t{0}, size_t{4}, size_t{12}, size_t{72}, size_t{8192}}) {
    EXPECT_THROW(Pq4Codebooks::Train(items, bits), std::invalid_argument) << bits;
  }
  EXPECT_THROW(Pq4Codebooks::Train(items, 16, {.sample = 0}), std::invalid_argument);
  const auto good = Pq4Codebooks::Train(Generated(100, 17), 32, {.rotation = Pq4Rotation::kPca});
  const auto refuse = [&](auto change) {
    Matrix<float> centroids = good.centroids();
    std::optional<Matrix<float>> rotation = good.rotation();
    size_t dim = 17;
    change(dim, centroids, *rotation);
    EXPECT_THROW(Pq4Codebooks::FromMatrices(dim, centroids, rotation), std::invalid_argument);
  };
  using M = Matrix<float>;
  refuse([](size_t& dim, M&, M&) { dim = 16; });
  refuse([](size_t&, M& c, M&) { c = M(20, 3); });
  refuse([](size_t&, M& c, M&) { c = M(0, 3); });
  refuse([](size_t&, M& c, M&) { c = M(16 * 8, 4); });
  refuse([](size_t&, M& c, M&) { c.values.pop_back(); });
  refuse([](size_t&, M& c, M&) { c.values[0] = std::numeric_limits<float>::quiet_NaN(); });
  refuse([](size_t&, M& c, M&) { c.row(0)[2] = 1; });  // padding: subspace 0 has 2 dimensions
  refuse([](size_t&, M&, M& r) { r = M(17, 16); });
  refuse([](size_t&, M&, M& r) { r.row(3)[4] += 0.1f; });
  refuse([](size_t&, M&, M& r) { r.row(3)[4] = std::numeric_limits<float>::infinity(); });
}

TEST(SymmetricEigenTest, RebuildsTheMatrix) {
  Rng rng(8);
  for (const size_t n : {1, 2, 3, 8, 33}) {
    Matrix<double> m(n, n);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i; j < n; ++j) m.row(i)[j] = m.row(j)[i] = BellFloat(rng);
    }
    const Eigen eigen = SymmetricEigen(m);
    EXPECT_TRUE(std::ranges::is_sorted(eigen.values, std::greater<>()));
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        double product = 0, unit = 0;
        for (size_t k = 0; k < n; ++k) {
          product += eigen.vectors.row(i)[k] * eigen.values[k] * eigen.vectors.row(j)[k];
          unit += eigen.vectors.row(k)[i] * eigen.vectors.row(k)[j];
        }
        EXPECT_NEAR(product, m.row(i)[j], 1e-12);
        EXPECT_NEAR(unit, i == j, 1e-13);
      }
    }
  }
  EXPECT_THROW(SymmetricEigen(Matrix<double>(2, 3)), std::invalid_argument);
}

}  // namespace
}  // namespace eta::test
