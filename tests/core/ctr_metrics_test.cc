// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "core/base/random.h"

namespace eta {
namespace {

using Logits = std::vector<float>;
using Ints = std::vector<int32_t>;

TEST(CtrMetrics, AucOfSmallLists) {
  EXPECT_EQ(Auc(Logits{1, 2, 3, 4}, Ints{0, 0, 1, 1}), 1.0);
  EXPECT_EQ(Auc(Logits{1, 2, 3, 4}, Ints{1, 1, 0, 0}), 0.0);
  EXPECT_EQ(Auc(Logits{4, 2, 3, 1}, Ints{1, 1, 0, 0}), 0.75);
  EXPECT_EQ(Auc(Logits{5, 5, 5, 5}, Ints{1, 0, 0, 1}), 0.5);
  EXPECT_EQ(Auc(Logits{0.0f, -0.0f}, Ints{1, 0}), 0.5);
  EXPECT_FALSE(Auc(Logits{1, 2}, Ints{1, 1}));
  EXPECT_FALSE(Auc(Logits{}, Ints{}));
}

TEST(CtrMetrics, AucIsTheShareOfOrderedPairs) {
  Random random(1);
  Logits logits;
  Ints labels;
  for (int i = 0; i < 200; ++i) {
    logits.push_back(static_cast<float>(random.Below(40)));  // many ties
    labels.push_back(static_cast<int32_t>(random.Below(2)));
  }
  double won = 0, pairs = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    for (size_t j = 0; j < logits.size(); ++j) {
      if (labels[i] != 1 || labels[j] != 0) continue;
      pairs += 1;
      won += logits[i] > logits[j] ? 1 : logits[i] == logits[j] ? 0.5 : 0;
    }
  }
  EXPECT_DOUBLE_EQ(*Auc(logits, labels), won / pairs);
}

TEST(CtrMetrics, GroupAucWeighsUsersBySamples) {
  // User 7: AUC 1 of 2 samples. User 3: AUC 0.5 of 4. User 1 has clicks only.
  const Logits logits = {2, 5, 1, 5, 5, 9, 5};
  const Ints labels = {1, 1, 0, 0, 1, 1, 0};
  const Ints users = {7, 3, 7, 3, 3, 1, 3};
  EXPECT_DOUBLE_EQ(*GroupAuc(logits, labels, users), (2 * 1.0 + 4 * 0.5) / 6);
  EXPECT_FALSE(GroupAuc(Logits{1}, Ints{1}, Ints{0}));
}

TEST(CtrMetrics, LogLoss) {
  EXPECT_NEAR(*LogLoss(Logits{0, 0}, Ints{0, 1}), std::log(2.0), 1e-15);
  EXPECT_NEAR(*LogLoss(Logits{2}, Ints{1}), -std::log(1 / (1 + std::exp(-2.0))), 1e-12);
  EXPECT_NEAR(*LogLoss(Logits{2}, Ints{0}), -std::log(1 - 1 / (1 + std::exp(-2.0))), 1e-12);
  EXPECT_NEAR(*LogLoss(Logits{1000, -1000}, Ints{0, 1}), 1000, 1e-9);  // no overflow
  EXPECT_FALSE(LogLoss(Logits{}, Ints{}));
}

TEST(CtrMetrics, RefusesWhatMakesNoSense) {
  EXPECT_THROW(Auc(Logits{1, 2}, Ints{1}), std::invalid_argument);
  EXPECT_THROW(Auc(Logits{1}, Ints{2}), std::invalid_argument);
  EXPECT_THROW(LogLoss(Logits{NAN}, Ints{1}), std::invalid_argument);
  EXPECT_THROW(GroupAuc(Logits{1}, Ints{1}, Ints{}), std::invalid_argument);
}

}  // namespace
}  // namespace eta
