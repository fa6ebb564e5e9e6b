// SPDX-License-Identifier: Apache-2.0
// core/retrieval/retriever.h by its two plainest methods, ETA and the exact scan, against the
// reference.
#include "core/retrieval/retriever.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "core/reference/dot.h"
#include "core/reference/hamming.h"
#include "core/reference/simhash.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/exact.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

using simd::TieOrder;

std::vector<uint8_t> ReferenceCodes(const ItemTable& items, const Hyperplanes& planes) {
  return reference::SimHashRows(items.embeddings.values, items.dim(), planes.matrix().values,
                                planes.bits());
}

// Both retrievers, on every target, against the reference.
class RetrieverTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(RetrieverTest);

template <class Neighbors>
std::vector<int32_t> Positions(const Neighbors& neighbors) {
  std::vector<int32_t> positions;
  for (const auto& neighbor : neighbors) positions.push_back(neighbor.position);
  return positions;
}

// The rows of `width` values of a list of items, one after another.
template <class T>
std::vector<T> RowsOf(std::span<const T> table, size_t width, const std::vector<int32_t>& ids) {
  std::vector<T> rows;
  for (const int32_t id : ids) {
    const auto row = table.subspan(static_cast<size_t>(id) * width, width);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return rows;
}

Lists ReferenceEta(const ItemTable& items, const Hyperplanes& planes,
                   const std::vector<int32_t>& history, const std::vector<int32_t>& candidates,
                   size_t k) {
  const std::vector<uint8_t> table = ReferenceCodes(items, planes);
  const auto codes = RowsOf<uint8_t>(table, planes.code_bytes(), history);
  Lists lists;
  for (const int32_t candidate : candidates) {
    const auto query = RowsOf<uint8_t>(table, planes.code_bytes(), {candidate});
    lists.push_back(Positions(reference::HammingTopK(codes, query, k, TieOrder::kNewestFirst)));
  }
  return Sorted(lists);
}

Lists ReferenceExact(const ItemTable& items, const std::vector<int32_t>& history,
                     const std::vector<int32_t>& candidates, size_t k) {
  const std::span<const float> table(items.embeddings.values);
  const auto rows = RowsOf<float>(table, items.dim(), history);
  Lists lists;
  for (const int32_t candidate : candidates) {
    const auto query = RowsOf<float>(table, items.dim(), {candidate});
    lists.push_back(Positions(reference::DotTopK(rows, query, k, TieOrder::kNewestFirst)));
  }
  return Sorted(lists);
}

// The items repeat in the longer histories. One Scratch serves all requests, large before small.
TEST_P(RetrieverTest, AsReference) {
  constexpr size_t kItems = 90, kDim = 12;
  for (const ItemTable& items : {BellItems(kItems, kDim, 1), HardItems(kItems, kDim, 2)}) {
    for (const size_t bits : {size_t{16}, size_t{64}, size_t{300}}) {
      const Hyperplanes planes = Planes(kDim, bits);
      const auto eta = MakeEtaRetriever("eta", items, planes, 2);
      const auto exact = MakeExactRetriever("exact", items);
      const auto eta_scratch = eta->NewScratch(), exact_scratch = exact->NewScratch();
      for (const size_t n : {size_t{400}, size_t{0}, size_t{1}, size_t{64}, size_t{65}}) {
        for (const size_t k : {size_t{100}, size_t{1}, size_t{64}}) {
          SCOPED_TRACE(::testing::Message() << "target=" << simd::TargetName(GetParam())
                                            << " n=" << n << " bits=" << bits << " k=" << k);
          Rng rng(n + k);
          const auto history = RandomIds(rng, n, kItems);
          const auto candidates = RandomIds(rng, 11, kItems);
          EXPECT_EQ(RetrieveSets(*eta, history, candidates, k, *eta_scratch),
                    ReferenceEta(items, planes, history, candidates, k));
          EXPECT_EQ(RetrieveSets(*exact, history, candidates, k, *exact_scratch),
                    ReferenceExact(items, history, candidates, k));
        }
      }
    }
  }
}

TEST_P(RetrieverTest, AHistoryOfOneItemKeepsItsNewest) {
  const ItemTable items = BellItems(3, 8, 1);
  const Hyperplanes planes = Planes(8, 32);
  const std::vector<int32_t> history(200, 2);
  const std::vector<int32_t> candidates = {0, 1, 2};
  std::vector<int32_t> newest;
  for (int32_t i = 190; i < 200; ++i) newest.push_back(i);
  const auto eta = MakeEtaRetriever("eta", items, planes);
  const auto exact = MakeExactRetriever("exact", items);
  for (const Retriever* retriever : {eta.get(), exact.get()}) {
    const auto scratch = retriever->NewScratch();
    EXPECT_EQ(RetrieveSets(*retriever, history, candidates, 10, *scratch), Lists(3, newest))
        << retriever->name();
  }
}

// Lengths, here powers of 2 that scale without rounding, change no answer.
TEST_P(RetrieverTest, CosineSeesDirectionsAlone) {
  constexpr size_t kItems = 90;
  const ItemTable items = BellItems(kItems, 12, 1);
  ItemTable scaled = items;
  for (size_t i = 0; i < scaled.embeddings.values.size(); ++i) {
    scaled.embeddings.values[i] *= static_cast<float>(1 << i / 12 % 7);
  }
  Rng rng(3);
  const auto history = RandomIds(rng, 300, kItems), candidates = RandomIds(rng, 11, kItems);
  const auto of = [&](const Retriever& retriever) {
    return RetrieveSets(retriever, history, candidates, 40);
  };
  const auto dot = [&](int32_t a, int32_t b) {
    const float* x = items.embeddings.row(static_cast<size_t>(a));
    const float* y = items.embeddings.row(static_cast<size_t>(b));
    return std::inner_product(x, x + items.dim(), y, 0.0);
  };
  Lists expected;
  for (const int32_t candidate : candidates) {
    std::vector<std::pair<double, int32_t>> nearest;  // ties, of repeated items, to the newest
    for (size_t p = 0; p < history.size(); ++p) {
      const double cosine = dot(candidate, history[p]) / std::sqrt(dot(history[p], history[p]));
      nearest.emplace_back(-cosine, -static_cast<int32_t>(p));
    }
    std::ranges::sort(nearest);
    std::vector<int32_t> positions;
    for (size_t i = 0; i < 40; ++i) positions.push_back(-nearest[i].second);
    std::ranges::sort(positions);
    expected.push_back(positions);
  }
  EXPECT_EQ(of(*MakeCosineRetriever("cosine", items)), expected);
  EXPECT_EQ(of(*MakeCosineRetriever("cosine", scaled)), expected);
  EXPECT_NE(of(*MakeExactRetriever("exact", scaled)), expected);
}

TEST_P(RetrieverTest, SaysWhatItIs) {
  const ItemTable items = BellItems(100, 8, 1);
  const auto eta = MakeEtaRetriever("eta:20", items, Planes(8, 20));
  const auto exact = MakeExactRetriever("exact", items);
  EXPECT_EQ(eta->name(), "eta:20");
  EXPECT_EQ(eta->target(), simd::TargetName(GetParam()));
  EXPECT_EQ(eta->bits(), 20u);
  EXPECT_EQ(eta->table_bytes(), 300u);
  EXPECT_EQ(eta->Prepare(std::vector<int32_t>(65, 1))->bytes(), 128u * 3);
  EXPECT_EQ(exact->name(), "exact");
  EXPECT_EQ(exact->target(), simd::TargetName(GetParam()));
  EXPECT_EQ(exact->bits(), 0u);
  EXPECT_EQ(exact->table_bytes(), 100u * 8 * sizeof(float));
  EXPECT_EQ(exact->Prepare(std::vector<int32_t>(65, 1))->bytes(), 128u * 8 * sizeof(float));
}

TEST(RetrieverErrorTest, MismatchedTables) {
  const ItemTable items = BellItems(10, 8, 1);
  EXPECT_NE(Error([&] { MakeEtaRetriever("eta", items, Planes(9, 16)); }), "");
  EXPECT_NE(Error([&] { MakeEtaRetriever("eta", items, Planes(8, 16), 0); }), "");
  ItemTable short_items = items;
  short_items.embeddings.values.resize(79);
  EXPECT_NE(Error([&] { MakeEtaRetriever("eta", short_items, Planes(8, 16)); }), "");
  EXPECT_NE(Error([&] { MakeExactRetriever("exact", short_items); }), "");
}

void ExpectRequestErrors(const Retriever& retriever) {
  SCOPED_TRACE(retriever.name());
  for (const int32_t bad : {-1, 10, std::numeric_limits<int32_t>::max()}) {
    const std::vector<int32_t> ids = {3, bad};
    EXPECT_TRUE(Has(Error([&] { retriever.Prepare(ids); }), std::to_string(bad))) << bad;
  }
  const auto history = retriever.Prepare(std::vector<int32_t>{1, 2, 3});
  const auto scratch = retriever.NewScratch();
  const std::vector<int32_t> good = {4, 5}, bad = {4, 10}, negative = {-1, 4};
  std::vector<int32_t> positions(7, 77), counts(3, 77);
  const auto error = [&](const std::vector<int32_t>& ids, size_t k, size_t room,
                         size_t count_room) {
    return Error([&] {
      retriever.Retrieve(*history, ids, k, *scratch,
                         {{positions.data(), room}, {counts.data(), count_room}});
    });
  };
  EXPECT_NE(error(good, 0, 0, 2), "");
  EXPECT_TRUE(Has(error(bad, 3, 6, 2), "10"));
  EXPECT_TRUE(Has(error(negative, 3, 6, 2), "-1"));
  EXPECT_NE(error(good, 3, 5, 2), "");
  EXPECT_NE(error(good, 3, 7, 2), "");
  EXPECT_NE(error(good, 3, 6, 1), "");
  EXPECT_NE(error(good, 3, 6, 3), "");
  EXPECT_EQ(positions, std::vector<int32_t>(7, 77)) << "written in spite of the errors";
  EXPECT_EQ(counts, std::vector<int32_t>(3, 77)) << "written in spite of the errors";
  EXPECT_EQ(error(good, 3, 6, 2), "");
}

// What another retriever made is refused, not read as something it is not.
TEST(RetrieverErrorTest, HistoryAndScratchOfAnother) {
  const ItemTable items = BellItems(10, 8, 1);
  const auto eta = MakeEtaRetriever("eta", items, Planes(8, 16));
  const auto exact = MakeExactRetriever("exact", items);
  const std::vector<int32_t> ids = {1, 2, 3};
  std::vector<int32_t> positions(6), counts(3);
  const RetrievedView out{positions, counts};
  Scratch foreign;
  for (const auto& [mine, other] : {std::pair(eta.get(), exact.get()), {exact.get(), eta.get()}}) {
    const auto scratch = mine->NewScratch();
    EXPECT_ANY_THROW(mine->Retrieve(*other->Prepare(ids), ids, 2, *scratch, out)) << mine->name();
    EXPECT_ANY_THROW(mine->Retrieve(*mine->Prepare(ids), ids, 2, foreign, out)) << mine->name();
    EXPECT_NO_THROW(mine->Retrieve(*mine->Prepare(ids), ids, 2, *scratch, out)) << mine->name();
  }
}

// Positions are int32, so a longer history is refused before any id of it is read.
TEST(RetrieverErrorTest, HistoriesThatPositionsCannotNumber) {
  const ItemTable items = BellItems(5, 4, 1);
  const int32_t id = 0;
  const std::span<const int32_t> too_long(&id, size_t{1} << 31);
  const auto eta = MakeEtaRetriever("eta", items, Planes(4, 16));
  EXPECT_THROW(eta->Prepare(too_long), std::length_error);
  EXPECT_THROW(MakeExactRetriever("exact", items)->Prepare(too_long), std::length_error);
}

TEST(RetrieverErrorTest, BadRequests) {
  const ItemTable items = BellItems(10, 8, 1);
  ExpectRequestErrors(*MakeEtaRetriever("eta", items, Planes(8, 16)));
  ExpectRequestErrors(*MakeExactRetriever("exact", items));
}

}  // namespace
}  // namespace eta::test
