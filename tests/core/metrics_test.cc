// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "core/base/random.h"

namespace eta {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Positions = std::vector<int32_t>;
using Scores = std::vector<float>;

TEST(Percentile, IsNearestRank) {
  const std::vector<double> five{15, 20, 35, 40, 50};
  EXPECT_EQ(Percentile(five, 0), 15);
  EXPECT_EQ(Percentile(five, 5), 15);
  EXPECT_EQ(Percentile(five, 20), 15);
  EXPECT_EQ(Percentile(five, 20.1), 20);
  EXPECT_EQ(Percentile(five, 30), 20);
  EXPECT_EQ(Percentile(five, 40), 20);
  EXPECT_EQ(Percentile(five, 50), 35);
  EXPECT_EQ(Percentile(five, 100), 50);
  EXPECT_EQ(Percentile(std::vector<double>{7}, 99.9), 7);
}

TEST(Percentile, HitsRanksThatHaveNoExactBinaryForm) {
  std::vector<double> samples(1000);
  std::iota(samples.begin(), samples.end(), 1.0);
  for (int tenths = 1; tenths <= 1000; ++tenths) {
    EXPECT_EQ(Percentile(samples, tenths / 10.0), tenths) << tenths;
  }
}

TEST(Percentile, RejectsBadArguments) {
  const std::vector<double> samples{1, 2};
  EXPECT_THROW(Percentile({}, 50), std::invalid_argument);
  EXPECT_THROW(Percentile(samples, -0.1), std::invalid_argument);
  EXPECT_THROW(Percentile(samples, 100.1), std::invalid_argument);
  EXPECT_THROW(Percentile(samples, std::nan("")), std::invalid_argument);
  EXPECT_THROW(Percentile(std::vector<double>{2, 1}, 50), std::invalid_argument);
  EXPECT_THROW(Percentile(std::vector<double>{1, std::nan("")}, 50), std::invalid_argument);
}

TEST(Mean, OfNothingDoesNotExist) {
  EXPECT_DOUBLE_EQ(Mean(std::vector<double>{1, 2, 6}), 3);
  EXPECT_THROW(Mean({}), std::invalid_argument);
}

TEST(RecallById, IsTheShareOfTheExactTopKThatCameBack) {
  EXPECT_DOUBLE_EQ(*RecallById(Positions{4, 1, 9}, Positions{1, 2, 3, 4}, 10), 0.5);
  EXPECT_DOUBLE_EQ(*RecallById(Positions{}, Positions{1, 2}, 10), 0);
  EXPECT_DOUBLE_EQ(*RecallById(Positions{1, 0}, Positions{0, 1}, 2), 1);
}

TEST(RecallById, OfAShortHistoryCountsAllOfIt) {
  // n = 3 < K: the exact top-K are the three.
  EXPECT_DOUBLE_EQ(*RecallById(Positions{2, 0}, Positions{0, 1, 2}, 3), 2.0 / 3);
}

TEST(RecallById, OfAnEmptyHistoryDoesNotCount) {
  EXPECT_FALSE(RecallById(Positions{}, Positions{}, 0).has_value());
}

TEST(RecallById, RejectsBadPositions) {
  EXPECT_THROW(RecallById(Positions{1, 1}, Positions{1, 2}, 3), std::invalid_argument);
  EXPECT_THROW(RecallById(Positions{1}, Positions{2, 2}, 3), std::invalid_argument);
  EXPECT_THROW(RecallById(Positions{3}, Positions{1}, 3), std::invalid_argument);
  EXPECT_THROW(RecallById(Positions{-1}, Positions{1}, 3), std::invalid_argument);
  EXPECT_THROW(RecallById(Positions{1}, Positions{-1}, 3), std::invalid_argument);
  EXPECT_THROW(RecallById(Positions{0}, Positions{}, 0), std::invalid_argument);
  EXPECT_THROW(RecallById(Positions{0}, Positions{}, 3), std::invalid_argument);
}

TEST(RecallTieAware, ForgivesTies) {
  const Scores scores{5, 7, 5, 9, 5, 1};
  // The top 3 are 3, 1 and any of 0, 2, 4.
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{3, 1, 0}, scores, 3), 1);
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{3, 1, 4}, scores, 3), 1);
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{3, 1, 5}, scores, 3), 2.0 / 3);
}

TEST(RecallTieAware, NeverCreditsMoreThanK) {
  const Scores scores(6, 1.0f);
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{0, 1, 2, 3, 4}, scores, 2), 1);
}

TEST(RecallTieAware, HasARelativeSlackOfOneInAMillion) {
  const Scores scores{-1000.0f, -1000.0005f, -1000.005f};
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{1}, scores, 1), 1);
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{2}, scores, 1), 0);
}

TEST(RecallTieAware, RanksNanLastAndBearsInfinities) {
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{0}, Scores{kNan, -3.0f}, 1), 0);
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{1}, Scores{kNan, -3.0f}, 1), 1);
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{0}, Scores{kNan, kNan}, 1), 1);
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{0}, Scores{3.0f, kInfinity}, 1), 0);
  EXPECT_DOUBLE_EQ(*RecallTieAware(Positions{1}, Scores{3.0f, kInfinity}, 1), 1);
}

TEST(RecallTieAware, RejectsBadArguments) {
  const Scores scores{1, 2};
  EXPECT_THROW(RecallTieAware(Positions{0}, scores, 0), std::invalid_argument);
  EXPECT_THROW(RecallTieAware(Positions{0, 0}, scores, 1), std::invalid_argument);
  EXPECT_THROW(RecallTieAware(Positions{2}, scores, 1), std::invalid_argument);
  EXPECT_FALSE(RecallTieAware(Positions{}, Scores{}, 1).has_value());
}

TEST(AttentionMass, IsTheSoftmaxShare) {
  const Scores scores{0, 4};  // dim 4: logits 0 and 2
  const double heavy = 1 / (1 + std::exp(-2.0));
  EXPECT_NEAR(*AttentionMass(Positions{1}, scores, 4), heavy, 1e-15);
  EXPECT_NEAR(*AttentionMass(Positions{0}, scores, 4), 1 - heavy, 1e-15);
  EXPECT_DOUBLE_EQ(*AttentionMass(Positions{0, 1}, scores, 4), 1);
  EXPECT_DOUBLE_EQ(*AttentionMass(Positions{}, scores, 4), 0);
}

// Powers of 2, so that nothing is rounded.
TEST(AttentionMass, DividesScoresByTheTemperature) {
  const Scores scores{0, 4, -1, 2}, doubled{0, 8, -2, 4};
  const double mass = *AttentionMass(Positions{1, 2}, scores, 4);
  EXPECT_EQ(*AttentionMass(Positions{1, 2}, doubled, 4, 2), mass);
  EXPECT_EQ(*AttentionMass(Positions{1, 2}, scores, 4, 1), mass);
  EXPECT_GT(*AttentionMass(Positions{1, 2}, scores, 4, 0.5), mass);
  Judge judge(2, 4, 2);
  judge.SetScores(doubled);
  EXPECT_EQ(judge.Rate(Positions{1, 2})->attention_mass, mass);
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(AttentionMass(Positions{1}, scores, 4, bad), std::invalid_argument) << bad;
    EXPECT_THROW(Judge(2, 4, bad), std::invalid_argument) << bad;
  }
}

// SIMD targets return the same set in different orders, and compare.py asks for equal bits.
TEST(AttentionMass, DoesNotDependOnTheOrderOfWhatIsReturned) {
  Random random(3);
  Scores scores(300);
  for (float& score : scores) score = static_cast<float>(random.Normal());
  Positions returned(200);
  std::iota(returned.begin(), returned.end(), 50);
  const double mass = *AttentionMass(returned, scores, 4);
  Judge judge(200, 4);
  judge.SetScores(scores);
  for (int round = 0; round < 20; ++round) {
    for (size_t i = returned.size(); i > 1; --i) {
      std::swap(returned[i - 1], returned[random.Below(static_cast<uint32_t>(i))]);
    }
    EXPECT_EQ(*AttentionMass(returned, scores, 4), mass);
    EXPECT_EQ(*judge.Rate(returned)->attention_mass, mass);
  }
}

TEST(AttentionMass, DoesNotOverflow) {
  const Scores scores{1e30f, 1e30f, -1e30f};
  EXPECT_DOUBLE_EQ(*AttentionMass(Positions{0}, scores, 1), 0.5);
}

TEST(AttentionMass, GivesNanNoWeightAndInfinityAll) {
  EXPECT_DOUBLE_EQ(*AttentionMass(Positions{0}, Scores{kNan, 1}, 1), 0);
  EXPECT_DOUBLE_EQ(*AttentionMass(Positions{1}, Scores{kNan, 1}, 1), 1);
  EXPECT_DOUBLE_EQ(*AttentionMass(Positions{0}, Scores{kInfinity, kInfinity, 1}, 1), 0.5);
  EXPECT_DOUBLE_EQ(*AttentionMass(Positions{2}, Scores{kInfinity, kInfinity, 1}, 1), 0);
  EXPECT_FALSE(AttentionMass(Positions{0}, Scores{kNan, -kInfinity}, 1).has_value());
  EXPECT_FALSE(AttentionMass(Positions{}, Scores{}, 1).has_value());
}

TEST(AttentionMass, RejectsBadArguments) {
  EXPECT_THROW(AttentionMass(Positions{0}, Scores{1}, 0), std::invalid_argument);
  EXPECT_THROW(AttentionMass(Positions{0, 0}, Scores{1}, 1), std::invalid_argument);
  EXPECT_THROW(AttentionMass(Positions{1}, Scores{1}, 1), std::invalid_argument);
}

TEST(Judge, PutsTheNewestOfEqualScoresFirst) {
  Judge judge(2, 1);
  judge.SetScores(Scores{5, 5, 5, 1});
  Positions top(judge.top().begin(), judge.top().end());
  std::ranges::sort(top);
  EXPECT_EQ(top, (Positions{1, 2}));
}

TEST(Judge, AgreesWithTheFunctions) {
  Random random(7);
  for (const size_t n : {1u, 2u, 5u, 64u, 200u}) {
    for (const size_t k : {1u, 5u, 64u, 300u}) {
      Judge judge(k, 16);
      Scores scores(n);
      // Small whole numbers, so that there are many ties.
      for (float& score : scores) score = static_cast<float>(random.Below(9));
      judge.SetScores(scores);
      ASSERT_EQ(judge.top().size(), std::min(k, n));
      Positions returned;
      for (size_t i = 0; i < n && returned.size() < k; ++i) {
        if (random.Below(2) == 1) returned.push_back(static_cast<int32_t>(i));
      }
      const auto quality = judge.Rate(returned);
      ASSERT_TRUE(quality.has_value());
      EXPECT_EQ(quality->recall, *RecallById(returned, judge.top(), n));
      EXPECT_EQ(quality->recall_ties, *RecallTieAware(returned, scores, k));
      EXPECT_EQ(quality->attention_mass, AttentionMass(returned, scores, 16));
      EXPECT_GE(quality->recall_ties, quality->recall);
    }
  }
}

TEST(Judge, RejectsBadPositionsAndStaysUsable) {
  Judge judge(2, 1);
  judge.SetScores(Scores{3, 2, 1});
  EXPECT_THROW(judge.Rate(Positions{0, 1, 0}), std::invalid_argument);
  EXPECT_THROW(judge.Rate(Positions{0, 3}), std::invalid_argument);
  EXPECT_THROW(judge.Rate(Positions{0, -1}), std::invalid_argument);
  EXPECT_EQ(judge.Rate(Positions{0, 1})->recall, 1);
  judge.SetScores(Scores{});
  EXPECT_FALSE(judge.Rate(Positions{}).has_value());
  EXPECT_THROW(judge.Rate(Positions{0}), std::invalid_argument);
  EXPECT_THROW(Judge(0, 1), std::invalid_argument);
  EXPECT_THROW(Judge(1, 0), std::invalid_argument);
}

}  // namespace
}  // namespace eta
