// SPDX-License-Identifier: Apache-2.0
// core/retrieval/rerank.h: both steps against the scalar twins on every target, in float32 and
// int8, and against the methods that scan all of the history.
#include "core/retrieval/rerank.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>

#include "core/reference/dot.h"
#include "core/reference/hamming.h"
#include "core/reference/rerank.h"
#include "core/reference/simhash.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/eta_asym.h"
#include "core/retrieval/eta_gather.h"
#include "core/retrieval/eta_norm.h"
#include "core/retrieval/exact.h"
#include "core/retrieval/scan_i8.h"
#include "simd/target.h"
#include "tests/support/retrieval_test_util.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using simd::TieOrder;

std::span<const float> RowOf(const ItemTable& items, int32_t id) {
  return {items.embeddings.row(static_cast<size_t>(id)), items.dim()};
}

// The codes of these items.
std::vector<uint8_t> CodesOf(std::span<const uint8_t> item_codes, std::span<const int32_t> ids,
                             size_t code_bytes) {
  std::vector<uint8_t> codes;
  for (const int32_t id : ids) {
    const auto code = item_codes.subspan(static_cast<size_t>(id) * code_bytes, code_bytes);
    codes.insert(codes.end(), code.begin(), code.end());
  }
  return codes;
}

// Both steps by the scalar twins, the second in float32 or int8.
Lists Reference(const ItemTable& items, std::span<const uint8_t> item_codes,
                const std::vector<int32_t>& history, const std::vector<int32_t>& candidates,
                size_t factor, size_t k, bool is_i8) {
  const size_t code_bytes = item_codes.size() / items.size();
  const auto codes = CodesOf(item_codes, history, code_bytes);
  const auto i8_items = reference::QuantizeI8(items.embeddings.values, items.dim());
  Lists lists;
  for (const int32_t candidate : candidates) {
    std::vector<int32_t> shortlist, ids;
    for (const auto& near :
         reference::HammingTopK(codes, CodesOf(item_codes, {&candidate, 1}, code_bytes), factor * k,
                                TieOrder::kNewestFirst)) {
      shortlist.push_back(near.position);
      ids.push_back(history[static_cast<size_t>(near.position)]);
    }
    const auto scores =
        is_i8 ? reference::DotI8Rows(i8_items, ids, i8_items, static_cast<size_t>(candidate),
                                     items.dim())
              : reference::DotRows(items.embeddings.values, ids, RowOf(items, candidate));
    lists.push_back(reference::RerankTopK(shortlist, scores, k, TieOrder::kNewestFirst));
  }
  return Sorted(lists);
}

class RerankRetrieverTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(RerankRetrieverTest);

// The items repeat in the longer histories, there are more candidates than fit a chunk, and one
// Scratch serves all requests, large before small.
void ExpectReference(const ItemTable& items, const Hyperplanes& planes, size_t factor, bool is_i8) {
  const auto make = is_i8 ? MakeEtaRerankI8Retriever : MakeEtaRerankRetriever;
  const auto rerank = make("rerank", items, planes, factor, 2);
  const auto item_codes = reference::SimHashRows(items.embeddings.values, items.dim(),
                                                 planes.matrix().values, planes.bits());
  const auto scratch = rerank->NewScratch();
  for (const size_t n : {size_t{400}, size_t{0}, size_t{1}, size_t{64}, size_t{65}}) {
    for (const size_t k : {size_t{100}, size_t{1}, size_t{30}}) {
      SCOPED_TRACE(::testing::Message() << "target=" << simd::TargetName(simd::ActiveTarget())
                                        << " n=" << n << " bits=" << planes.bits() << " k=" << k
                                        << " factor=" << factor << " int8=" << is_i8);
      Rng rng(n + k);
      const auto history = RandomIds(rng, n, items.size());
      const auto candidates = RandomIds(rng, n == 400 && k == 30 ? 70 : 7, items.size());
      EXPECT_EQ(RetrieveSets(*rerank, history, candidates, k, *scratch),
                Reference(items, item_codes, history, candidates, factor, k, is_i8));
    }
  }
}

TEST_P(RerankRetrieverTest, AsReference) {
  constexpr size_t kItems = 90, kDim = 12;
  for (const ItemTable& items : {BellItems(kItems, kDim, 1), HardItems(kItems, kDim, 2)}) {
    for (const size_t bits : {size_t{20}, size_t{300}}) {
      for (const size_t factor : {size_t{1}, size_t{3}, size_t{64}}) {
        ExpectReference(items, Planes(kDim, bits), factor, false);
        ExpectReference(items, Planes(kDim, bits), factor, true);
      }
    }
  }
}

// All of an int8 score is exact but for three roundings that both take alike.
TEST_P(RerankRetrieverTest, AsScanI8WhenTheShortlistIsTheHistory) {
  const ItemTable items = BellItems(150, 40, 3);
  const auto scan = MakeScanI8Retriever("scan_i8", items);
  const auto rerank = MakeEtaRerankI8Retriever("rerank_i8", items, Planes(40, 16), 64);
  Rng rng(8);
  const auto candidates = RandomIds(rng, 9, items.size());
  for (const size_t n : {size_t{0}, size_t{1}, size_t{63}, size_t{200}, size_t{640}}) {
    const auto history = RandomIds(rng, n, items.size());
    for (const size_t k : {size_t{10}, size_t{64}, size_t{700}}) {
      EXPECT_EQ(RetrieveSets(*rerank, history, candidates, k),
                RetrieveSets(*scan, history, candidates, k))
          << "n=" << n << " k=" << k;
    }
  }
}

// Small integers have exact sums in any order, and many ties: the sets must be the same.
TEST_P(RerankRetrieverTest, AsExactWhenTheShortlistIsTheHistory) {
  Rng rng(7);
  constexpr size_t kItems = 50, kDim = 20;
  const auto items =
      TableOfRows(MakeFloats(kItems * kDim, [&] { return SmallInteger(rng, 2); }), kDim);
  const auto exact = MakeExactRetriever("exact", items);
  const auto candidates = RandomIds(rng, 9, kItems);
  for (const size_t n : {size_t{0}, size_t{1}, size_t{63}, size_t{200}, size_t{640}}) {
    const auto history = RandomIds(rng, n, kItems);
    for (const size_t k : {size_t{10}, size_t{64}, size_t{700}}) {
      const auto rerank = MakeEtaRerankRetriever("rerank", items, Planes(kDim, 16), 64);
      EXPECT_EQ(RetrieveSets(*rerank, history, candidates, k),
                RetrieveSets(*exact, history, candidates, k))
          << "n=" << n << " k=" << k;
    }
  }
}

// Share of the returned positions whose true score is no smaller than the K-th largest, but for
// rounding.
double Recall(const ItemTable& items, const std::vector<int32_t>& history,
              const std::vector<int32_t>& candidates, size_t k, const Lists& lists) {
  size_t hits = 0, wanted = 0;
  for (size_t b = 0; b < candidates.size(); ++b) {
    std::vector<float> scores;
    for (const int32_t id : history) {
      scores.push_back(reference::Dot(RowOf(items, candidates[b]), RowOf(items, id)));
    }
    std::vector<float> sorted = scores;
    std::ranges::sort(sorted, std::greater<float>());
    const float kth = sorted[k - 1] - 1e-4f;
    wanted += k;
    for (const int32_t p : lists[b]) hits += scores[static_cast<size_t>(p)] >= kth;
  }
  return static_cast<double>(hits) / static_cast<double>(wanted);
}

TEST_P(RerankRetrieverTest, RecallRisesToOne) {
  constexpr size_t kItems = 2000, kDim = 32, kN = 640, kK = 32;
  const ItemTable items = BellItems(kItems, kDim, 5);
  Rng rng(6);
  const auto history = RandomIds(rng, kN, kItems), candidates = RandomIds(rng, 20, kItems);
  const Hyperplanes planes = Planes(kDim, 64);
  const auto eta = MakeEtaRetriever("eta", items, planes);
  double last = Recall(items, history, candidates, kK, RetrieveSets(*eta, history, candidates, kK));
  EXPECT_LT(last, 0.7);
  for (const size_t factor : {size_t{1}, size_t{2}, size_t{4}, size_t{10}, size_t{20}}) {
    const auto rerank = MakeEtaRerankRetriever("rerank", items, planes, factor);
    const double recall =
        Recall(items, history, candidates, kK, RetrieveSets(*rerank, history, candidates, kK));
    if (factor == 1) {
      EXPECT_EQ(recall, last) << "a shortlist of K leaves nothing to choose";
    } else {
      EXPECT_GT(recall, last) << "factor " << factor;
    }
    last = recall;
  }
  EXPECT_EQ(last, 1.0);
}

TEST_P(RerankRetrieverTest, AHistoryOfOneItemKeepsItsNewest) {
  const ItemTable items = BellItems(3, 8, 1);
  const std::vector<int32_t> history(200, 2), candidates = {0, 1, 2};
  std::vector<int32_t> newest(10);
  std::iota(newest.begin(), newest.end(), 190);
  for (const size_t factor : {size_t{1}, size_t{4}, size_t{64}}) {
    const auto rerank = MakeEtaRerankRetriever("rerank", items, Planes(8, 32), factor);
    EXPECT_EQ(RetrieveSets(*rerank, history, candidates, 10), Lists(3, newest)) << factor;
  }
}

TEST_P(RerankRetrieverTest, SaysWhatItIs) {
  const ItemTable items = BellItems(100, 8, 1);
  const auto rerank = MakeEtaRerankRetriever("eta:20+rerank:4", items, Planes(8, 20), 4);
  EXPECT_EQ(rerank->name(), "eta:20+rerank:4");
  EXPECT_EQ(rerank->target(), simd::TargetName(GetParam()));
  EXPECT_EQ(rerank->bits(), 20u);
  EXPECT_EQ(rerank->table_bytes(), 100u * (3 + 8 * sizeof(float)));
  EXPECT_EQ(rerank->Prepare(std::vector<int32_t>(65, 1))->bytes(), 128u * 3 + 65 * sizeof(int32_t));
  EXPECT_EQ(rerank->Prepare({})->bytes(), 0u);
  const auto i8 = MakeEtaRerankI8Retriever("eta:20+rerank_i8:4", items, Planes(8, 20), 4);
  EXPECT_EQ(i8->name(), "eta:20+rerank_i8:4");
  EXPECT_EQ(i8->bits(), 20u);
  EXPECT_EQ(i8->table_bytes(), 100u * (3 + 8 + sizeof(float)));
  EXPECT_EQ(i8->Prepare(std::vector<int32_t>(65, 1))->bytes(), 128u * 3 + 65 * sizeof(int32_t));
}

// Any method may come first; the second look goes where it found most.
TEST_P(RerankRetrieverTest, BehindOtherMethods) {
  const ItemTable items = BellItems(300, 20, 4);
  const auto exact = MakeExactRetriever("exact", items);
  Rng rng(11);
  const auto history = RandomIds(rng, 250, 300), candidates = RandomIds(rng, 9, 300);
  for (const auto& make : {MakeEtaNormRetriever, MakeEtaAsymRetriever, MakeEtaGatherRetriever}) {
    const auto first = [&] { return make("first", items, Planes(20, 40), 1); };
    const auto once = MakeRerankRetriever("rerank", items, first(), 1);
    const auto all = MakeRerankRetriever("rerank", items, first(), 64);
    EXPECT_EQ(RetrieveSets(*once, history, candidates, 30),
              RetrieveSets(*first(), history, candidates, 30));
    EXPECT_EQ(RetrieveSets(*all, history, candidates, 30),
              RetrieveSets(*exact, history, candidates, 30));
  }
}

TEST(RerankAcrossTargets, Identical) {
  const ItemTable items = BellItems(300, 100, 9);
  Rng rng(10);
  const auto history = RandomIds(rng, 500, 300), candidates = RandomIds(rng, 30, 300);
  Lists first;
  for (const int64_t target : SupportedTargetList()) {
    SCOPED_TRACE(simd::TargetName(target));
    ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(target)));
    const auto rerank = MakeEtaRerankRetriever("rerank", items, Planes(100, 64), 3);
    const Lists sets = RetrieveSets(*rerank, history, candidates, 40);
    if (first.empty()) first = sets;
    EXPECT_EQ(sets, first);
  }
  ASSERT_TRUE(simd::ForceTargetForTest(nullptr));
}

TEST(RerankErrorTest, WrongArguments) {
  const ItemTable items = BellItems(10, 8, 1);
  for (const size_t factor : {size_t{0}, size_t{65}, SIZE_MAX}) {
    EXPECT_THROW(MakeEtaRerankRetriever("r", items, Planes(8, 16), factor), std::invalid_argument);
    EXPECT_THROW(MakeEtaRerankI8Retriever("r", items, Planes(8, 16), factor),
                 std::invalid_argument);
  }
  EXPECT_THROW(MakeEtaRerankRetriever("r", items, Planes(9, 16), 4), std::invalid_argument);
  EXPECT_THROW(MakeEtaRerankRetriever("r", items, Planes(8, 16), 4, 0), std::invalid_argument);
  const auto rerank = MakeEtaRerankRetriever("r", items, Planes(8, 16), 64);
  EXPECT_THROW(rerank->Prepare(std::vector<int32_t>{1, 10}), std::invalid_argument);
  EXPECT_THROW(rerank->Prepare(std::vector<int32_t>{-1}), std::invalid_argument);
  const auto history = rerank->Prepare(std::vector<int32_t>{1, 2});
  const auto eta_history =
      MakeEtaRetriever("eta", items, Planes(8, 16))->Prepare(std::vector<int32_t>{1, 2});
  const auto scratch = rerank->NewScratch();
  Scratch foreign;
  const std::vector<int32_t> candidates = {3}, bad = {10};
  std::vector<int32_t> positions(2), counts(1);
  const RetrievedView out{positions, counts};
  EXPECT_THROW(rerank->Retrieve(*history, bad, 2, *scratch, out), std::invalid_argument);
  EXPECT_THROW(rerank->Retrieve(*history, candidates, 3, *scratch, out), std::invalid_argument);
  EXPECT_ANY_THROW(rerank->Retrieve(*history, candidates, 2, foreign, out));
  EXPECT_ANY_THROW(rerank->Retrieve(*eta_history, candidates, 2, *scratch, out));
  EXPECT_NO_THROW(rerank->Retrieve(*history, candidates, 2, *scratch, out));
}

}  // namespace
}  // namespace eta::test
