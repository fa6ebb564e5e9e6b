// SPDX-License-Identifier: Apache-2.0
// simd/rerank.h against core/reference/rerank.h on every target, and core/retrieval/rerank.h, its
// int8 form too.
#include "simd/rerank.h"

#include <limits>
#include <ostream>
#include <set>
#include <stdexcept>

#include "core/reference/dot.h"
#include "core/reference/hamming.h"
#include "core/reference/rerank.h"
#include "core/reference/simhash.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/exact.h"
#include "core/retrieval/rerank.h"
#include "core/retrieval/scan_i8.h"
#include "simd/code_blocks.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

constexpr size_t kDims[] = {1, 3, 15, 16, 17, 31, 32, 33, 64, 100, 128, 256};
constexpr size_t kCounts[] = {0, 1, 2, 3, 4, 5, 17, 64, 100};

// What rows and queries hold.
enum Pattern {
  kBells,  // rounded sums
  kHard,   // NaN, infinities, denormals, huge values
  kTiny,   // products of both signs that round to zeros
  kPatterns
};

std::vector<float> MakeRows(Pattern pattern, Rng& rng, size_t count, size_t dim) {
  if (pattern == kHard) return HardRows(rng, count, dim);
  return MakeFloats(count * dim, [&] {
    return pattern == kBells ? BellFloat(rng) : Below(rng, 4) ? -1e-30f : 1e-30f;
  });
}

std::vector<int32_t> RandomIds(Rng& rng, size_t count, size_t items) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(Below(rng, items)));
  return ids;
}

class DotRowsTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(DotRowsTest);

// The last row of the table ends where its array ends, and so do the query and, by turns, the ids
// and scores: nothing behind them may be touched.
TEST_P(DotRowsTest, AsReference) {
  constexpr size_t kItems = 29;
  for (const size_t dim : kDims) {
    for (const size_t count : kCounts) {
      for (int pattern = 0; pattern < kPatterns; ++pattern) {
        Rng rng(dim * 1000 + count * 10 + static_cast<size_t>(pattern));
        const size_t stride = dim + Below(rng, 3), offset = Below(rng, 4);
        SCOPED_TRACE(::testing::Message() << "target=" << simd::TargetName(GetParam()) << " dim="
                                          << dim << " count=" << count << " pattern=" << pattern
                                          << " stride=" << stride << " offset=" << offset);
        const auto dense = MakeRows(static_cast<Pattern>(pattern), rng, kItems, dim);
        const auto query = MakeRows(static_cast<Pattern>(pattern), rng, 1, dim);
        auto list = RandomIds(rng, count, kItems);
        if (count > 0) list.back() = kItems - 1;
        Buffer<float> rows(WithStride<float>(dense, dim, stride, kNan), offset);
        Buffer<float> exact_query(std::span<const float>(query), (offset + 1) % 4);
        Buffer<int32_t> ids(std::span<const int32_t>(list), offset);
        Buffer<float> scores(count, (offset + 2) % 4, Below(rng, 2) * 16);
        simd::DotRows({rows.data(), kItems, dim, stride}, {ids.data(), count}, exact_query.data(),
                      scores.data());
        EXPECT_TRUE(SameValues<float>(scores.span(), reference::DotRows(dense, list, query)));
      }
    }
  }
}

TEST_P(DotRowsTest, NoRowsNeedNoMemory) {
  const float query = 1;
  simd::DotRows({nullptr, 0, 1, 1}, {nullptr, 0}, &query, nullptr);
}

float ScoreOf(const std::vector<float>& row, const std::vector<float>& query) {
  const int32_t id = 0;
  float score = 0;
  simd::DotRows(simd::DenseRows(row.data(), 1, row.size()), {&id, 1}, query.data(), &score);
  EXPECT_TRUE(Same(score, reference::DotInSixteenSums(query, row)));
  return score;
}

// A row of ones and a query of 1e8, -1e8 and 1, the rest 0: the sum is 1 only when the large ones
// meet before the small one joins them. In literals, so that kernel and twin cannot agree on
// another order.
TEST_P(DotRowsTest, OrderByHand) {
  const auto score = [](size_t large, size_t minus, size_t one) {
    std::vector<float> query(48, 0.0f);
    query[large] = 1e8f, query[minus] = -1e8f, query[one] = 1.0f;
    return ScoreOf(std::vector<float>(48, 1.0f), query);
  };
  EXPECT_EQ(score(0, 16, 1), 1.0f);   // a partial takes every 16th
  EXPECT_EQ(score(0, 32, 16), 0.0f);  // in rising order
  EXPECT_EQ(score(0, 16, 32), 1.0f);
  for (size_t one = 32; one < 48; ++one) {
    const size_t partial = one % 16;
    EXPECT_EQ(score(3, 11, one), partial == 3 || partial == 11 ? 0.0f : 1.0f) << one;  // + 8
    EXPECT_EQ(score(3, 15, one), partial % 4 == 3 ? 0.0f : 1.0f) << one;               // + 4
    EXPECT_EQ(score(1, 7, one), partial % 2 == 1 ? 0.0f : 1.0f) << one;                // + 2
    EXPECT_EQ(score(0, 1, one), 0.0f) << one;  // + 1 comes last: 1 has joined one of them
  }
}

// One rounding a step; see the same numbers in simhash_test.cc.
TEST_P(DotRowsTest, OneRoundingPerStep) {
  const float ulp = 0x1p-23f;
  std::vector<float> row(17, 0.0f), query(17, 0.0f);
  row[0] = 1, row[16] = std::ldexp(33025.0f, -27);
  query[0] = 1, query[16] = std::ldexp(32513.0f, -27);
  const float first = std::fma(row[16], query[16], 1.0f);
  EXPECT_EQ(ScoreOf(row, query), first);
  row[16] = std::ldexp(32769.0f, -27), query[0] = 1 + ulp, query[16] = std::ldexp(32767.0f, -27);
  EXPECT_EQ(ScoreOf(row, query), std::fma(row[16], query[16], 1 + ulp));
}

// Negative products too small for a float leave partials of -0; the zeros past the end make them 0.
TEST_P(DotRowsTest, ZerosPastTheEndMakeMinusZeroZero) {
  const auto score = [](size_t dim) {
    return ScoreOf(std::vector<float>(dim, -1e-30f), std::vector<float>(dim, 1e-30f));
  };
  EXPECT_TRUE(std::signbit(score(16)));
  EXPECT_TRUE(std::signbit(score(32)));
  // Among these whole vectors with nothing left to take, of 4 lanes and of 8.
  for (const size_t dim : {15, 17, 20, 24, 28, 36}) EXPECT_FALSE(std::signbit(score(dim))) << dim;
}

class RerankTopKTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(RerankTopKTest);

enum Scores { kTied, kBellScores, kAny, kEqual, kZeros, kNanAndMinusInf, kRising, kScores };

float MakeScore(Scores kind, Rng& rng, size_t i) {
  switch (kind) {
    case kTied:
      return SmallInteger(rng, 4);
    case kBellScores:
      return BellFloat(rng);
    case kAny:
      return AnyFloat(rng);
    case kEqual:
      return 1.5f;
    case kZeros:
      return Below(rng, 2) ? 0.0f : -0.0f;
    case kNanAndMinusInf:
      return Below(rng, 3) == 0 ? kNan : Below(rng, 2) ? -kInf : BellFloat(rng);
    default:
      return static_cast<float>(i);
  }
}

enum Arrangement { kAscending, kDescending, kShuffled, kTwoSwapped, kArrangements };

// Distinct positions with gaps, the largest possible among them.
std::vector<int32_t> MakePositions(Arrangement arrangement, Rng& rng, size_t count) {
  std::vector<int32_t> positions;
  int32_t next = 0;
  for (size_t i = 0; i < count; ++i) {
    positions.push_back(next += 1 + static_cast<int32_t>(Below(rng, 3)));
  }
  if (count > 0) positions.back() = std::numeric_limits<int32_t>::max();
  if (arrangement == kDescending) std::ranges::reverse(positions);
  if (arrangement == kShuffled) Shuffle(rng, positions);
  if (arrangement == kTwoSwapped && count > 1) {
    const size_t at = Below(rng, count - 1);
    std::swap(positions[at], positions[at + 1]);
  }
  return positions;
}

// Runs all ks, tie orders and result orders on `queries` shortlists.
void ExpectRerankTopK(Scores kind, Arrangement arrangement, size_t count, size_t queries) {
  constexpr float kPaddings[] = {kNan, kInf, -kInf, 1e30f, 0.0f};
  Rng rng(count * 100 + static_cast<size_t>(kind) * 10 + static_cast<size_t>(arrangement));
  const size_t stride = count + Below(rng, 3);
  const size_t padded = simd::PaddedRows(count), score_stride = padded + Below(rng, 3);
  std::vector<std::vector<int32_t>> lists;
  std::vector<std::vector<float>> list_scores;
  Buffer<int32_t> positions((queries - 1) * stride + count, Below(rng, 4));
  Buffer<float> scores((queries - 1) * score_stride + padded, Below(rng, 4));
  std::ranges::fill(scores.span(), kPaddings[Below(rng, std::size(kPaddings))]);
  for (size_t q = 0; q < queries; ++q) {
    // A query of another arrangement among them.
    lists.push_back(MakePositions(q == 1 ? kAscending : arrangement, rng, count));
    list_scores.emplace_back();
    for (size_t i = 0; i < count; ++i) list_scores[q].push_back(MakeScore(kind, rng, i));
    std::ranges::copy(lists[q], positions.data() + q * stride);
    std::ranges::copy(list_scores[q], scores.data() + q * score_stride);
  }
  std::set<size_t> ks = {1, 2, 17, 64, count + 1};
  if (count > 0) ks.insert(count);
  if (count > 1) ks.insert(count - 1);
  for (const size_t k : ks) {
    for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
      for (const ResultOrder order : {ResultOrder::kSorted, ResultOrder::kAny}) {
        SCOPED_TRACE(::testing::Message()
                     << "target=" << simd::TargetName(simd::ActiveTarget()) << " scores=" << kind
                     << " arrangement=" << arrangement << " count=" << count << " k=" << k
                     << (ties == TieOrder::kNewestFirst ? " newest" : " oldest") << " first"
                     << (order == ResultOrder::kSorted ? " sorted" : " any order"));
        Buffer<uint8_t> scratch = MakeScratch(simd::RerankTopKScratchBytes(count), k % 4, k);
        Buffer<int32_t> out(queries * k, k % 3, 16);
        const size_t kept = simd::RerankTopK(
            {positions.data(), stride, scores.data(), score_stride, count, queries},
            {k, ties, order}, scratch.data(), {out.data()});
        ASSERT_EQ(kept, std::min(k, count));
        for (size_t q = 0; q < queries; ++q) {
          auto expected = reference::RerankTopK(lists[q], list_scores[q], k, ties);
          std::vector<int32_t> actual(out.data() + q * k, out.data() + q * k + kept);
          if (order == ResultOrder::kAny) {
            std::ranges::sort(expected);
            std::ranges::sort(actual);
          }
          EXPECT_TRUE(SameValues<int32_t>(actual, expected)) << "query " << q;
          EXPECT_TRUE(out.Untouched(q * k + kept, (q + 1) * k));
        }
      }
    }
  }
}

TEST_P(RerankTopKTest, AsReference) {
  for (const size_t count : {size_t{0}, size_t{1}, size_t{2}, size_t{17}, size_t{64}, size_t{100},
                             size_t{257}, size_t{1000}}) {
    for (int kind = 0; kind < kScores; ++kind) {
      for (int arrangement = 0; arrangement < kArrangements; ++arrangement) {
        ExpectRerankTopK(static_cast<Scores>(kind), static_cast<Arrangement>(arrangement), count,
                         3);
      }
    }
  }
}

// One pair out of order at each place: a list that is nearly in order is not taken for one that is.
TEST_P(RerankTopKTest, OnePairOutOfOrder) {
  constexpr size_t kCount = 70;
  for (size_t at = 0; at + 1 < kCount; ++at) {
    std::vector<int32_t> positions(kCount);
    for (size_t i = 0; i < kCount; ++i) positions[i] = static_cast<int32_t>(i);
    std::swap(positions[at], positions[at + 1]);
    std::vector<float> scores(simd::PaddedRows(kCount), 0.0f);
    scores[at] = scores[at + 1] = 1.0f;  // tied for the one place
    std::vector<uint8_t> scratch(simd::RerankTopKScratchBytes(kCount));
    int32_t best = -1;
    simd::RerankTopK({positions.data(), kCount, scores.data(), scores.size(), kCount, 1},
                     {1, TieOrder::kNewestFirst}, scratch.data(), {&best});
    EXPECT_EQ(best, static_cast<int32_t>(at + 1));
    simd::RerankTopK({positions.data(), kCount, scores.data(), scores.size(), kCount, 1},
                     {1, TieOrder::kOldestFirst}, scratch.data(), {&best});
    EXPECT_EQ(best, static_cast<int32_t>(at));
  }
}

// The order in literals.
TEST_P(RerankTopKTest, OrderByHand) {
  const std::vector<int32_t> ascending = {10, 20, 30, 40, 50, 60}, mixed = {40, 10, 60, 20, 50, 30};
  const std::vector<float> of_ascending = {2, kNan, 5, 2, -kInf, -3};
  const auto all = [&](const std::vector<int32_t>& positions, TieOrder ties) {
    std::vector<float> scores(64, kInf);
    for (size_t i = 0; i < 6; ++i) {
      scores[i] = of_ascending[static_cast<size_t>(positions[i]) / 10 - 1];
    }
    std::vector<uint8_t> scratch(simd::RerankTopKScratchBytes(6));
    std::vector<int32_t> best(6);
    simd::RerankTopK({positions.data(), 6, scores.data(), 64, 6, 1},
                     {6, ties, ResultOrder::kSorted}, scratch.data(), {best.data()});
    return best;
  };
  for (const auto& positions : {ascending, mixed}) {
    EXPECT_EQ(all(positions, TieOrder::kNewestFirst),
              (std::vector<int32_t>{30, 40, 10, 60, 50, 20}));
    EXPECT_EQ(all(positions, TieOrder::kOldestFirst),
              (std::vector<int32_t>{30, 10, 40, 60, 20, 50}));
  }
}

ItemTable MakeItems(const std::vector<float>& rows, size_t dim) {
  ItemTable items;
  items.embeddings = Matrix<float>(rows.size() / dim, dim);
  std::ranges::copy(rows, items.embeddings.values.begin());
  return items;
}

ItemTable BellItems(size_t count, size_t dim, uint64_t seed) {
  Rng rng(seed);
  return MakeItems(MakeFloats(count * dim, [&] { return BellFloat(rng); }), dim);
}

Hyperplanes Planes(size_t dim, size_t bits) {
  return Hyperplanes::Make(HyperplaneKind::kGaussian, dim, bits, 1);
}

using Sets = std::vector<std::set<int32_t>>;  // positions for each candidate

// Runs one request and checks what holds for every method: full counts, no duplicates, -1 behind.
Sets Retrieve(const Retriever& retriever, const std::vector<int32_t>& history,
              const std::vector<int32_t>& candidates, size_t k, Scratch& scratch) {
  const auto prepared = retriever.Prepare(history);
  EXPECT_EQ(prepared->length(), history.size());
  Buffer<int32_t> positions(candidates.size() * k, 0, 16);
  Buffer<int32_t> counts(candidates.size(), 0, 16);
  retriever.Retrieve(*prepared, candidates, k, scratch, {positions.span(), counts.span()});
  Sets sets;
  for (size_t b = 0; b < candidates.size(); ++b) {
    const auto count = static_cast<size_t>(counts[b]);
    EXPECT_EQ(count, std::min(k, history.size())) << "candidate " << b;
    const int32_t* row = positions.data() + b * k;
    sets.emplace_back(row, row + count);
    EXPECT_EQ(sets.back().size(), count) << "a position twice for candidate " << b;
    EXPECT_TRUE(std::all_of(row + count, row + k, [](int32_t p) { return p == -1; }));
  }
  return sets;
}

Sets Retrieve(const Retriever& retriever, const std::vector<int32_t>& history,
              const std::vector<int32_t>& candidates, size_t k) {
  const auto scratch = retriever.NewScratch();
  return Retrieve(retriever, history, candidates, k, *scratch);
}

std::span<const float> RowOf(const ItemTable& items, int32_t id) {
  return {items.embeddings.row(static_cast<size_t>(id)), items.dim()};
}

// Both steps by the scalar twins, the second in float32 or int8.
Sets Reference(const ItemTable& items, const Hyperplanes& planes,
               const std::vector<int32_t>& history, const std::vector<int32_t>& candidates,
               size_t factor, size_t k, bool is_i8) {
  const auto codes_of = [&](const std::vector<int32_t>& ids) {
    std::vector<float> rows;
    for (const int32_t id : ids) {
      const auto row = RowOf(items, id);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    return reference::SimHashRows(rows, items.dim(), planes.matrix().values, planes.bits());
  };
  const auto codes = codes_of(history);
  const auto i8_items = reference::QuantizeI8(items.embeddings.values, items.dim());
  Sets sets;
  for (const int32_t candidate : candidates) {
    std::vector<int32_t> shortlist, ids;
    for (const auto& near :
         reference::HammingTopK(codes, codes_of({candidate}), factor * k, TieOrder::kNewestFirst)) {
      shortlist.push_back(near.position);
      ids.push_back(history[static_cast<size_t>(near.position)]);
    }
    const auto scores =
        is_i8 ? reference::DotI8Rows(i8_items, ids, i8_items, static_cast<size_t>(candidate),
                                     items.dim())
              : reference::DotRows(items.embeddings.values, ids, RowOf(items, candidate));
    const auto best = reference::RerankTopK(shortlist, scores, k, TieOrder::kNewestFirst);
    sets.emplace_back(best.begin(), best.end());
  }
  return sets;
}

class RerankRetrieverTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(RerankRetrieverTest);

// The items repeat in the longer histories, there are more candidates than fit a chunk, and one
// Scratch serves all requests, large before small.
void ExpectReference(const ItemTable& items, const Hyperplanes& planes, size_t factor, bool is_i8) {
  const auto make = is_i8 ? MakeEtaRerankI8Retriever : MakeEtaRerankRetriever;
  const auto rerank = make("rerank", items, planes, factor, 2);
  const auto scratch = rerank->NewScratch();
  for (const size_t n : {size_t{400}, size_t{0}, size_t{1}, size_t{64}, size_t{65}}) {
    for (const size_t k : {size_t{100}, size_t{1}, size_t{30}}) {
      SCOPED_TRACE(::testing::Message() << "target=" << simd::TargetName(simd::ActiveTarget())
                                        << " n=" << n << " bits=" << planes.bits() << " k=" << k
                                        << " factor=" << factor << " int8=" << is_i8);
      Rng rng(n + k);
      const auto history = RandomIds(rng, n, items.size());
      const auto candidates = RandomIds(rng, n == 400 && k == 30 ? 70 : 7, items.size());
      EXPECT_EQ(Retrieve(*rerank, history, candidates, k, *scratch),
                Reference(items, planes, history, candidates, factor, k, is_i8));
    }
  }
}

TEST_P(RerankRetrieverTest, AsReference) {
  constexpr size_t kItems = 90, kDim = 12;
  Rng hard(2);
  for (const ItemTable& items :
       {BellItems(kItems, kDim, 1), MakeItems(HardRows(hard, kItems, kDim), kDim)}) {
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
      EXPECT_EQ(Retrieve(*rerank, history, candidates, k), Retrieve(*scan, history, candidates, k))
          << "n=" << n << " k=" << k;
    }
  }
}

// Small integers have exact sums in any order, and many ties: the sets must be the same.
TEST_P(RerankRetrieverTest, AsExactWhenTheShortlistIsTheHistory) {
  Rng rng(7);
  constexpr size_t kItems = 50, kDim = 20;
  const auto items =
      MakeItems(MakeFloats(kItems * kDim, [&] { return SmallInteger(rng, 2); }), kDim);
  const auto exact = MakeExactRetriever("exact", items);
  const auto candidates = RandomIds(rng, 9, kItems);
  for (const size_t n : {size_t{0}, size_t{1}, size_t{63}, size_t{200}, size_t{640}}) {
    const auto history = RandomIds(rng, n, kItems);
    for (const size_t k : {size_t{10}, size_t{64}, size_t{700}}) {
      const auto rerank = MakeEtaRerankRetriever("rerank", items, Planes(kDim, 16), 64);
      EXPECT_EQ(Retrieve(*rerank, history, candidates, k), Retrieve(*exact, history, candidates, k))
          << "n=" << n << " k=" << k;
    }
  }
}

// Share of the returned positions whose true score is no smaller than the K-th largest, but for
// rounding.
double Recall(const ItemTable& items, const std::vector<int32_t>& history,
              const std::vector<int32_t>& candidates, size_t k, const Sets& sets) {
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
    for (const int32_t p : sets[b]) hits += scores[static_cast<size_t>(p)] >= kth;
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
  double last = Recall(items, history, candidates, kK, Retrieve(*eta, history, candidates, kK));
  EXPECT_LT(last, 0.7);
  for (const size_t factor : {size_t{1}, size_t{2}, size_t{4}, size_t{10}, size_t{20}}) {
    const auto rerank = MakeEtaRerankRetriever("rerank", items, planes, factor);
    const double recall =
        Recall(items, history, candidates, kK, Retrieve(*rerank, history, candidates, kK));
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
  const std::vector<int32_t> history(200, 2);
  std::set<int32_t> newest;
  for (int32_t i = 190; i < 200; ++i) newest.insert(i);
  for (const size_t factor : {size_t{1}, size_t{4}, size_t{64}}) {
    const auto rerank = MakeEtaRerankRetriever("rerank", items, Planes(8, 32), factor);
    EXPECT_EQ(Retrieve(*rerank, history, {0, 1, 2}, 10), Sets(3, newest)) << factor;
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

TEST(RerankAcrossTargets, Identical) {
  const ItemTable items = BellItems(300, 100, 9);
  Rng rng(10);
  const auto history = RandomIds(rng, 500, 300), candidates = RandomIds(rng, 30, 300);
  const auto ids = RandomIds(rng, 90, 300);
  std::vector<float> first_scores;
  Sets first_sets;
  for (const int64_t target : SupportedTargetList()) {
    SCOPED_TRACE(simd::TargetName(target));
    ASSERT_TRUE(simd::ForceTarget(simd::TargetName(target)));
    std::vector<float> scores(ids.size());
    simd::DotRows(simd::DenseRows(items.embeddings.values.data(), 300, 100),
                  {ids.data(), ids.size()}, items.embeddings.row(7), scores.data());
    const auto rerank = MakeEtaRerankRetriever("rerank", items, Planes(100, 64), 3);
    const Sets sets = Retrieve(*rerank, history, candidates, 40);
    if (first_scores.empty()) first_scores = scores, first_sets = sets;
    EXPECT_TRUE(SameValues<float>(scores, first_scores));
    EXPECT_EQ(sets, first_sets);
  }
  ASSERT_TRUE(simd::ForceTarget(nullptr));
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
