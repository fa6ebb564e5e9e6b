// SPDX-License-Identifier: Apache-2.0
// The int8 scan as a Retriever: exact where quantisation is, near the exact scan elsewhere.
#include "core/retrieval/scan_i8.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/retrieval/exact.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

ItemTable GaussianItems(size_t items, size_t dim, uint64_t seed) {
  Random random(seed);
  ItemTable table;
  table.embeddings = Matrix<float>(items, dim);
  for (float& x : table.embeddings.values) x = static_cast<float>(random.Normal());
  return table;
}

std::vector<int32_t> DrawItems(size_t n, size_t items, uint64_t seed) {
  Random random(seed, 2);
  std::vector<int32_t> list(n);
  for (int32_t& id : list) id = static_cast<int32_t>(random.Below(static_cast<uint32_t>(items)));
  return list;
}

TEST(ScanI8RetrieverTest, FindsMostOfTheExactTopK) {
  constexpr size_t kK = 64;
  const ItemTable items = GaussianItems(3000, 64, 1);
  const auto candidates = DrawItems(40, items.size(), 3);
  // An item in a history twice would make equal scores, and either may be returned.
  std::vector<int32_t> history(1024);
  for (size_t i = 0; i < history.size(); ++i) history[i] = static_cast<int32_t>(2 * i);
  const Lists exact = RetrieveSets(*MakeExactRetriever("exact", items), history, candidates, kK);
  const Lists i8 = RetrieveSets(*MakeScanI8Retriever("scan_i8", items), history, candidates, kK);
  std::vector<int32_t> both;
  for (size_t b = 0; b < candidates.size(); ++b) {
    std::ranges::set_intersection(exact[b], i8[b], std::back_inserter(both));
  }
  const double recall =
      static_cast<double>(both.size()) / static_cast<double>(candidates.size() * kK);
  RecordProperty("recall", std::to_string(recall));
  EXPECT_GE(recall, 0.95);
  EXPECT_LT(recall, 1.0);  // else it is not int8
}

// Rows of 127, -127 and 0 have scale 1 and are not changed, and float32 sums of them are exact.
TEST(ScanI8RetrieverTest, IsExactWhereQuantisationIs) {
  Random random(5);
  ItemTable items;
  items.embeddings = Matrix<float>(200, 10);
  for (float& x : items.embeddings.values) x = 127.0f * (static_cast<float>(random.Below(3)) - 1);
  const auto exact = MakeExactRetriever("exact", items);
  const auto i8 = MakeScanI8Retriever("scan_i8", items);
  const auto candidates = DrawItems(30, items.size(), 7);
  for (const size_t n : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{500}}) {
    const auto history = DrawItems(n, items.size(), n);
    for (const size_t k : {size_t{1}, size_t{64}, size_t{100}}) {
      EXPECT_EQ(RetrieveSets(*i8, history, candidates, k),
                RetrieveSets(*exact, history, candidates, k))
          << "n " << n << " k " << k;
    }
  }
}

// One scratch for all lengths: what a longer history left behind must not show.
TEST(ScanI8RetrieverTest, GathersTheSameAnswers) {
  const ItemTable items = GaussianItems(300, 18, 1);
  const auto packed = MakeScanI8Retriever("scan_i8", items);
  const auto gather = MakeScanI8GatherRetriever("scan_i8_gather", items);
  const auto scratch = gather->NewScratch();
  const auto candidates = DrawItems(19, items.size(), 3);
  for (const size_t n : {1000, 0, 1, 63, 64, 65, 200}) {
    const auto history = DrawItems(n, items.size(), n);
    for (const size_t k : {1, 64, 300}) {
      EXPECT_EQ(RetrieveSets(*gather, history, candidates, k, *scratch),
                RetrieveSets(*packed, history, candidates, k))
          << "n = " << n << ", k = " << k;
    }
  }
  const auto prepared = gather->Prepare(DrawItems(100, items.size(), 1));
  EXPECT_EQ(prepared->bytes(), 400u);
  EXPECT_EQ(prepared->user_bytes(), 400u);
  EXPECT_EQ(gather->table_bytes(), packed->table_bytes());
  EXPECT_THROW(gather->Prepare(std::vector<int32_t>{300}), std::invalid_argument);
}

TEST(ScanI8RetrieverTest, CountsItsMemory) {
  const ItemTable items = GaussianItems(100, 6, 1);
  const auto retriever = MakeScanI8Retriever("scan_i8", items);
  EXPECT_EQ(retriever->name(), "scan_i8");
  EXPECT_EQ(retriever->bits(), 0u);
  EXPECT_EQ(retriever->table_bytes(), 100 * (6 + sizeof(float)));
  EXPECT_EQ(retriever->Prepare({})->bytes(), 0u);
  const auto history = DrawItems(65, items.size(), 1);
  EXPECT_EQ(retriever->Prepare(history)->bytes(), 128 * (8 + sizeof(float)));
}

TEST(ScanI8RetrieverTest, RefusesTooManyDimensions) {
  EXPECT_THROW(MakeScanI8Retriever("scan_i8", GaussianItems(1, 4097, 1)), std::invalid_argument);
}

}  // namespace
}  // namespace eta::test
