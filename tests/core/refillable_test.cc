// SPDX-License-Identifier: Apache-2.0
// What all retrievers of core/retrieval/refillable.h promise: a history refilled in place is as one
// prepared anew, requests within the limits allocate nothing, and who copies does not look back.
#include "core/retrieval/refillable.h"

#include <functional>
#include <memory>
#include <numeric>

#include "core/retrieval/codes.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/eta_asym.h"
#include "core/retrieval/eta_gather.h"
#include "core/retrieval/eta_norm.h"
#include "core/retrieval/exact.h"
#include "core/retrieval/i8_items.h"
#include "core/retrieval/pq4.h"
#include "core/retrieval/random_positions.h"
#include "core/retrieval/reformer.h"
#include "core/retrieval/rerank.h"
#include "core/retrieval/scan_i8.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kItems = 120, kDim = 16, kBits = 40;

Matrix<int32_t> SomeBuckets(size_t items) {
  Rng rng(5);
  Matrix<int32_t> buckets(items, 4);
  for (int32_t& bucket : buckets.values) bucket = static_cast<int32_t>(Below(rng, 3));
  return buckets;
}

using Retrievers = std::vector<std::unique_ptr<RefillableRetriever>>;

// All that copy what they need of `items`.
Retrievers MakeCopying(const ItemTable& items) {
  const Hyperplanes planes = Planes(kDim, kBits);
  Retrievers all;
  all.push_back(MakeEtaRetriever("eta", items, planes));
  all.push_back(MakeEtaGatherRetriever("eta_gather", items, planes));
  all.push_back(MakeEtaNormRetriever("eta_norm", items, planes));
  all.push_back(MakeEtaAsymRetriever("eta_asym", items, planes));
  all.push_back(MakeEtaAsymPlainRetriever("eta_asym_plain", items, planes));
  all.push_back(MakeEtaRerankI8Retriever("rerank_i8", items, planes, 3));
  all.push_back(MakeRerankI8Retriever("eta_asym+rerank_i8", items,
                                      MakeEtaAsymRetriever("eta_asym", items, planes), 3));
  all.push_back(MakeScanI8Retriever("scan_i8", items));
  all.push_back(MakeScanI8GatherRetriever("scan_i8_gather", items));
  all.push_back(MakeCosineRetriever("cosine", items));
  all.push_back(MakeRandomRetriever("random", items.size(), 1));
  all.push_back(MakePq4Retriever("pq4", items, Pq4Codebooks::Train(items, kBits)));
  all.push_back(MakeReformerRetriever("reformer", SomeBuckets(items.size())));
  return all;
}

Retrievers MakeAll(const ItemTable& items) {
  Retrievers all = MakeCopying(items);
  all.push_back(MakeExactRetriever("exact", items));
  all.push_back(MakeEtaRerankRetriever("rerank", items, Planes(kDim, kBits), 3));
  for (auto& first : MakeCopying(items)) {
    if (first->name() == "reformer") continue;  // may return fewer than K, which is refused
    const std::string name = first->name() + "+rerank";
    all.push_back(MakeRerankRetriever(name, items, std::move(first), 3));
  }
  return all;
}

TEST(RefillableTest, RerankRefusesAShortlistThatIsTooShort) {
  const ItemTable items = BellItems(kItems, kDim, 1);
  const auto rerank = MakeRerankRetriever(
      "rerank", items, MakeReformerRetriever("reformer", SomeBuckets(items.size())), 64);
  const auto scratch = rerank->NewScratch();
  std::vector<int32_t> history(kItems), positions(30), counts(1);
  std::iota(history.begin(), history.end(), 0);
  const std::vector<int32_t> candidates = {5};
  EXPECT_THROW(
      rerank->Retrieve(*rerank->Prepare(history), candidates, 30, *scratch, {positions, counts}),
      std::invalid_argument);
}

TEST(RefillableTest, ARefilledHistoryIsAsOnePreparedAnew) {
  const ItemTable items = BellItems(kItems, kDim, 1);
  for (const auto& retriever : MakeAll(items)) {
    SCOPED_TRACE(retriever->name());
    const auto history = retriever->NewHistory(200);
    EXPECT_EQ(history->length(), 0u);
    EXPECT_EQ(history->bytes(), 0u);
    EXPECT_EQ(history->capacity(), 200u);
    const auto scratch = retriever->NewScratch();
    Rng rng(2);
    for (const size_t n : {200, 0, 1, 63, 64, 65, 200, 128}) {
      const auto behaviours = RandomIds(rng, n, kItems), candidates = RandomIds(rng, 9, kItems);
      retriever->Refill(*history, behaviours);
      const auto prepared = retriever->Prepare(behaviours);
      EXPECT_EQ(history->length(), n);
      EXPECT_EQ(history->bytes(), prepared->bytes());
      for (const size_t k : {1, 20, 300}) {
        EXPECT_EQ(Sorted(Retrieve(*retriever, *history, candidates, k, *scratch)),
                  Sorted(Retrieve(*retriever, *prepared, candidates, k, *scratch)))
            << "n = " << n << ", k = " << k;
      }
    }
  }
}

TEST(RefillableTest, NothingIsAllocatedWithinTheLimits) {
  const ItemTable items = BellItems(kItems, kDim, 1);
  for (const auto& retriever : MakeAll(items)) {
    // The longest shortlists of rerank make its chunks of candidates the smallest.
    for (const RequestLimits limits : {RequestLimits{200, 30, 40}, RequestLimits{3000, 80, 900}}) {
      SCOPED_TRACE(::testing::Message() << retriever->name() << " length=" << limits.length);
      const auto history = retriever->NewHistory(limits.length);
      const auto scratch = retriever->NewScratchFor(limits);
      Rng rng(3);
      const auto behaviours = RandomIds(rng, limits.length, kItems);
      const auto candidates = RandomIds(rng, limits.candidates, kItems);
      std::vector<int32_t> positions(limits.candidates * limits.k), counts(limits.candidates);
      for (const size_t n : {limits.length, size_t{0}, size_t{1}, size_t{65}, limits.length / 2}) {
        for (const size_t k : {limits.k, size_t{1}, limits.k / 3}) {
          for (const size_t b : {limits.candidates, size_t{1}}) {
            const size_t before = allocations;
            retriever->Refill(*history, {behaviours.data(), n});
            retriever->Retrieve(*history, {candidates.data(), b}, k, *scratch,
                                {{positions.data(), b * k}, {counts.data(), b}});
            EXPECT_EQ(allocations, before) << "n = " << n << ", k = " << k << ", b = " << b;
          }
        }
      }
    }
  }
}

TEST(RefillableTest, RefusesIdsOutOfRangeAndTooMany) {
  const ItemTable items = BellItems(kItems, kDim, 1);
  for (const auto& retriever : MakeAll(items)) {
    SCOPED_TRACE(retriever->name());
    const auto history = retriever->NewHistory(3);
    const std::vector<int32_t> good = {1, 2}, beyond = {1, kItems}, negative = {-1};
    retriever->Refill(*history, good);
    EXPECT_TRUE(Has(Error([&] { retriever->Refill(*history, beyond); }), "120"));
    EXPECT_TRUE(Has(Error([&] { retriever->Refill(*history, negative); }), "-1"));
    EXPECT_TRUE(Has(Error([&] { retriever->Refill(*history, std::vector<int32_t>(4)); }), "4"));
    EXPECT_EQ(history->length(), 2u);
    retriever->Refill(*history, {});
    EXPECT_EQ(history->length(), 0u);
  }
}

// Under AddressSanitizer a look back at the dead table is an error; elsewhere it would be seen in
// the answers, since the memory is overwritten first.
TEST(RefillableTest, WhoCopiesOutlivesTheItems) {
  const ItemTable kept = BellItems(kItems, kDim, 1);
  const Retrievers expected = MakeCopying(kept);
  auto dying = std::make_unique<ItemTable>(kept);
  const Retrievers retrievers = MakeCopying(*dying);
  std::ranges::fill(dying->embeddings.values, 0.0f);
  dying.reset();
  Rng rng(4);
  const auto history = RandomIds(rng, 100, kItems), candidates = RandomIds(rng, 9, kItems);
  for (size_t i = 0; i < retrievers.size(); ++i) {
    const auto retrieve = [&](const Retriever& retriever) {
      return Sorted(Retrieve(retriever, *retriever.Prepare(history), candidates, 20,
                             *retriever.NewScratch()));
    };
    EXPECT_EQ(retrieve(*retrievers[i]), retrieve(*expected[i])) << retrievers[i]->name();
  }
}

// What the CTR models serve from: codes and int8 tables that came from elsewhere.
TEST(RefillableTest, TablesFromElsewhereGiveTheSameAnswers) {
  const ItemTable items = BellItems(kItems, kDim, 1);
  Rng rng(6);
  const auto history = RandomIds(rng, 150, kItems), candidates = RandomIds(rng, 9, kItems);
  const CodeTable table(items, Planes(kDim, kBits));
  Matrix<uint8_t> codes(kItems, table.code_bytes());
  std::copy_n(table.data(), table.bytes(), codes.values.begin());
  const auto own_eta = MakeEtaRetriever("eta", items, Planes(kDim, kBits));
  const auto eta = MakeEtaRetriever("eta", kBits, codes);
  EXPECT_EQ(RetrieveSets(*eta, history, candidates, 20),
            RetrieveSets(*own_eta, history, candidates, 20));
  EXPECT_EQ(eta->bits(), kBits);
  EXPECT_EQ(eta->table_bytes(), own_eta->table_bytes());
  EXPECT_NE(Error([&] { MakeEtaRetriever("eta", kBits + 8, codes); }), "");

  // Rows of one largest magnitude have one scale, so that leaving it out changes no order.
  ItemTable even = items;
  for (size_t i = 0; i < kItems; ++i) {
    for (size_t d = 0; d < kDim; ++d) even.embeddings.row(i)[d] = SmallInteger(rng, 126);
    even.embeddings.row(i)[0] = 127;
  }
  const I8Items quantised(even);
  Matrix<int8_t> values(kItems, kDim);
  std::ranges::copy(quantised.values, values.values.begin());
  const auto own_scan = MakeScanI8Retriever("scan_i8", even);
  const auto scan = MakeScanI8Retriever("scan_i8", values, values);
  EXPECT_EQ(RetrieveSets(*scan, history, candidates, 20),
            RetrieveSets(*own_scan, history, candidates, 20));
  EXPECT_EQ(scan->table_bytes(), own_scan->table_bytes());
  EXPECT_NE(Error([&] { MakeScanI8Retriever("s", values, Matrix<int8_t>(kItems, 3)); }), "");
}

TEST(ReformerRetrieverTest, TakesThoseThatShareMostThenTheNewest) {
  constexpr size_t kRounds = 4;
  const Matrix<int32_t> buckets = SomeBuckets(kItems);
  const auto retriever = MakeReformerRetriever("reformer", buckets);
  Rng rng(7);
  for (const size_t n : {0, 1, 63, 64, 200}) {
    const auto history = RandomIds(rng, n, kItems), candidates = RandomIds(rng, 9, kItems);
    for (const size_t k : {1, 10, 64, 300}) {
      Lists expected;
      for (const int32_t candidate : candidates) {
        std::vector<std::pair<size_t, int32_t>> order;  // rounds not shared, minus the position
        for (size_t i = 0; i < n; ++i) {
          size_t shared = 0;
          for (size_t r = 0; r < kRounds; ++r) {
            shared += buckets.row(static_cast<size_t>(history[i]))[r] ==
                      buckets.row(static_cast<size_t>(candidate))[r];
          }
          if (shared > 0) order.emplace_back(kRounds - shared, -static_cast<int32_t>(i));
        }
        std::ranges::sort(order);
        order.resize(std::min(k, order.size()));
        expected.emplace_back();
        for (const auto& entry : order) expected.back().push_back(-entry.second);
      }
      EXPECT_EQ(Sorted(Retrieve(*retriever, *retriever->Prepare(history), candidates, k,
                                *retriever->NewScratch())),
                Sorted(expected))
          << "n = " << n << ", k = " << k;
    }
  }
}

TEST(ReformerRetrieverTest, RefusesBucketsOutOfRange) {
  for (const int32_t bad : {-1, 65536}) {
    Matrix<int32_t> buckets = SomeBuckets(3);
    buckets.values[7] = bad;
    EXPECT_TRUE(Has(Error([&] { MakeReformerRetriever("r", buckets); }), std::to_string(bad)));
  }
  EXPECT_NE(Error([&] { MakeReformerRetriever("r", Matrix<int32_t>(3, 0)); }), "");
}

}  // namespace
}  // namespace eta::test
