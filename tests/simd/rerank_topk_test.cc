// SPDX-License-Identifier: Apache-2.0
// simd/rerank.h's RerankTopK against core/reference/rerank.h on every target.
#include <algorithm>
#include <limits>
#include <vector>

#include "core/reference/rerank.h"
#include "simd/code_blocks.h"
#include "simd/rerank.h"
#include "tests/support/target_test_util.h"
#include "tests/support/topk_calls.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

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

// Shortlists some entries apart, with garbage between them and behind the last score.
struct TestShortlists {
  TestShortlists(Scores kind, Arrangement arrangement, size_t length, size_t queries)
      : rng(length * 100 + static_cast<size_t>(kind) * 10 + static_cast<size_t>(arrangement)),
        length(length),
        position_stride(length + Below(rng, 3)),
        score_stride(simd::PaddedRows(length) + Below(rng, 3)),
        all_positions((queries - 1) * position_stride + length, Below(rng, 4)),
        all_scores((queries - 1) * score_stride + simd::PaddedRows(length), Below(rng, 4)) {
    constexpr float kPaddings[] = {kNan, kInf, -kInf, 1e30f, 0.0f};
    std::ranges::fill(all_scores.span(), kPaddings[Below(rng, std::size(kPaddings))]);
    for (size_t q = 0; q < queries; ++q) {
      // A query of another arrangement among them.
      positions.push_back(MakePositions(q == 1 ? kAscending : arrangement, rng, length));
      scores.emplace_back();
      for (size_t i = 0; i < length; ++i) scores[q].push_back(MakeScore(kind, rng, i));
      std::ranges::copy(positions[q], all_positions.data() + q * position_stride);
      std::ranges::copy(scores[q], all_scores.data() + q * score_stride);
    }
  }

  simd::Shortlists view() {
    return {all_positions.data(), position_stride, all_scores.data(),
            score_stride,         length,          positions.size()};
  }

  Ranking<float> Ranked(size_t q, TieOrder ties) const {
    Ranking<float> ranking;
    for (const int32_t p : reference::RerankTopK(positions[q], scores[q], length, ties)) {
      const auto at = std::ranges::find(positions[q], p) - positions[q].begin();
      ranking.push_back({p, scores[q][static_cast<size_t>(at)]});
    }
    return ranking;
  }

  Rng rng;
  size_t length, position_stride, score_stride;
  Buffer<int32_t> all_positions;
  Buffer<float> all_scores;
  std::vector<std::vector<int32_t>> positions;  // of each query
  std::vector<std::vector<float>> scores;
};

// Calls of all kinds on `queries` shortlists.
void ExpectRerankTopK(Scores kind, Arrangement arrangement, size_t length, size_t queries) {
  SCOPED_TRACE(::testing::Message()
               << "target=" << simd::TargetName(simd::ActiveTarget()) << " scores=" << kind
               << " arrangement=" << arrangement << " length=" << length);
  TestShortlists lists(kind, arrangement, length, queries);
  std::vector<size_t> ks = {1, 2, 17, 64, length + 1};
  if (length > 0) ks.push_back(length);
  if (length > 1) ks.push_back(length - 1);
  for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
    std::vector<Ranking<float>> rankings;
    for (size_t q = 0; q < queries; ++q) rankings.push_back(lists.Ranked(q, ties));
    ForEachTopKCall(ks, ties, length, [&](const TopKCall& call, uint64_t turn) {
      const size_t bytes = simd::RerankTopKScratchBytes(length);
      ExpectTopK<float>(call, {length, bytes, turn % 4, turn}, rankings,
                        [&](const auto& options, void* scratch, const auto& result) {
                          return simd::RerankTopK(lists.view(), options, scratch, result);
                        });
    });
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

}  // namespace
}  // namespace eta::test
