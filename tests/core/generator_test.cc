// SPDX-License-Identifier: Apache-2.0
#include "core/data/generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <vector>

#include "core/data/bundle.h"

namespace eta {
namespace {

GeneratorOptions Small() {
  GeneratorOptions options;
  options.users = 200;
  options.items = 3000;
  options.dim = 32;
  options.categories = 10;
  options.median_length = 200;
  options.max_length = 2000;
  return options;
}

double Dot(const Matrix<float>& embeddings, size_t a, size_t b) {
  double sum = 0;
  for (size_t d = 0; d < embeddings.cols; ++d) {
    sum += static_cast<double>(embeddings.row(a)[d]) * embeddings.row(b)[d];
  }
  return sum;
}

double Cosine(const Matrix<float>& embeddings, size_t a, size_t b) {
  return Dot(embeddings, a, b) / std::sqrt(Dot(embeddings, a, a) * Dot(embeddings, b, b));
}

std::vector<size_t> SortedLengths(const Bundle& bundle) {
  std::vector<size_t> lengths;
  for (size_t u = 0; u < bundle.histories.users(); ++u)
    lengths.push_back(bundle.histories[u].size());
  std::sort(lengths.begin(), lengths.end());
  return lengths;
}

// Frozen, because results are compared across machines and versions by naming options only.
TEST(GeneratorTest, IsFrozen) {
  EXPECT_EQ(BundleDigest(GenerateBundle(Small())), "d0abbd282f1f6724");
  EXPECT_EQ(BundleDigest(GenerateBundle({})), "188dd278a55c1205");
}

TEST(GeneratorTest, FollowsItsOptions) {
  const Bundle bundle = GenerateBundle(Small());
  EXPECT_NO_THROW(ValidateBundle(bundle));
  EXPECT_EQ(bundle.items.size(), 3000u);
  EXPECT_EQ(bundle.items.dim(), 32u);
  EXPECT_EQ(bundle.histories.users(), 200u);
  EXPECT_EQ(bundle.histories.times.size(), bundle.histories.items.size());
  EXPECT_FALSE(bundle.candidates.has_value());
  const std::set<int32_t> categories(bundle.items.categories.begin(),
                                     bundle.items.categories.end());
  EXPECT_EQ(categories.size(), 10u);
  EXPECT_EQ(*categories.rbegin(), 9);
  EXPECT_NE(bundle.made_by.find("seed=1 "), std::string::npos);
}

TEST(GeneratorTest, EveryOptionChangesTheData) {
  const std::string digest = BundleDigest(GenerateBundle(Small()));
  const std::vector<std::function<void(GeneratorOptions&)>> changes = {
      [](auto& o) { o.seed = 2; },
      [](auto& o) { o.users = 201; },
      [](auto& o) { o.items = 3001; },
      [](auto& o) { o.dim = 33; },
      [](auto& o) { o.categories = 11; },
      [](auto& o) { o.median_length = 201; },
      [](auto& o) { o.sigma = 0.7; },
      [](auto& o) { o.max_length = 1999; },
      [](auto& o) { o.fixed_length = 50; },
      [](auto& o) { o.interests_per_user = 5; },
      [](auto& o) { o.cross_category_share = 0.3; }};
  for (size_t i = 0; i < changes.size(); ++i) {
    GeneratorOptions options = Small();
    changes[i](options);
    EXPECT_NE(BundleDigest(GenerateBundle(options)), digest) << "change " << i;
  }
}

TEST(GeneratorTest, MoreUsersLeaveTheItemsAlone) {
  GeneratorOptions options = Small();
  options.users = 3;
  EXPECT_EQ(GenerateBundle(options).items.embeddings.values,
            GenerateBundle(Small()).items.embeddings.values);
}

TEST(GeneratorTest, MakesUsersOneByOneAsWell) {
  const GeneratorOptions options{.users = 30, .items = 500, .dim = 8, .median_length = 50};
  const Bundle bundle = GenerateBundle(options);
  const DataGenerator generator(options);
  EXPECT_EQ(generator.items().embeddings.values, bundle.items.embeddings.values);
  EXPECT_EQ(generator.items().categories, bundle.items.categories);
  ASSERT_EQ(generator.users(), bundle.histories.users());
  Histories histories;
  for (size_t user = 0; user < generator.users(); ++user) {
    EXPECT_EQ(generator.length(user), bundle.histories[user].size()) << user;
    generator.AppendUser(user, histories);
  }
  EXPECT_EQ(histories.offsets, bundle.histories.offsets);
  EXPECT_EQ(histories.items, bundle.histories.items);
  EXPECT_EQ(histories.times, bundle.histories.times);
  Histories alone;
  generator.AppendUser(7, alone);
  EXPECT_TRUE(std::ranges::equal(alone[0], bundle.histories[7]));
  EXPECT_THROW(generator.AppendUser(30, alone), std::invalid_argument);
  EXPECT_THROW(generator.length(30), std::invalid_argument);
  EXPECT_THROW(DataGenerator({.users = 0}), std::invalid_argument);
}

TEST(GeneratorTest, LengthsAreRaggedWithTheExtremesPlanted) {
  GeneratorOptions options = Small();
  options.users = 1000;
  const auto lengths = SortedLengths(GenerateBundle(options));
  EXPECT_EQ(std::count(lengths.begin(), lengths.end(), 0u), 10);
  EXPECT_GE(std::count_if(lengths.begin(), lengths.end(), [](size_t n) { return n > 0 && n < 64; }),
            20);
  EXPECT_GE(std::count(lengths.begin(), lengths.end(), 2000u), 10);
  EXPECT_EQ(lengths.back(), 2000u);
  EXPECT_NEAR(static_cast<double>(lengths[500]), 200, 20);
  // One sigma up of the log-normal: 200 e^0.8 = 445.
  EXPECT_NEAR(static_cast<double>(lengths[841]), 445, 60);
}

TEST(GeneratorTest, FixedLengthIsExact) {
  GeneratorOptions options = Small();
  options.fixed_length = 77;
  const auto lengths = SortedLengths(GenerateBundle(options));
  EXPECT_EQ(lengths.front(), 77u);
  EXPECT_EQ(lengths.back(), 77u);
}

TEST(GeneratorTest, TimesAscendWithinAUser) {
  const Bundle bundle = GenerateBundle(Small());
  for (size_t user = 0; user < bundle.histories.users(); ++user) {
    const auto* times = bundle.histories.times.data() + bundle.histories.offsets[user];
    EXPECT_TRUE(std::is_sorted(times, times + bundle.histories[user].size())) << user;
  }
}

TEST(GeneratorTest, PopularityIsSkewedAndItemsRepeat) {
  const Bundle bundle = GenerateBundle(Small());
  std::vector<size_t> counts(bundle.items.size());
  for (const int32_t item : bundle.histories.items) ++counts[item];
  std::sort(counts.rbegin(), counts.rend());
  size_t head = 0;
  for (size_t i = 0; i < counts.size() / 10; ++i) head += counts[i];
  const double share =
      static_cast<double>(head) / static_cast<double>(bundle.histories.items.size());
  EXPECT_GT(share, 0.35);
  EXPECT_LT(share, 0.9);
  size_t distinct = 0;
  for (size_t user = 0; user < bundle.histories.users(); ++user) {
    const auto history = bundle.histories[user];
    distinct += std::set<int32_t>(history.begin(), history.end()).size();
  }
  EXPECT_LT(distinct, bundle.histories.items.size() * 9 / 10);
}

TEST(GeneratorTest, NormsVaryMildly) {
  const Bundle bundle = GenerateBundle(Small());
  const auto& embeddings = bundle.items.embeddings;
  double sum = 0;
  double square = 0;
  for (size_t i = 0; i < embeddings.rows; ++i) {
    const double log_norm = 0.5 * std::log(Dot(embeddings, i, i) / 32);
    sum += log_norm;
    square += log_norm * log_norm;
  }
  const double mean = sum / 3000;
  EXPECT_NEAR(mean, 0, 0.02);
  EXPECT_NEAR(std::sqrt(square / 3000 - mean * mean), 0.2, 0.02);
}

TEST(GeneratorTest, CategoriesShowInTheGeometry) {
  const Bundle bundle = GenerateBundle(Small());
  double same = 0;
  double other = 0;
  int same_count = 0;
  int other_count = 0;
  for (size_t a = 0; a < 300; ++a) {
    for (size_t b = a + 1; b < 300; ++b) {
      const bool is_same = bundle.items.categories[a] == bundle.items.categories[b];
      (is_same ? same : other) += Cosine(bundle.items.embeddings, a, b);
      ++(is_same ? same_count : other_count);
    }
  }
  EXPECT_GT(same / same_count, other / other_count + 0.1);
}

// The scores of a history fall off gradually: neither all alike nor a few hits in noise.
TEST(GeneratorTest, ScoresHaveAGradient) {
  GeneratorOptions options = Small();
  options.users = 20;
  options.fixed_length = 1024;
  const Bundle bundle = GenerateBundle(options);
  double at_top = 0;
  double at_64 = 0;
  double at_half = 0;
  for (size_t user = 0; user < 20; ++user) {
    const auto history = bundle.histories[user];
    const auto candidate = static_cast<size_t>(history[user * 37]);
    std::vector<double> scores;
    for (const int32_t item : history) {
      scores.push_back(Cosine(bundle.items.embeddings, candidate, static_cast<size_t>(item)));
    }
    std::sort(scores.rbegin(), scores.rend());
    at_top += scores[15] / 20;
    at_64 += scores[63] / 20;
    at_half += scores[511] / 20;
  }
  EXPECT_GT(at_top, at_64 + 0.03);
  EXPECT_GT(at_64, at_half + 0.15);
  EXPECT_GT(at_half, -0.1);
}

// Among the nearest items of another category, planted pairs show as near ones; without planting
// there are far fewer.
double ShareOfItemsWithNearStranger(double cross_category_share) {
  GeneratorOptions options = Small();
  options.cross_category_share = cross_category_share;
  const Bundle bundle = GenerateBundle(options);
  int near = 0;
  for (size_t a = 0; a < 10; ++a) {  // item a is the first of topic a, the first of category a
    int strangers = 0;
    for (size_t b = 0; b < bundle.items.size(); ++b) {
      strangers += bundle.items.categories[a] != bundle.items.categories[b] &&
                   Cosine(bundle.items.embeddings, a, b) > 0.6;
    }
    near += strangers >= 5;
  }
  return near / 10.0;
}

TEST(GeneratorTest, PairsCrossCategories) {
  EXPECT_GE(ShareOfItemsWithNearStranger(0.2), 0.7);
  EXPECT_LE(ShareOfItemsWithNearStranger(0), 0.3);
}

TEST(GeneratorTest, TakesTheSmallestOptions) {
  GeneratorOptions options;
  options.users = options.items = options.dim = options.categories = 1;
  options.median_length = options.max_length = options.interests_per_user = 1;
  options.cross_category_share = 0;
  const Bundle bundle = GenerateBundle(options);
  EXPECT_NO_THROW(ValidateBundle(bundle));
  EXPECT_EQ(bundle.histories.items, std::vector<int32_t>{0});
}

TEST(GeneratorTest, RefusesImpossibleOptions) {
  const std::vector<std::function<void(GeneratorOptions&)>> spoilers = {
      [](auto& o) { o.users = 0; },
      [](auto& o) { o.users = size_t{1} << 40; },
      [](auto& o) { o.items = 0; },
      [](auto& o) { o.items = size_t{1} << 31; },
      [](auto& o) { o.dim = 0; },
      [](auto& o) { o.dim = 4097; },
      [](auto& o) { o.categories = 0; },
      [](auto& o) { o.categories = 3001; },
      [](auto& o) { o.categories = 1; },  // no second for the pairs
      [](auto& o) { o.median_length = 0; },
      [](auto& o) { o.median_length = 2001; },
      [](auto& o) { o.max_length = 0; },
      [](auto& o) { o.fixed_length = size_t{1} << 31; },
      [](auto& o) { o.sigma = -1; },
      [](auto& o) { o.sigma = std::nan(""); },
      [](auto& o) { o.interests_per_user = 0; },
      [](auto& o) { o.cross_category_share = 1.1; },
      [](auto& o) { o.cross_category_share = std::nan(""); }};
  for (size_t i = 0; i < spoilers.size(); ++i) {
    GeneratorOptions options = Small();
    spoilers[i](options);
    EXPECT_THROW(GenerateBundle(options), std::invalid_argument) << "spoiler " << i;
  }
}

}  // namespace
}  // namespace eta
